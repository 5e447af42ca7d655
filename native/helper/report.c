#include "report.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MAX_RECORD 4096
#define MAX_TEXT 1024

static int report_pipe = -1;

void report_open(int fd)
{
    report_pipe = fd;
}

int report_fd(void)
{
    return report_pipe;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

void report_record(uint8_t kind, const void *payload, size_t length)
{
    uint8_t record[MAX_RECORD];
    if (length > sizeof record - 5) length = sizeof record - 5;
    record[0] = kind;
    put_u32(record + 1, (uint32_t)length);
    if (length) memcpy(record + 5, payload, length);
    while (write(report_pipe, record, length + 5) < 0 && errno == EINTR) {}
}

int report_failure(uint32_t stage, const char *text)
{
    int error = errno;
    uint8_t payload[12 + MAX_TEXT];
    size_t length = text ? strnlen(text, MAX_TEXT) : 0;
    put_u32(payload, stage);
    put_u32(payload + 4, (uint32_t)error);
    put_u32(payload + 8, (uint32_t)length);
    if (length) memcpy(payload + 12, text, length);
    report_record(REPORT_FAILURE, payload, 12 + length);
    errno = error;
    return -1;
}
