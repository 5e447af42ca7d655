#include "tree/unpack/unpack.h"

#include "report.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"
#include "tree/files/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Memory for directories of one layer: some million of them. */
#define MAX_RECORDS ((size_t)512 << 20)

/* Followed in the buffer by the path and its NUL, then by each attribute: {size_t length}, name, NUL, value. */
struct directory_record {
    uint32_t mode, uid, gid, mtime_ns;
    int64_t mtime;
    size_t path_length, xattr_count;
};

int directories_add(struct directories *directories, const struct buffer *path, const struct entry *entry)
{
    struct directory_record record = {
        .mode = entry->mode, .uid = entry->uid, .gid = entry->gid, .mtime = entry->mtime, .mtime_ns = entry->mtime_ns,
        .path_length = path->length, .xattr_count = entry->xattrs.count,
    };
    if (directories->records.length > MAX_RECORDS) return refuse(RULE_ENTRY_COUNT, path->data, path->length);
    if (directories->count == directories->capacity) {
        directories->capacity = directories->count ? directories->count * 2 : 256;
        directories->places = checked_realloc(directories->places, directories->capacity, sizeof *directories->places);
    }
    directories->places[directories->count++] = directories->records.length;
    buffer_append(&directories->records, &record, sizeof record);
    buffer_append(&directories->records, path->data, path->length);
    buffer_append(&directories->records, "", 1);
    for (size_t i = 0; i < entry->xattrs.count; i++) {
        const struct xattr_item *item = &entry->xattrs.items[i];
        buffer_append(&directories->records, &item->value_length, sizeof item->value_length);
        buffer_append(&directories->records, xattr_name(&entry->xattrs, i), strlen(xattr_name(&entry->xattrs, i)) + 1);
        buffer_append(&directories->records, xattr_value(&entry->xattrs, i), item->value_length);
    }
    return 0;
}

static const char *record_path(const struct buffer *records, size_t place)
{
    return records->data + place + sizeof(struct directory_record);
}

/* By path, and of equal paths the later record first. */
static int compare_records(const void *one, const void *other, void *context)
{
    const struct buffer *records = context;
    size_t a = *(const size_t *)one, b = *(const size_t *)other;
    int difference = strcmp(record_path(records, a), record_path(records, b));
    return difference ? difference : a > b ? -1 : 1;
}

static int set_metadata(int fd, const struct directory_record *record, const char *after_path, enum overlay_namespace space)
{
    static struct xattrs xattrs;
    const struct timespec times[2] = {{record->mtime, record->mtime_ns}, {record->mtime, record->mtime_ns}};
    xattrs_clear(&xattrs);
    for (size_t i = 0; i < record->xattr_count; i++) {
        size_t length;
        memcpy(&length, after_path, sizeof length);
        const char *name = after_path + sizeof length, *value = name + strlen(name) + 1;
        xattrs_add(&xattrs, name, value, length);
        after_path = value + length;
    }
    if (fchown(fd, record->uid, record->gid) < 0 || fchmod(fd, record->mode) < 0) return -1;
    return xattrs_write(&xattrs, fd, NULL, space) < 0 ? -1 : futimens(fd, times);
}

/* The directory finished last, and the one it lies in: in sorted order the next lies in one of them, most of the time. */
struct near {
    struct buffer path;
    int directory, parent;
};

static void close_if_open(int fd)
{
    if (fd >= 0) close(fd);
}

static size_t parent_length(const char *path, size_t length)
{
    const char *slash = memrchr(path, '/', length);
    return slash ? (size_t)(slash - path) : 0;
}

/* Makes `near->parent` the directory that `path` lies in. */
static void approach(const struct unpack *unpack, struct near *near, const char *path, size_t length)
{
    size_t parent = parent_length(path, length), shared = parent_length(near->path.data, near->path.length);
    if (near->path.length == parent && memcmp(near->path.data, path, parent) == 0) {
        close_if_open(near->parent);
        near->parent = near->directory;
    } else {
        bool is_sibling = near->path.length > 0 && shared == parent && memcmp(near->path.data, path, parent) == 0;
        close_if_open(near->directory);
        if (!is_sibling) {
            close_if_open(near->parent);
            static struct buffer text;
            buffer_set(&text, path, parent);
            near->parent = open_beneath(unpack->root, text.data, O_RDONLY | O_DIRECTORY);
        }
    }
    near->directory = -1;
}

static int open_next(const struct unpack *unpack, struct near *near, const char *path, size_t length)
{
    if (length == 0) return near->directory;
    approach(unpack, near, path, length);
    size_t parent = parent_length(path, length);
    if (near->parent >= 0) near->directory = openat(near->parent, path + parent + (parent > 0), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    buffer_set(&near->path, path, length);
    return near->directory;
}

static int finish_directory(struct unpack *unpack, struct near *near, size_t place)
{
    struct directory_record record;
    const char *path = record_path(&unpack->directories.records, place);
    memcpy(&record, unpack->directories.records.data + place, sizeof record);
    errno = 0;
    int fd = open_next(unpack, near, path, record.path_length);
    /* Replaced later by something else, or gone with a directory above. */
    if (fd < 0) return errno == 0 || errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : report_failure(STAGE_WRITE_TREE, path);
    struct stat stat;
    int result = set_metadata(fd, &record, path + record.path_length + 1, unpack->space);
    if (result == 0) result = fstat(fd, &stat);
    if (result < 0) return report_failure(STAGE_WRITE_TREE, path);
    totals_add(&unpack->totals, &stat);
    return 0;
}

int directories_finish(struct unpack *unpack)
{
    struct directories *directories = &unpack->directories;
    /* The walk begins in the root, whose path sorts first. */
    struct near near = {.directory = openat(unpack->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), .parent = -1};
    const char *last = NULL;
    int result = near.directory < 0 ? report_failure(STAGE_OPEN_TREE, "") : 0;
    buffer_set(&near.path, "", 0);
    if (directories->count > 1) qsort_r(directories->places, directories->count, sizeof *directories->places, compare_records, &directories->records);
    for (size_t i = 0; i < directories->count && result == 0; i++) {
        const char *path = record_path(&directories->records, directories->places[i]);
        if (last && strcmp(last, path) == 0) continue;
        last = path;
        result = finish_directory(unpack, &near, directories->places[i]);
    }
    close_if_open(near.directory);
    close_if_open(near.parent);
    buffer_free(&near.path);
    return result;
}
