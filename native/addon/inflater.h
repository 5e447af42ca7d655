/* Streams of gzip members, inflated by ISA-L or by the zlib that node contains. */
#ifndef TSBUILD_INFLATER_H
#define TSBUILD_INFLATER_H

#include "gzip-header.h"
#include "isal-library.h"
#include "node-exports.h"

/* How a step ends; less than 0 are ISA-L's errors, which zlib's are translated to. After them nothing may follow. */
enum { WANTS_INPUT = 0, WANTS_OUTPUT = 1, MEMBER_ENDED = 2 };

struct inflater {
    const struct isal_library *isal; /* NULL for zlib */
    struct gzip_header header;
    struct isal_inflate_state state;
    struct zlib_stream zlib;
};

/* What a step may take and fill, and what it did of that. */
struct inflation {
    const uint8_t *input;
    size_t input_bytes;
    uint8_t *output;
    size_t output_bytes;
    size_t consumed, produced;
};

/* 0, or -1 without memory. */
int inflater_open(struct inflater *inflater, const struct isal_library *isal);
/* After a member another one may begin with the next step. */
int inflater_step(struct inflater *inflater, struct inflation *inflation);
void inflater_close(struct inflater *inflater);

#endif
