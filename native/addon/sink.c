/*
 * Files that are written on the threads of the pool, which undo gzip on the way and compute the SHA-256 of what they
 * write: a layer's tar passes neither the main thread nor the heap.
 */
#include "addon.h"
#include "node-exports.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define BUFFER_BYTES (256u * 1024)
/* The disk gets to work on what was written meanwhile, so that flushing it in the end does not take as long again. */
#define WRITEBACK_BYTES (8u * 1024 * 1024)
#define DIGEST_BYTES 32

enum outcome { TAKEN, MALFORMED, TOO_LARGE };

struct sink {
    int fd;
    bool is_gzip, is_in_member, had_member;
    struct zlib_stream inflater;
    evp_digest *digest;
    uint64_t written, submitted, max_bytes;
    uint8_t *buffer; /* of what was inflated and is not written yet */
    size_t filled;
};

struct sink_work {
    napi_async_work work;
    napi_deferred deferred;
    napi_ref sink_value, chunks_value;
    struct sink *sink;
    bool is_last;
    enum outcome outcome;
    int error;
    const char *syscall;
    size_t count;
    struct iovec pieces[];
};

static bool fail(struct sink_work *work, int error, const char *syscall)
{
    work->error = error;
    work->syscall = syscall;
    return false;
}

static bool refuse(struct sink_work *work, enum outcome outcome)
{
    work->outcome = outcome;
    return false;
}

static bool write_pieces(struct sink_work *work, struct iovec *pieces, size_t count)
{
    struct sink *sink = work->sink;
    while (count > 0) {
        ssize_t written = pwritev(sink->fd, pieces, count < IOV_MAX ? (int)count : IOV_MAX, (off_t)sink->written);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail(work, errno, "pwritev");
        sink->written += (uint64_t)written;
        size_t left = (size_t)written;
        for (; count > 0 && left >= pieces->iov_len; pieces++, count--) left -= pieces->iov_len;
        if (count == 0) break;
        pieces->iov_base = (uint8_t *)pieces->iov_base + left;
        pieces->iov_len -= left;
    }
    if (sink->written - sink->submitted >= WRITEBACK_BYTES) {
        /* A wish: whether everything was written is what flushing tells. */
        sync_file_range(sink->fd, (off_t)sink->submitted, (off_t)(sink->written - sink->submitted), SYNC_FILE_RANGE_WRITE);
        sink->submitted = sink->written;
    }
    return true;
}

/* Everything is hashed before it is written, because writing changes the pieces. */
static bool take(struct sink_work *work, struct iovec *pieces, size_t count)
{
    struct sink *sink = work->sink;
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += pieces[i].iov_len;
        if (!EVP_DigestUpdate(sink->digest, pieces[i].iov_base, pieces[i].iov_len)) return fail(work, EIO, "EVP_DigestUpdate");
    }
    if (total > sink->max_bytes - sink->written) return refuse(work, TOO_LARGE);
    return write_pieces(work, pieces, count);
}

static bool take_buffer(struct sink_work *work)
{
    struct iovec piece = {.iov_base = work->sink->buffer, .iov_len = work->sink->filled};
    work->sink->filled = 0;
    return piece.iov_len == 0 || take(work, &piece, 1);
}

/* All members of a gzip stream are its content, and nothing but members may follow each other. */
static bool inflate_piece(struct sink_work *work, const struct iovec *piece)
{
    struct sink *sink = work->sink;
    struct zlib_stream *inflater = &sink->inflater;
    inflater->next_in = piece->iov_base;
    inflater->avail_in = (unsigned)piece->iov_len;
    while (sink->is_in_member || inflater->avail_in > 0) {
        if (!sink->is_in_member && sink->had_member && inflateReset(inflater) != ZLIB_OK) return fail(work, EIO, "inflateReset");
        sink->is_in_member = sink->had_member = true;
        inflater->next_out = sink->buffer + sink->filled;
        inflater->avail_out = BUFFER_BYTES - (unsigned)sink->filled;
        int result = inflate(inflater, ZLIB_NO_FLUSH);
        sink->filled = BUFFER_BYTES - inflater->avail_out;
        if (result == ZLIB_MEMORY) return fail(work, ENOMEM, "inflate");
        if (result != ZLIB_OK && result != ZLIB_END && result != ZLIB_BUFFER) return refuse(work, MALFORMED);
        bool is_hungry = inflater->avail_in == 0 && inflater->avail_out > 0;
        if (inflater->avail_out == 0 && !take_buffer(work)) return false;
        if (result == ZLIB_END) sink->is_in_member = false;
        else if (is_hungry) return true;
    }
    return true;
}

static bool fill(struct sink_work *work)
{
    struct sink *sink = work->sink;
    if (!sink->is_gzip) return take(work, work->pieces, work->count);
    for (size_t i = 0; i < work->count; i++) {
        if (!inflate_piece(work, &work->pieces[i])) return false;
    }
    if (!work->is_last) return true;
    if (sink->is_in_member || !sink->had_member) return refuse(work, MALFORMED);
    return take_buffer(work);
}

static void run_fill(napi_env env, void *data)
{
    (void)env;
    fill(data);
}

