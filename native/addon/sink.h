/* A file that is written on other threads than the main one, which hash what they write. */
#ifndef TSBUILD_SINK_H
#define TSBUILD_SINK_H

#include "addon.h"
#include "node-exports.h"

#include <stdatomic.h>
#include <sys/uio.h>

struct inflater;
struct sink_thread;
enum outcome { TAKEN, MALFORMED, TOO_LARGE };

struct sink {
    atomic_int owners; /* the value that JavaScript has, and a thread that drains a pipe */
    int fd;
    struct inflater *inflater; /* NULL for what is written as it comes */
    bool is_in_member, had_member;
    evp_digest *digest;
    uint64_t at, held_bytes, submitted, max_bytes; /* the first `held_bytes` are in the file already */
    uint8_t *buffer; /* of what was inflated and is not written yet */
    size_t filled;
    struct sink_thread *thread; /* NULL until a buffer is full, or where none can be had */
};

struct sink_work {
    napi_async_work work;
    napi_threadsafe_function drained;
    napi_deferred deferred;
    napi_ref sink_value, chunks_value;
    struct sink *sink;
    bool is_last;
    int pipe;
    enum outcome outcome;
    int error;
    const char *syscall;
    size_t count;
    struct iovec pieces[];
};

/* Always false, and sink_take when it cannot: the work has the reason then. */
bool sink_fail(struct sink_work *work, int error, const char *syscall);
bool sink_take(struct sink_work *work, struct iovec *pieces, size_t count);
/* Fulfills or breaks the promise. */
void sink_settle(napi_env env, struct sink_work *work);
void sink_release(napi_env env, void *sink, void *hint);
/* false with an exception pending */
bool sink_read(napi_env env, napi_value value, struct sink **sink);

#endif
