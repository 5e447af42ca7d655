/* Composing the report records of the tree modes. Kinds are part of the protocol. */
#ifndef TSBUILD_TREE_RECORD_H
#define TSBUILD_TREE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_DONE 1          /* the mode's totals */
#define RECORD_REFUSED 2       /* {u32 rule, u64 entry, bytes path} */
#define RECORD_NEEDS_LOWERS 3  /* {bytes path}: cannot be unpacked without the layers below */

struct record {
    uint8_t payload[2048];
    size_t length;
};

struct record record_start(void);
void record_u32(struct record *record, uint32_t value);
void record_u64(struct record *record, uint64_t value);
/* Cut to 1 KiB. */
void record_bytes(struct record *record, const char *bytes, size_t length);
void record_send(const struct record *record, uint8_t kind);

#endif
