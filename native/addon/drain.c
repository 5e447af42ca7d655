/* Pipes that end in a sink: what a helper writes reaches its file past the main thread and the heap. */
#include "sink.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void drain(struct sink_work *work, uint8_t *buffer)
{
    for (;;) {
        ssize_t length = read(work->pipe, buffer, BUFFER_BYTES);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) sink_fail(work, errno, "read");
        struct iovec piece = {.iov_base = buffer, .iov_len = (size_t)length};
        if (length <= 0 || !sink_take(work, &piece, 1)) return;
    }
}

static void *run_drain(void *data)
{
    struct sink_work *work = data;
    struct sink *sink = work->sink;
    uint8_t *buffer = malloc(BUFFER_BYTES);
    if (buffer) drain(work, buffer);
    else sink_fail(work, ENOMEM, "malloc");
    free(buffer);
    close(work->pipe);
    napi_call_threadsafe_function(work->drained, work, napi_tsfn_blocking);
    sink_release(NULL, sink, NULL);
    return NULL;
}

static void finish_drain(napi_env env, napi_value callback, void *context, void *data)
{
    (void)callback;
    (void)context;
    struct sink_work *work = data;
    if (env) sink_settle(env, work);
    napi_release_threadsafe_function(work->drained, napi_tsfn_release);
    free(work);
}

static int start_thread(struct sink_work *work)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    atomic_fetch_add(&work->sink->owners, 1);
    int error = pthread_create(&thread, &attributes, run_drain, work);
    pthread_attr_destroy(&attributes);
    return error;
}

/*
 * drainIntoSink(sink, pipeFd): Promise of an outcome, once all that comes through the pipe was taken, as it is, and the pipe
 * is closed. On a thread of its own: what fills the pipe may be waiting for the pool's.
 */
static napi_value drain_into_sink(napi_env env, napi_callback_info info)
{
    napi_value args[2], name, promise;
    struct sink *sink;
    int64_t pipe;
    if (!read_args(env, info, 2, args) || !sink_read(env, args[0], &sink) || !read_int(env, args[1], &pipe)) return NULL;
    struct sink_work *work = calloc(1, sizeof *work);
    if (!work) return throw_errno(env, ENOMEM, "calloc", NULL);
    work->sink = sink;
    work->pipe = (int)pipe;
    napi_create_string_utf8(env, "tsbuild:drainIntoSink", NAPI_AUTO_LENGTH, &name);
    napi_create_promise(env, &work->deferred, &promise);
    napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, NULL, finish_drain, &work->drained);
    int error = start_thread(work);
    if (!error) return promise;
    sink_release(NULL, sink, NULL);
    sink_fail(work, error, "pthread_create");
    close(work->pipe);
    finish_drain(env, NULL, NULL, work);
    return promise;
}

void init_drain(napi_env env, napi_value exports)
{
    export_function(env, exports, "drainIntoSink", drain_into_sink);
}
