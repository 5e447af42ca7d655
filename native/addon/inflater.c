#include "inflater.h"

static void begin_isal_member(struct inflater *inflater)
{
    inflater->header = (struct gzip_header){0};
    inflater->isal->inflate_init(&inflater->state);
    inflater->state.crc_flag = ISAL_CHECKS_TRAILER;
}

int inflater_open(struct inflater *inflater, const struct isal_library *isal)
{
    inflater->isal = isal;
    inflater->zlib = (struct zlib_stream){0};
    if (!isal) return inflateInit2_(&inflater->zlib, ZLIB_GZIP_ONLY, "1", sizeof inflater->zlib) == ZLIB_OK ? 0 : -1;
    begin_isal_member(inflater);
    return 0;
}

static int step_isal(struct inflater *inflater, struct inflation *inflation)
{
    struct isal_inflate_state *state = &inflater->state;
    long header_bytes = inflater->header.is_read ? 0 : read_gzip_header(&inflater->header, inflation->input, inflation->input_bytes);
    inflation->consumed = header_bytes < 0 ? 0 : (size_t)header_bytes;
    inflation->produced = 0;
    if (!inflater->header.is_read) return header_bytes < 0 ? ISAL_INVALID_HEADER : WANTS_INPUT;
    state->next_in = (uint8_t *)inflation->input + inflation->consumed;
    state->avail_in = (uint32_t)(inflation->input_bytes - inflation->consumed);
    state->next_out = inflation->output;
    state->avail_out = (uint32_t)inflation->output_bytes;
    int result = inflater->isal->inflate(state);
    inflation->consumed = inflation->input_bytes - state->avail_in;
    inflation->produced = inflation->output_bytes - state->avail_out;
    if (result < 0) return result;
    if (state->block_state != ISAL_BLOCK_FINISHED) return state->avail_out == 0 ? WANTS_OUTPUT : WANTS_INPUT;
    begin_isal_member(inflater);
    return MEMBER_ENDED;
}

static int step_zlib(struct inflater *inflater, struct inflation *inflation)
{
    struct zlib_stream *zlib = &inflater->zlib;
    zlib->next_in = inflation->input;
    zlib->avail_in = (unsigned)inflation->input_bytes;
    zlib->next_out = inflation->output;
    zlib->avail_out = (unsigned)inflation->output_bytes;
    int result = inflate(zlib, ZLIB_NO_FLUSH);
    inflation->consumed = inflation->input_bytes - zlib->avail_in;
    inflation->produced = inflation->output_bytes - zlib->avail_out;
    if (result == ZLIB_END) return inflateReset(zlib) == ZLIB_OK ? MEMBER_ENDED : ISAL_INVALID_HEADER;
    if (result != ZLIB_OK && result != ZLIB_BUFFER) return ISAL_INVALID_HEADER;
    return zlib->avail_out == 0 ? WANTS_OUTPUT : WANTS_INPUT;
}

int inflater_step(struct inflater *inflater, struct inflation *inflation)
{
    return inflater->isal ? step_isal(inflater, inflation) : step_zlib(inflater, inflation);
}

void inflater_close(struct inflater *inflater)
{
    if (!inflater->isal) inflateEnd(&inflater->zlib);
}
