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

/* Followed in the buffer by the path and its NUL, then by each attribute: {size_t length}, name, NUL, value. */
struct directory_record {
    uint32_t mode, uid, gid, mtime_ns;
    int64_t mtime;
    size_t path_length, xattr_count;
};

void directories_add(struct directories *directories, const struct buffer *path, const struct entry *entry)
{
    struct directory_record record = {
        .mode = entry->mode, .uid = entry->uid, .gid = entry->gid, .mtime = entry->mtime, .mtime_ns = entry->mtime_ns,
        .path_length = path->length, .xattr_count = entry->xattrs.count,
    };
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

static int finish_directory(struct unpack *unpack, size_t place)
{
    struct directory_record record;
    const char *path = record_path(&unpack->directories.records, place);
    memcpy(&record, unpack->directories.records.data + place, sizeof record);
    int fd = open_beneath(unpack->root, path, O_RDONLY | O_DIRECTORY);
    /* Replaced later by something else, or gone with a directory above. */
    if (fd < 0) return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : report_failure(STAGE_WRITE_TREE, path);
    struct stat stat;
    int result = set_metadata(fd, &record, path + record.path_length + 1, unpack->space);
    if (result == 0) result = fstat(fd, &stat);
    if (result < 0) report_failure(STAGE_WRITE_TREE, path);
    close(fd);
    if (result == 0) totals_add(&unpack->totals, &stat);
    return result;
}

int directories_finish(struct unpack *unpack)
{
    struct directories *directories = &unpack->directories;
    if (directories->count > 0) qsort_r(directories->places, directories->count, sizeof *directories->places, compare_records, &directories->records);
    const char *last = NULL;
    for (size_t i = 0; i < directories->count; i++) {
        const char *path = record_path(&directories->records, directories->places[i]);
        if (last && strcmp(last, path) == 0) continue;
        last = path;
        if (finish_directory(unpack, directories->places[i]) < 0) return -1;
    }
    return 0;
}
