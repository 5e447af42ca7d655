/*
 * Reading a request: little-endian fields in a fixed order, no names, no JSON. Node writes them with native/wire.ts.
 *   u8 u32 u64     that many bytes
 *   bytes          u32 length, the bytes, one NUL that is not counted, so that a text can be used where it lies
 *   list           u32 count, then the items
 * A cursor remembers the first fault; later reads give 0 and "" then, so a caller checks once, at the end.
 */
#ifndef TSBUILD_WIRE_H
#define TSBUILD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC 0x31425354u /* "TSB1" */

struct wire {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    bool broken;
};

struct wire_bytes {
    const char *data; /* ends in NUL, never NULL */
    size_t length;
};

/* Maps the request lying in `fd` from its start and checks the magic. 0, or -1 with errno. */
int wire_open(int fd, struct wire *wire);

/* Forgets the request, whose texts are gone then. */
void wire_close(const struct wire *wire);

uint8_t wire_u8(struct wire *wire);
uint32_t wire_u32(struct wire *wire);
uint64_t wire_u64(struct wire *wire);
struct wire_bytes wire_get_bytes(struct wire *wire);
/* Like wire_get_bytes for what must not contain NUL: paths and words. */
const char *wire_text(struct wire *wire);
/* The count of a list whose items take at least `least` bytes each, so that no count can exceed what follows. */
uint32_t wire_count(struct wire *wire, size_t least);
/* Whether everything was read, nothing is left over and no fault was met. */
bool wire_is_done(const struct wire *wire);

#endif
