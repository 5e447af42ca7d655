/* gzip for JavaScript: streams compressed on threads of their own, and by ISA-L inflated on those of the pool. */
#include "addon.h"
#include "gzip-writer.h"
#include "inflater.h"
#include "isal-library.h"

#include <errno.h>
#include <stdlib.h>

/* An error of an inflation, beside ISA-L's: what follows a member is no other one. */
#define FOLLOWS_MEMBER (-100)

/* What the promise of a piece of work needs; the buffers are kept from the collector by the references. */
struct job {
    napi_async_work work;
    napi_deferred deferred;
    napi_ref kept[3];
    const uint8_t *input;
    uint8_t *output;
    size_t input_bytes, output_bytes;
    struct inflater *inflater;
    /* What was taken and made, and how it stands, as inflateStates of native/addon.ts counts. */
    size_t consumed, produced;
    int outcome;
};

static bool read_buffer(napi_env env, napi_value value, const uint8_t **out, size_t *length)
{
    if (!read_bytes(env, value, out, length)) return false;
    if (*length <= UINT32_MAX) return true;
    throw_type(env, "want less than 4 GiB at once");
    return false;
}

static void settle(napi_env env, struct job *job, napi_value result)
{
    for (size_t i = 0; i < 3; i++) if (job->kept[i]) napi_delete_reference(env, job->kept[i]);
    if (result) napi_resolve_deferred(env, job->deferred, result);
    napi_delete_async_work(env, job->work);
    free(job);
}

static napi_value start(napi_env env, struct job *job, napi_async_execute_callback run, napi_async_complete_callback finish)
{
    napi_value name, promise;
    napi_create_string_utf8(env, "tsbuild:gzip", NAPI_AUTO_LENGTH, &name);
    napi_create_promise(env, &job->deferred, &promise);
    napi_create_async_work(env, NULL, name, run, finish, job, &job->work);
    napi_queue_async_work(env, job->work);
    return promise;
}

static struct job *create_job(napi_env env, const napi_value *kept, size_t count)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job) {
        throw_errno(env, ENOMEM, "calloc", NULL);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) napi_create_reference(env, kept[i], 1, &job->kept[i]);
    return job;
}

/* A gzip writer at work for JavaScript. */
struct gzip_job {
    struct gzip_writer writer;
    napi_threadsafe_function calls;
    napi_deferred deferred;
};

static void call_progressed(void *context, uint64_t written_bytes)
{
    struct gzip_job *job = context;
    napi_call_threadsafe_function(job->calls, (void *)(uintptr_t)written_bytes, napi_tsfn_nonblocking);
}

static void call_ended(void *context)
{
    struct gzip_job *job = context;
    napi_call_threadsafe_function(job->calls, NULL, napi_tsfn_nonblocking);
}

/* [digest, bytes] of one side. */
static bool make_side(napi_env env, const struct gzip_side *side, napi_value *result)
{
    uint8_t bytes[32];
    unsigned length;
    napi_value digest;
    if (!EVP_DigestFinal_ex(side->digest, bytes, &length)) return false;
    napi_create_buffer_copy(env, length, bytes, NULL, &digest);
    napi_create_array_with_length(env, 2, result);
    napi_set_element(env, *result, 0, digest);
    napi_set_element(env, *result, 1, make_int(env, (int64_t)side->bytes));
    return true;
}

static void settle_job(napi_env env, struct gzip_job *job)
{
    struct gzip_writer *writer = &job->writer;
    napi_value sides[2], result;
    if (writer->error == 0 && make_side(env, &writer->input, &sides[0]) && make_side(env, &writer->output, &sides[1])) {
        napi_create_array_with_length(env, 2, &result);
        for (uint32_t i = 0; i < 2; i++) napi_set_element(env, result, i, sides[i]);
        napi_resolve_deferred(env, job->deferred, result);
        return;
    }
    reject_errno(env, job->deferred, writer->error ? writer->error : EIO, writer->error ? writer->syscall : "EVP_DigestFinal_ex", NULL);
}

/* On the main thread: how much was written, or nothing, which is the end. Without an environment the process is ending. */
static void on_call(napi_env env, napi_value on_progress, void *context, void *written_bytes)
{
    struct gzip_job *job = context;
    if (!env) return;
    if (written_bytes) {
        napi_value global, arg = make_int(env, (int64_t)(uintptr_t)written_bytes);
        napi_get_global(env, &global);
        napi_call_function(env, global, on_progress, 1, &arg, NULL);
        return;
    }
    settle_job(env, job);
    napi_threadsafe_function calls = job->calls;
    gzip_writer_close(&job->writer);
    free(job);
    napi_release_threadsafe_function(calls, napi_tsfn_release);
}

static struct gzip_job *make_job(napi_env env, int64_t level)
{
    const char *reason;
    const struct isal_library *isal = level < 0 ? get_isal(&reason) : NULL;
    if (level < 0 && !isal) {
        throw_type(env, reason);
        return NULL;
    }
    struct gzip_job *job = calloc(1, sizeof *job);
    if (!job) {
        throw_errno(env, ENOMEM, "calloc", NULL);
        return NULL;
    }
    job->writer.isal = isal;
    job->writer.level = (int)level;
    job->writer.progressed = call_progressed;
    job->writer.ended = call_ended;
    job->writer.context = job;
    return job;
}

