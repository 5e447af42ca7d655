/*
 * Files that are written on the threads of the pool, which undo gzip on the way and hash what they write: a layer's
 * bytes pass neither the main thread nor the heap.
 */
#include "sink.h"

#include "inflater.h"
#include "sink-thread.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* The disk gets to work on what was written meanwhile, so that flushing it in the end does not take as long again. */
#define WRITEBACK_BYTES (8u * 1024 * 1024)
#define MAX_DIGEST_BYTES 64

bool sink_fail(struct sink_work *work, int error, const char *syscall)
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

static void drop_bytes(struct iovec **pieces, size_t *count, uint64_t bytes)
{
    for (; *count > 0 && bytes >= (*pieces)->iov_len; (*pieces)++, (*count)--) bytes -= (*pieces)->iov_len;
    if (*count == 0) return;
    (*pieces)->iov_base = (uint8_t *)(*pieces)->iov_base + bytes;
    (*pieces)->iov_len -= bytes;
}

static bool write_pieces(struct sink_work *work, struct iovec *pieces, size_t count)
{
    struct sink *sink = work->sink;
    while (count > 0) {
        ssize_t written = pwritev(sink->fd, pieces, count < IOV_MAX ? (int)count : IOV_MAX, (off_t)sink->at);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return sink_fail(work, errno, "pwritev");
        sink->at += (uint64_t)written;
        drop_bytes(&pieces, &count, (uint64_t)written);
    }
    if (sink->at - sink->submitted >= WRITEBACK_BYTES) {
        /* A wish: whether everything was written is what flushing tells. */
        sync_file_range(sink->fd, (off_t)sink->submitted, (off_t)(sink->at - sink->submitted), SYNC_FILE_RANGE_WRITE);
        sink->submitted = sink->at;
    }
    return true;
}

/* Everything is hashed before it is written, because writing changes the pieces. */
bool sink_take(struct sink_work *work, struct iovec *pieces, size_t count)
{
    struct sink *sink = work->sink;
    uint64_t total = 0, held = sink->at < sink->held_bytes ? sink->held_bytes - sink->at : 0;
    for (size_t i = 0; i < count; i++) {
        total += pieces[i].iov_len;
        if (!EVP_DigestUpdate(sink->digest, pieces[i].iov_base, pieces[i].iov_len)) return sink_fail(work, EIO, "EVP_DigestUpdate");
    }
    if (total > sink->max_bytes - sink->at) return refuse(work, TOO_LARGE);
    if (held > total) held = total;
    sink->at += held;
    drop_bytes(&pieces, &count, held);
    return write_pieces(work, pieces, count);
}

static bool take_buffer(struct sink_work *work)
{
    struct sink *sink = work->sink;
    struct iovec piece = {.iov_base = sink->buffer, .iov_len = sink->filled};
    sink->filled = 0;
    if (piece.iov_len == BUFFER_BYTES && !sink->thread) sink->thread = sink_thread_start(sink);
    if (sink->thread) return sink_thread_give(work, &sink->buffer, piece.iov_len);
    return piece.iov_len == 0 || sink_take(work, &piece, 1);
}

/* All members of a gzip stream are its content, and nothing but members may follow each other. */
static bool inflate_piece(struct sink_work *work, const struct iovec *piece)
{
    struct sink *sink = work->sink;
    struct inflation step = {.input = piece->iov_base, .input_bytes = piece->iov_len};
    for (int outcome = WANTS_INPUT; step.input_bytes > 0 || outcome == WANTS_OUTPUT;) {
        step.output = sink->buffer + sink->filled;
        step.output_bytes = BUFFER_BYTES - sink->filled;
        outcome = inflater_step(sink->inflater, &step);
        /* What filled the buffer with its last byte may have nothing more to give. */
        bool is_stuck = outcome == WANTS_INPUT && step.input_bytes > 0 && step.consumed == 0 && step.produced == 0;
        if (outcome < 0 || is_stuck) return refuse(work, MALFORMED);
        step.input += step.consumed;
        step.input_bytes -= step.consumed;
        sink->filled += step.produced;
        sink->is_in_member = outcome != MEMBER_ENDED;
        sink->had_member = true;
        if (sink->filled == BUFFER_BYTES && !take_buffer(work)) return false;
    }
    return true;
}

static bool inflate_pieces(struct sink_work *work)
{
    struct sink *sink = work->sink;
    for (size_t i = 0; i < work->count; i++) {
        if (!inflate_piece(work, &work->pieces[i])) return false;
    }
    if (!work->is_last) return true;
    if (sink->is_in_member || !sink->had_member) return refuse(work, MALFORMED);
    return take_buffer(work);
}

static void fill(struct sink_work *work)
{
    struct sink *sink = work->sink;
    if (!sink->inflater) {
        sink_take(work, work->pieces, work->count);
        return;
    }
    bool is_inflated = inflate_pieces(work);
    if (!sink->thread) return;
    /* The descriptor may be closed when this has ended. What failed in writing failed first. */
    bool is_written = sink_thread_wait(work);
    if (is_inflated && is_written && !work->is_last) return;
    sink_thread_end(sink->thread);
    sink->thread = NULL;
}

static void run_fill(napi_env env, void *data)
{
    (void)env;
    fill(data);
}

