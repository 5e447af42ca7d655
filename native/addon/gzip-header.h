/* The header of a gzip member, read from pieces cut anywhere: ISA-L 2.30 loses its way when a piece ends inside one. */
#ifndef TSBUILD_GZIP_HEADER_H
#define TSBUILD_GZIP_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gzip_header {
    bool is_read;
    /* Bytes of the fixed part that were read, then of the length of the extra field. */
    uint8_t fixed, length;
    uint8_t flags;
    uint8_t checksum;
    uint16_t extra;
};

/* Reads on. Returns how many bytes belong to the header, or -1 when it is none of a deflated member. */
long read_gzip_header(struct gzip_header *header, const uint8_t *bytes, size_t length);

#endif