static void finish_fill(napi_env env, napi_status status, void *data)
{
    (void)status;
    struct sink_work *work = data;
    if (work->error) {
        napi_value exception;
        throw_errno(env, work->error, work->syscall, NULL);
        napi_get_and_clear_last_exception(env, &exception);
        napi_reject_deferred(env, work->deferred, exception);
    } else {
        napi_resolve_deferred(env, work->deferred, make_int(env, work->outcome));
    }
    napi_delete_reference(env, work->sink_value);
    napi_delete_reference(env, work->chunks_value);
    napi_delete_async_work(env, work->work);
    free(work);
}

static void release_sink(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    struct sink *sink = data;
    if (sink->is_gzip) inflateEnd(&sink->inflater);
    EVP_MD_CTX_free(sink->digest);
    free(sink->buffer);
    free(sink);
}

/* openSink(fd, isGzip, maxBytes): writes from the start of the file, which stays the caller's to close. */
static napi_value open_sink(napi_env env, napi_callback_info info)
{
    napi_value args[3], result;
    int64_t fd, max_bytes;
    bool is_gzip;
    if (!read_args(env, info, 3, args) || !read_int(env, args[0], &fd) || !read_int(env, args[2], &max_bytes)) return NULL;
    if (napi_get_value_bool(env, args[1], &is_gzip) != napi_ok) return throw_type(env, "want a boolean");
    struct sink *sink = calloc(1, sizeof *sink);
    if (!sink) return throw_errno(env, ENOMEM, "calloc", NULL);
    *sink = (struct sink){.fd = (int)fd, .max_bytes = (uint64_t)max_bytes, .digest = EVP_MD_CTX_new(), .buffer = is_gzip ? malloc(BUFFER_BYTES) : NULL};
    sink->is_gzip = is_gzip && sink->buffer && inflateInit2_(&sink->inflater, ZLIB_GZIP_ONLY, "1", sizeof sink->inflater) == ZLIB_OK;
    if (!sink->digest || sink->is_gzip != is_gzip || !EVP_DigestInit_ex(sink->digest, EVP_sha256(), NULL) ||
        napi_create_external(env, sink, release_sink, NULL, &result) != napi_ok) {
        release_sink(env, sink, NULL);
        return throw_errno(env, ENOMEM, "openSink", NULL);
    }
    return result;
}

static bool read_sink(napi_env env, napi_value value, struct sink **sink)
{
    if (napi_get_value_external(env, value, (void **)sink) == napi_ok) return true;
    throw_type(env, "want a sink");
    return false;
}

static bool read_pieces(napi_env env, napi_value chunks, struct sink_work *work)
{
    for (size_t i = 0; i < work->count; i++) {
        napi_value chunk;
        const uint8_t *bytes;
        if (napi_get_element(env, chunks, (uint32_t)i, &chunk) != napi_ok || !read_bytes(env, chunk, &bytes, &work->pieces[i].iov_len)) return false;
        work->pieces[i].iov_base = (void *)(uintptr_t)bytes;
    }
    return true;
}

/*
 * fillSink(sink, chunks, isLast): Promise of an outcome. One at a time, and the chunks must not change meanwhile; after
 * anything but 0 the sink is spent.
 */
static napi_value fill_sink(napi_env env, napi_callback_info info)
{
    napi_value args[3], name, promise;
    struct sink *sink;
    uint32_t count;
    bool is_last;
    if (!read_args(env, info, 3, args) || !read_sink(env, args[0], &sink)) return NULL;
    if (napi_get_array_length(env, args[1], &count) != napi_ok) return throw_type(env, "want an array of bytes");
    if (napi_get_value_bool(env, args[2], &is_last) != napi_ok) return throw_type(env, "want a boolean");
    struct sink_work *work = calloc(1, sizeof *work + count * sizeof *work->pieces);
    if (!work) return throw_errno(env, ENOMEM, "calloc", NULL);
    work->sink = sink;
    work->is_last = is_last;
    work->count = count;
    if (!read_pieces(env, args[1], work)) {
        free(work);
        return NULL;
    }
    napi_create_reference(env, args[0], 1, &work->sink_value);
    napi_create_reference(env, args[1], 1, &work->chunks_value);
    napi_create_string_utf8(env, "tsbuild:fillSink", NAPI_AUTO_LENGTH, &name);
    napi_create_promise(env, &work->deferred, &promise);
    napi_create_async_work(env, NULL, name, run_fill, finish_fill, work, &work->work);
    napi_queue_async_work(env, work->work);
    return promise;
}

/* endSink(sink): [SHA-256, bytes] of what was written. */
static napi_value end_sink(napi_env env, napi_callback_info info)
{
    napi_value args[1], result, digest;
    struct sink *sink;
    uint8_t bytes[DIGEST_BYTES];
    if (!read_args(env, info, 1, args) || !read_sink(env, args[0], &sink)) return NULL;
    if (!EVP_DigestFinal_ex(sink->digest, bytes, NULL)) return throw_errno(env, EIO, "EVP_DigestFinal_ex", NULL);
    napi_create_buffer_copy(env, sizeof bytes, bytes, NULL, &digest);
    napi_create_array_with_length(env, 2, &result);
    napi_set_element(env, result, 0, digest);
    napi_set_element(env, result, 1, make_int(env, (int64_t)sink->written));
    return result;
}

void init_sink(napi_env env, napi_value exports)
{
    export_function(env, exports, "openSink", open_sink);
    export_function(env, exports, "fillSink", fill_sink);
    export_function(env, exports, "endSink", end_sink);
}