void sink_settle(napi_env env, struct sink_work *work)
{
    if (work->error) reject_errno(env, work->deferred, work->error, work->syscall, NULL);
    else napi_resolve_deferred(env, work->deferred, make_int(env, work->outcome));
}

static void finish_fill(napi_env env, napi_status status, void *data)
{
    (void)status;
    struct sink_work *work = data;
    sink_settle(env, work);
    napi_delete_reference(env, work->sink_value);
    napi_delete_reference(env, work->chunks_value);
    napi_delete_async_work(env, work->work);
    free(work);
}

void sink_release(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    struct sink *sink = data;
    if (atomic_fetch_sub(&sink->owners, 1) > 1) return;
    if (sink->thread) sink_thread_end(sink->thread);
    if (sink->inflater) inflater_close(sink->inflater);
    free(sink->inflater);
    EVP_MD_CTX_free(sink->digest);
    free(sink->buffer);
    free(sink);
}

static bool read_field(napi_env env, napi_value options, const char *name, napi_value *value)
{
    if (napi_get_named_property(env, options, name, value) == napi_ok) return true;
    throw_type(env, "want options");
    return false;
}

static bool read_size(napi_env env, napi_value options, const char *name, uint64_t *size)
{
    napi_value value;
    int64_t number;
    if (!read_field(env, options, name, &value) || !read_int(env, value, &number)) return false;
    *size = (uint64_t)number;
    return true;
}

/* Whether a text is that word. */
static bool read_word(napi_env env, napi_value options, const char *name, const char *word, bool *is_word)
{
    napi_value value;
    if (!read_field(env, options, name, &value)) return false;
    char *text = copy_text(env, value);
    if (!text) return false;
    *is_word = strcmp(text, word) == 0;
    free(text);
    return true;
}

/* By ISA-L, by zlib, or not at all. */
static bool open_inflater(napi_env env, struct sink *sink, bool is_gzip, bool wants_isal)
{
    const char *reason;
    const struct isal_library *isal = wants_isal ? get_isal(&reason) : NULL;
    if (!is_gzip) return true;
    if (wants_isal && !isal) {
        throw_type(env, reason);
        return false;
    }
    sink->buffer = malloc(BUFFER_BYTES);
    sink->inflater = malloc(sizeof *sink->inflater);
    if (sink->buffer && sink->inflater && inflater_open(sink->inflater, isal) == 0) return true;
    free(sink->inflater);
    sink->inflater = NULL;
    throw_errno(env, ENOMEM, "openSink", NULL);
    return false;
}

/* openSink(fd, {algorithm, inflater, heldBytes, maxBytes}): the descriptor stays the caller's to close. */
static napi_value open_sink(napi_env env, napi_callback_info info)
{
    napi_value args[2], result;
    int64_t fd;
    bool is_sha512, is_zlib, is_isal;
    struct sink sink = {0};
    if (!read_args(env, info, 2, args) || !read_int(env, args[0], &fd) || !read_word(env, args[1], "algorithm", "sha512", &is_sha512) ||
        !read_word(env, args[1], "inflater", "zlib", &is_zlib) || !read_word(env, args[1], "inflater", "isa-l", &is_isal) ||
        !read_size(env, args[1], "heldBytes", &sink.held_bytes) || !read_size(env, args[1], "maxBytes", &sink.max_bytes)) {
        return NULL;
    }
    struct sink *made = malloc(sizeof *made);
    if (!made) return throw_errno(env, ENOMEM, "malloc", NULL);
    *made = sink;
    atomic_init(&made->owners, 1);
    made->fd = (int)fd;
    made->submitted = sink.held_bytes;
    made->digest = EVP_MD_CTX_new();
    bool is_open = open_inflater(env, made, is_zlib || is_isal, is_isal);
    if (is_open && made->digest && EVP_DigestInit_ex(made->digest, is_sha512 ? EVP_sha512() : EVP_sha256(), NULL) &&
        napi_create_external(env, made, sink_release, NULL, &result) == napi_ok) {
        return result;
    }
    sink_release(env, made, NULL);
    return is_open ? throw_errno(env, ENOMEM, "openSink", NULL) : NULL;
}

bool sink_read(napi_env env, napi_value value, struct sink **sink)
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
    if (!read_args(env, info, 3, args) || !sink_read(env, args[0], &sink)) return NULL;
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

/* endSink(sink): [digest, bytes] of what was written or held. */
static napi_value end_sink(napi_env env, napi_callback_info info)
{
    napi_value args[1], result, digest;
    struct sink *sink;
    uint8_t bytes[MAX_DIGEST_BYTES];
    unsigned length;
    if (!read_args(env, info, 1, args) || !sink_read(env, args[0], &sink)) return NULL;
    if (!EVP_DigestFinal_ex(sink->digest, bytes, &length)) return throw_errno(env, EIO, "EVP_DigestFinal_ex", NULL);
    napi_create_buffer_copy(env, length, bytes, NULL, &digest);
    napi_create_array_with_length(env, 2, &result);
    napi_set_element(env, result, 0, digest);
    napi_set_element(env, result, 1, make_int(env, (int64_t)sink->at));
    return result;
}

void init_sink(napi_env env, napi_value exports)
{
    export_function(env, exports, "openSink", open_sink);
    export_function(env, exports, "fillSink", fill_sink);
    export_function(env, exports, "endSink", end_sink);
}
