/*
 * Telling Node what happened: records on the report pipe, {u8 kind, u32 length, payload}, little-endian. Kind 0 is a
 * failure, {u32 stage, i32 errno, bytes text}; each mode numbers its other kinds and its stages itself, and
 * TypeScript gives them words. A record is one write of at most PIPE_BUF bytes, so records of several processes do
 * not mix. The pipe's end means that nobody of the helper lives any more.
 */
#ifndef TSBUILD_REPORT_H
#define TSBUILD_REPORT_H

#include <stddef.h>
#include <stdint.h>

#define REPORT_FAILURE 0

void report_open(int fd);
int report_fd(void);
void report_record(uint8_t kind, const void *payload, size_t length);
/* `text` names the object of the failed call, a path for example, and is cut to 1 KiB. Returns -1, errno kept. */
int report_failure(uint32_t stage, const char *text);

#endif
