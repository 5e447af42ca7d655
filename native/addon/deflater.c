#include "deflater.h"

#include <stdbool.h>

/* Without header and trailer, as the blocks of a stream are. */
#define ZLIB_RAW (-15)
#define ZLIB_DEFLATED 8
#define ZLIB_USUAL_MEMORY 8
#define ZLIB_USUAL_STRATEGY 0
#define ZLIB_SYNC_FLUSH 2

static int run_isal(struct deflater *deflater, struct deflation *deflation)
{
    struct isal_zstream *stream = &deflater->stream;
    deflater->isal->deflate_init(stream);
    stream->level = ISAL_LEVEL;
    stream->level_buf = deflater->isal_level;
    stream->level_buf_size = sizeof deflater->isal_level;
    stream->flush = ISAL_SYNC_FLUSH;
    if (deflation->dictionary_bytes > 0 && deflater->isal->deflate_set_dictionary(stream, deflation->dictionary, (uint32_t)deflation->dictionary_bytes) != 0) return -1;
    stream->next_in = (uint8_t *)deflation->block;
    stream->avail_in = (uint32_t)deflation->block_bytes;
    stream->next_out = deflation->output;
    stream->avail_out = DEFLATED_BYTES;
    if (deflater->isal->deflate(stream) != 0 || stream->avail_in > 0) return -1;
    deflation->produced = DEFLATED_BYTES - stream->avail_out;
    /* No room left may mean that the end is missing. */
    return stream->avail_out == 0 ? -1 : 0;
}

static bool sync_zlib(struct zlib_stream *stream, struct deflation *deflation)
{
    if (deflation->dictionary_bytes > 0 && deflateSetDictionary(stream, deflation->dictionary, (unsigned)deflation->dictionary_bytes) != ZLIB_OK) return false;
    stream->next_in = deflation->block;
    stream->avail_in = (unsigned)deflation->block_bytes;
    stream->next_out = deflation->output;
    stream->avail_out = DEFLATED_BYTES;
    return deflate(stream, ZLIB_SYNC_FLUSH) == ZLIB_OK && stream->avail_in == 0 && stream->avail_out > 0;
}

/* A stream that was used before and reset may give other bytes than a new one. */
static int run_zlib(struct deflater *deflater, struct deflation *deflation)
{
    struct zlib_stream stream = {0};
    if (deflateInit2_(&stream, deflater->level, ZLIB_DEFLATED, ZLIB_RAW, ZLIB_USUAL_MEMORY, ZLIB_USUAL_STRATEGY, "1", sizeof stream) != ZLIB_OK) return -1;
    bool is_done = sync_zlib(&stream, deflation);
    deflation->produced = DEFLATED_BYTES - stream.avail_out;
    deflateEnd(&stream);
    return is_done ? 0 : -1;
}

int deflater_run(struct deflater *deflater, struct deflation *deflation)
{
    return deflater->isal ? run_isal(deflater, deflation) : run_zlib(deflater, deflation);
}
