/* The contents of many files of a directory hashed on a thread of the pool. */
#include "addon.h"
#include "folder-record.h"
#include "node-exports.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct digesting {
    napi_async_work work;
    napi_deferred deferred;
    napi_ref kept[2];
    char *path;
    uint8_t *records;
    size_t records_bytes;
    const uint32_t *starts;
    size_t count;
    int error;
    const char *failed;
    char failed_path[PATH_MAX];
};

static int fail(struct digesting *job, int error, const char *syscall)
{
    job->error = error;
    job->failed = syscall;
    return -1;
}

/* As many bytes as the file had when it was examined. */
static int hash_bytes(struct digesting *job, int fd, uint64_t left, evp_digest *digest, uint8_t *buffer)
{
    while (left > 0) {
        ssize_t length = read(fd, buffer, left < BUFFER_BYTES ? left : BUFFER_BYTES);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) return fail(job, errno, "read");
        if (length == 0) break;
        if (EVP_DigestUpdate(digest, buffer, (size_t)length) != 1) return fail(job, EIO, "digest");
        left -= (uint64_t)length;
    }
    return 0;
}

static int hash_file(struct digesting *job, struct folder_record *record, evp_digest *digest, uint8_t *buffer)
{
    int length = snprintf(job->failed_path, sizeof job->failed_path, "%s/%.*s", job->path, (int)record->name_bytes, folder_record_name(record));
    if (length < 0 || (size_t)length >= sizeof job->failed_path) return fail(job, ENAMETOOLONG, "open");
    int fd = open(job->failed_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return fail(job, errno, "open");
    int result = EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 ? hash_bytes(job, fd, record->size, digest, buffer) : fail(job, EIO, "digest");
    close(fd);
    if (result < 0) return -1;
    if (EVP_DigestFinal_ex(digest, record->digest, NULL) != 1) return fail(job, EIO, "digest");
    record->flags |= FOLDER_DIGEST_TAKEN;
    return 0;
}

static void run_digesting(napi_env env, void *data)
{
    (void)env;
    struct digesting *job = data;
    evp_digest *digest = EVP_MD_CTX_new();
    uint8_t *buffer = malloc(BUFFER_BYTES);
    if (!digest || !buffer) fail(job, ENOMEM, "malloc");
    for (size_t i = 0; i < job->count && job->error == 0; i++) {
        const struct folder_record *record = folder_record_at(job->records, job->records_bytes, job->starts[i]);
        if (!record) fail(job, EINVAL, "record");
        else hash_file(job, (struct folder_record *)(void *)(job->records + job->starts[i]), digest, buffer);
    }
    free(buffer);
    EVP_MD_CTX_free(digest);
}

static void finish_digesting(napi_env env, napi_status status, void *data)
{
    (void)status;
    struct digesting *job = data;
    napi_value value;
    for (size_t i = 0; i < 2; i++) napi_delete_reference(env, job->kept[i]);
    if (job->error != 0) {
        reject_errno(env, job->deferred, job->error, job->failed, job->failed_path);
    } else {
        napi_get_undefined(env, &value);
        napi_resolve_deferred(env, job->deferred, value);
    }
    napi_delete_async_work(env, job->work);
    free(job->path);
    free(job);
}

static bool read_starts(napi_env env, napi_value value, struct digesting *job)
{
    napi_typedarray_type type;
    void *data = NULL;
    bool is_typed = false;
    if (napi_is_typedarray(env, value, &is_typed) != napi_ok || !is_typed ||
        napi_get_typedarray_info(env, value, &type, &job->count, &data, NULL, NULL) != napi_ok || type != napi_uint32_array) {
        throw_type(env, "want a Uint32Array");
        return false;
    }
    job->starts = data;
    return true;
}

/* digestFiles(path, records, starts): Promise that the records have their digests. */
static napi_value digest_files(napi_env env, napi_callback_info info)
{
    napi_value args[3], name, promise;
    const uint8_t *records;
    if (!read_args(env, info, 3, args)) return NULL;
    struct digesting *job = calloc(1, sizeof *job);
    if (!job) return throw_errno(env, ENOMEM, "calloc", NULL);
    if (!(job->path = copy_text(env, args[0])) || !read_bytes(env, args[1], &records, &job->records_bytes) || !read_starts(env, args[2], job)) {
        free(job->path);
        free(job);
        return NULL;
    }
    job->records = (uint8_t *)records;
    for (size_t i = 0; i < 2; i++) napi_create_reference(env, args[i + 1], 1, &job->kept[i]);
    napi_create_string_utf8(env, "tsbuild:digest", NAPI_AUTO_LENGTH, &name);
    napi_create_promise(env, &job->deferred, &promise);
    napi_create_async_work(env, NULL, name, run_digesting, finish_digesting, job, &job->work);
    napi_queue_async_work(env, job->work);
    return promise;
}

void init_digest_files(napi_env env, napi_value exports)
{
    export_function(env, exports, "digestFiles", digest_files);
}
