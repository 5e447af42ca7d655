/* Directories read as a whole on the threads of the pool: every name with what lstat says and, of files that did not change, their digests. */
#include "addon.h"
#include "folder-record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Filesystems may have names longer than NAME_MAX. */
#define LONGEST_RECORD (sizeof(struct folder_record) + 2 * PATH_MAX + 8)

struct reading {
    napi_async_work work;
    napi_deferred deferred;
    napi_ref kept;
    char *path, *only;
    const uint8_t *known;
    size_t known_bytes;
    bool reads_backwards;
    /* In the order they were read, and where each of them begins. */
    uint8_t *records;
    size_t used, room;
    size_t *starts;
    size_t count, starts_room;
    int error;
    const char *failed;
};

static bool grow(struct reading *reading)
{
    if (reading->room - reading->used < LONGEST_RECORD) {
        size_t room = reading->room * 2 + 16 * LONGEST_RECORD;
        uint8_t *records = realloc(reading->records, room);
        if (!records) return false;
        reading->records = records;
        reading->room = room;
    }
    if (reading->count == reading->starts_room) {
        size_t room = reading->starts_room * 2 + 64;
        size_t *starts = realloc(reading->starts, room * sizeof *starts);
        if (!starts) return false;
        reading->starts = starts;
        reading->starts_room = room;
    }
    return true;
}

static int fail(struct reading *reading, int error, const char *syscall)
{
    reading->error = error;
    reading->failed = syscall;
    return -1;
}

static void fill(struct folder_record *record, const struct stat *stat)
{
    record->device = stat->st_dev;
    record->inode = stat->st_ino;
    record->size = (uint64_t)stat->st_size;
    record->modified_s = stat->st_mtim.tv_sec;
    record->changed_s = stat->st_ctim.tv_sec;
    record->modified_ns = (uint32_t)stat->st_mtim.tv_nsec;
    record->changed_ns = (uint32_t)stat->st_ctim.tv_nsec;
    record->mode = stat->st_mode;
    record->links = (uint32_t)stat->st_nlink;
    record->major = major(stat->st_rdev);
    record->minor = minor(stat->st_rdev);
}

/* Adds what lies under a name; one that is gone by now is not there. */
static int add(struct reading *reading, int folder, const char *name)
{
    struct stat stat;
    if (!grow(reading)) return fail(reading, ENOMEM, "realloc");
    size_t name_bytes = strlen(name);
    if (name_bytes > PATH_MAX) return fail(reading, ENAMETOOLONG, "readdir");
    struct folder_record *record = (struct folder_record *)(void *)(reading->records + reading->used);
    memset(record, 0, sizeof *record);
    record->name_bytes = (uint16_t)name_bytes;
    char *text = (char *)(record + 1);
    memcpy(text, name, record->name_bytes);
    if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT || errno == ENOTDIR) return 0;
        record->error = (uint32_t)errno;
    } else {
        fill(record, &stat);
        if (S_ISLNK(stat.st_mode)) {
            ssize_t length = readlinkat(folder, name, text + record->name_bytes, PATH_MAX);
            if (length < 0) record->error = (uint32_t)errno;
            else record->target_bytes = (uint16_t)length;
        }
    }
    size_t text_bytes = (size_t)record->name_bytes + record->target_bytes;
    record->record_bytes = (uint32_t)((sizeof *record + text_bytes + 7) & ~(size_t)7);
    memset(text + text_bytes, 0, record->record_bytes - sizeof *record - text_bytes);
    reading->starts[reading->count++] = reading->used;
    reading->used += record->record_bytes;
    return 0;
}

static int read_names(struct reading *reading)
{
    int fd = open(reading->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        int error = errno;
        if (fd >= 0) close(fd);
        return fail(reading, error, "open");
    }
    int result = 0;
    if (reading->only) result = add(reading, fd, reading->only);
    while (!reading->only && result == 0) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry) {
            if (errno != 0) result = fail(reading, errno, "readdir");
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) result = add(reading, fd, entry->d_name);
    }
    closedir(folder);
    return result;
}

static int compare_names(const struct folder_record *one, const struct folder_record *other)
{
    size_t shorter = one->name_bytes < other->name_bytes ? one->name_bytes : other->name_bytes;
    int order = memcmp(folder_record_name(one), folder_record_name(other), shorter);
    return order != 0 ? order : (int)one->name_bytes - (int)other->name_bytes;
}

static struct folder_record *record_of(const struct reading *reading, size_t start)
{
    return (struct folder_record *)(void *)(reading->records + start);
}

static int compare_starts(const void *one, const void *other, void *reading)
{
    return compare_names(record_of(reading, *(const size_t *)one), record_of(reading, *(const size_t *)other));
}