/*
 * writeGzip(inputFd, outputFd, level, onProgress): Promise of [digest, bytes] of what came and of what was written. Both
 * descriptors are duplicated and stay the caller's; a negative level asks for ISA-L.
 */
static napi_value write_gzip(napi_env env, napi_callback_info info)
{
    napi_value args[4], name, promise;
    int64_t input_fd, output_fd, level;
    if (!read_args(env, info, 4, args) || !read_int(env, args[0], &input_fd) || !read_int(env, args[1], &output_fd) || !read_int(env, args[2], &level)) return NULL;
    struct gzip_job *job = make_job(env, level);
    if (!job) return NULL;
    napi_create_string_utf8(env, "tsbuild:writeGzip", NAPI_AUTO_LENGTH, &name);
    if (napi_create_threadsafe_function(env, args[3], NULL, name, 0, 1, NULL, NULL, job, on_call, &job->calls) != napi_ok) {
        free(job);
        return throw_type(env, "want a function");
    }
    napi_create_promise(env, &job->deferred, &promise);
    if (gzip_writer_start(&job->writer, (int)input_fd, (int)output_fd) < 0) call_ended(job);
    return promise;
}

static void free_inflater(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    free(data);
}

/* openInflater(): a stream of gzip members, freed by the collector. */
static napi_value open_inflater(napi_env env, napi_callback_info info)
{
    (void)info;
    const char *reason;
    const struct isal_library *isal = get_isal(&reason);
    if (!isal) return throw_type(env, reason);
    struct inflater *inflater = malloc(sizeof *inflater);
    if (!inflater) return throw_errno(env, ENOMEM, "malloc", NULL);
    inflater_open(inflater, isal);
    napi_value result;
    if (napi_create_external(env, inflater, free_inflater, NULL, &result) == napi_ok) return result;
    free(inflater);
    return NULL;
}

static void run_inflate(napi_env env, void *data)
{
    (void)env;
    struct job *job = data;
    /* All members in one go: a stream may have one for every twenty bytes. */
    do {
        struct inflation inflation = {
            .input = job->input + job->consumed, .input_bytes = job->input_bytes - job->consumed, .output = job->output + job->produced, .output_bytes = job->output_bytes - job->produced,
        };
        bool is_next = job->outcome == MEMBER_ENDED;
        job->outcome = inflater_step(job->inflater, &inflation);
        if (job->outcome < 0 && is_next) job->outcome = FOLLOWS_MEMBER;
        job->consumed += inflation.consumed;
        job->produced += inflation.produced;
    } while (job->outcome == MEMBER_ENDED && job->consumed < job->input_bytes && job->produced < job->output_bytes);
}

static void finish_inflate(napi_env env, napi_status status, void *data)
{
    (void)status;
    struct job *job = data;
    napi_value result;
    napi_create_array_with_length(env, 3, &result);
    napi_set_element(env, result, 0, make_int(env, (int64_t)job->consumed));
    napi_set_element(env, result, 1, make_int(env, (int64_t)job->produced));
    napi_set_element(env, result, 2, make_int(env, job->outcome));
    settle(env, job, result);
}

/* inflate(inflater, input, output): Promise of [consumed, produced, state]. One call at a time for each inflater. */
static napi_value inflate_bytes(napi_env env, napi_callback_info info)
{
    napi_value args[3];
    if (!read_args(env, info, 3, args)) return NULL;
    const uint8_t *input, *output;
    size_t input_bytes, output_bytes;
    void *inflater;
    if (napi_get_value_external(env, args[0], &inflater) != napi_ok) return throw_type(env, "want an inflater");
    if (!read_buffer(env, args[1], &input, &input_bytes) || !read_buffer(env, args[2], &output, &output_bytes)) return NULL;
    struct job *job = create_job(env, args, 3);
    if (!job) return NULL;
    job->inflater = inflater;
    job->input = input;
    job->input_bytes = input_bytes;
    job->output = (uint8_t *)output;
    job->output_bytes = output_bytes;
    return start(env, job, run_inflate, finish_inflate);
}

/* findIsal(): undefined when ISA-L is there and works, else why not. */
static napi_value find_isal(napi_env env, napi_callback_info info)
{
    (void)info;
    const char *reason;
    napi_value result;
    if (get_isal(&reason)) napi_get_undefined(env, &result);
    else napi_create_string_utf8(env, reason, NAPI_AUTO_LENGTH, &result);
    return result;
}

void init_gzip(napi_env env, napi_value exports)
{
    export_function(env, exports, "findIsal", find_isal);
    export_function(env, exports, "writeGzip", write_gzip);
    export_function(env, exports, "openInflater", open_inflater);
    export_function(env, exports, "inflate", inflate_bytes);
}
