/* gzip by ISA-L, on the threads of the pool: blocks of a stream compressed apart from each other, and streams inflated. */
#include "addon.h"
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
    const struct isal_library *isal;
    const uint8_t *input, *dictionary;
    uint8_t *output;
    size_t input_bytes, dictionary_bytes, output_bytes;
    struct inflater *inflater;
    /* Of an inflation: what was taken and made, and how it stands, as inflateStates of native/addon.ts counts. */
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
    const char *reason;
    const struct isal_library *isal = get_isal(&reason);
    if (!isal) {
        throw_type(env, reason);
        return NULL;
    }
    struct job *job = calloc(1, sizeof *job);
    if (!job) {
        throw_errno(env, ENOMEM, "calloc", NULL);
        return NULL;
    }
    job->isal = isal;
    for (size_t i = 0; i < count; i++) napi_create_reference(env, kept[i], 1, &job->kept[i]);
    return job;
}

struct compressor {
    struct isal_zstream stream;
    uint8_t level[ISAL_LEVEL_BYTES];
};

/* The bytes of a block behind those of the dictionary, ending on a byte with an empty stored block as zlib's sync flush does. */
static void run_deflate(napi_env env, void *data)
{
    (void)env;
    struct job *job = data;
    struct compressor *compressor = malloc(sizeof *compressor);
    job->outcome = -ENOMEM;
    if (!compressor) return;
    struct isal_zstream *stream = &compressor->stream;
    job->isal->deflate_init(stream);
    stream->level = ISAL_LEVEL;
    stream->level_buf = compressor->level;
    stream->level_buf_size = sizeof compressor->level;
    stream->flush = ISAL_SYNC_FLUSH;
    job->outcome = job->dictionary_bytes == 0 ? 0 : job->isal->deflate_set_dictionary(stream, job->dictionary, (uint32_t)job->dictionary_bytes);
    stream->next_in = (uint8_t *)job->input;
    stream->avail_in = (uint32_t)job->input_bytes;
    stream->next_out = job->output;
    stream->avail_out = (uint32_t)job->output_bytes;
    if (job->outcome == 0) job->outcome = job->isal->deflate(stream);
    /* No room left may mean that the end is missing. */
    if (job->outcome == 0 && (stream->avail_in > 0 || stream->avail_out == 0)) job->outcome = -ENOBUFS;
    job->produced = job->output_bytes - stream->avail_out;
    free(compressor);
}

static void finish_deflate(napi_env env, napi_status status, void *data)
{
    (void)status;
    struct job *job = data;
    settle(env, job, make_int(env, job->outcome == 0 ? (int64_t)job->produced : job->outcome < 0 ? job->outcome : -job->outcome));
}

/* deflateBlock(block, dictionary, output): Promise of how many bytes of the output were written, or of a negative number. */
static napi_value deflate_block(napi_env env, napi_callback_info info)
{
    napi_value args[3];
    if (!read_args(env, info, 3, args)) return NULL;
    const uint8_t *block, *dictionary, *output;
    size_t block_bytes, dictionary_bytes, output_bytes;
    if (!read_buffer(env, args[0], &block, &block_bytes) || !read_buffer(env, args[1], &dictionary, &dictionary_bytes) || !read_buffer(env, args[2], &output, &output_bytes)) return NULL;
    struct job *job = create_job(env, args, 3);
    if (!job) return NULL;
    job->input = block;
    job->input_bytes = block_bytes;
    job->dictionary = dictionary;
    job->dictionary_bytes = dictionary_bytes;
    job->output = (uint8_t *)output;
    job->output_bytes = output_bytes;
    return start(env, job, run_deflate, finish_deflate);
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
    export_function(env, exports, "deflateBlock", deflate_block);
    export_function(env, exports, "openInflater", open_inflater);
    export_function(env, exports, "inflate", inflate_bytes);
}