/* Puts the records in the order of their names. */
static int sort(struct reading *reading)
{
    if (reading->count == 0) return 0;
    for (size_t i = 0; reading->reads_backwards && i < reading->count / 2; i++) {
        size_t start = reading->starts[i];
        reading->starts[i] = reading->starts[reading->count - 1 - i];
        reading->starts[reading->count - 1 - i] = start;
    }
    qsort_r(reading->starts, reading->count, sizeof *reading->starts, compare_starts, reading);
    uint8_t *sorted = malloc(reading->used);
    if (!sorted) return fail(reading, ENOMEM, "malloc");
    size_t used = 0;
    for (size_t i = 0; i < reading->count; i++) {
        const struct folder_record *record = record_of(reading, reading->starts[i]);
        memcpy(sorted + used, record, record->record_bytes);
        reading->starts[i] = used;
        used += record->record_bytes;
    }
    free(reading->records);
    reading->records = sorted;
    return 0;
}

/* A file whose digest is kept has no attributes, and one that got some has another time of change. */
static void recall_digests(struct reading *reading)
{
    size_t at = 0;
    const struct folder_record *known = folder_record_at(reading->known, reading->known_bytes, at);
    for (size_t i = 0; i < reading->count && known; i++) {
        struct folder_record *record = record_of(reading, reading->starts[i]);
        int order = -1;
        while (known && (order = compare_names(known, record)) < 0) {
            at += known->record_bytes;
            known = folder_record_at(reading->known, reading->known_bytes, at);
        }
        if (!known || order != 0 || !(known->flags & FOLDER_DIGEST_KEPT) || memcmp(known, record, FOLDER_STAMP_BYTES) != 0) continue;
        memcpy(record->digest, known->digest, sizeof record->digest);
        record->flags |= FOLDER_DIGEST_KEPT;
    }
}

static int find_capabilities(struct reading *reading)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < reading->count; i++) {
        struct folder_record *record = record_of(reading, reading->starts[i]);
        if (record->error != 0 || (record->flags & FOLDER_DIGEST_KEPT)) continue;
        int length = snprintf(path, sizeof path, "%s/%.*s", reading->path, (int)record->name_bytes, folder_record_name(record));
        if (length < 0 || (size_t)length >= sizeof path) return fail(reading, ENAMETOOLONG, "lgetxattr");
        if (lgetxattr(path, "security.capability", NULL, 0) >= 0) record->flags |= FOLDER_HAS_CAPABILITY;
        else if (errno != ENODATA && errno != ENOTSUP && errno != ENOENT) record->error = (uint32_t)errno;
    }
    return 0;
}

static void run_reading(napi_env env, void *data)
{
    (void)env;
    struct reading *reading = data;
    if (read_names(reading) < 0 || sort(reading) < 0) return;
    recall_digests(reading);
    find_capabilities(reading);
}

static void free_reading(struct reading *reading)
{
    free(reading->records);
    free(reading->starts);
    free(reading->path);
    free(reading->only);
    free(reading);
}

static void finish_reading(napi_env env, napi_status status, void *data)
{
    (void)status;
    struct reading *reading = data;
    napi_value result;
    if (reading->kept) napi_delete_reference(env, reading->kept);
    if (reading->error != 0) {
        reject_errno(env, reading->deferred, reading->error, reading->failed, reading->path);
    } else {
        napi_create_buffer_copy(env, reading->used, reading->records, NULL, &result);
        napi_resolve_deferred(env, reading->deferred, result);
    }
    napi_delete_async_work(env, reading->work);
    free_reading(reading);
}

static bool is_nothing(napi_env env, napi_value value)
{
    napi_valuetype type;
    return napi_typeof(env, value, &type) == napi_ok && type == napi_undefined;
}

/* readFolder(path, known, only, readsBackwards): Promise of the records. */
static napi_value read_folder(napi_env env, napi_callback_info info)
{
    napi_value args[4], name, promise;
    if (!read_args(env, info, 4, args)) return NULL;
    struct reading *reading = calloc(1, sizeof *reading);
    if (!reading) return throw_errno(env, ENOMEM, "calloc", NULL);
    napi_get_value_bool(env, args[3], &reading->reads_backwards);
    if (!(reading->path = copy_text(env, args[0])) || (!is_nothing(env, args[2]) && !(reading->only = copy_text(env, args[2]))) ||
        (!is_nothing(env, args[1]) && !read_bytes(env, args[1], &reading->known, &reading->known_bytes))) {
        free_reading(reading);
        return NULL;
    }
    if ((uintptr_t)reading->known % 8 != 0) {
        free_reading(reading);
        return throw_type(env, "want records that are aligned");
    }
    if (reading->known) napi_create_reference(env, args[1], 1, &reading->kept);
    napi_create_string_utf8(env, "tsbuild:folder", NAPI_AUTO_LENGTH, &name);
    napi_create_promise(env, &reading->deferred, &promise);
    napi_create_async_work(env, NULL, name, run_reading, finish_reading, reading, &reading->work);
    napi_queue_async_work(env, reading->work);
    return promise;
}

void init_read_folder(napi_env env, napi_value exports)
{
    export_function(env, exports, "readFolder", read_folder);
}
