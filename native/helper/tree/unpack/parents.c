#include "tree/unpack/unpack.h"

#include "report.h"
#include "tree/base/record.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"
#include "tree/files/beneath.h"
#include "tree/files/whiteout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINKS 40
/* Something that is no directory is in the way; whether that is wrong is for the caller to say. */
#define BLOCKED 1

/* A path on its way from the root: `path` is found, `pending` is to come. */
struct resolution {
    struct buffer path, pending;
    int directory;
    int links;
    size_t hidden_from; /* how long `path` was where the layers below stopped to show; VISIBLE if they do not */
};

#define VISIBLE SIZE_MAX

static int fail_write(const struct buffer *path)
{
    return report_failure(STAGE_WRITE_TREE, path->data);
}

static void enter(struct resolution *resolution, int fd, const char *name, size_t length)
{
    close(resolution->directory);
    resolution->directory = fd;
    path_push(&resolution->path, name, length);
}

static void hide(struct resolution *resolution)
{
    if (resolution->hidden_from == VISIBLE) resolution->hidden_from = resolution->path.length;
}

int is_hidden(struct unpack *unpack, const char *path)
{
    if (unpack->is_root_opaque) return 1;
    int directory = openat(unpack->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), hidden = 0;
    for (const char *slash; directory >= 0 && hidden == 0 && (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        char name[MAX_NAME + 1];
        memcpy(name, path, (size_t)(slash - path));
        name[slash - path] = 0;
        int next = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(directory);
        directory = next;
        hidden = directory >= 0 && xattr_is_opaque(directory, unpack->space);
    }
    if (directory < 0) return report_failure(STAGE_READ_TREE, path);
    close(directory);
    return hidden;
}

static int needs_lowers(const char *path)
{
    struct record record = record_start();
    record_bytes(&record, path, strlen(path));
    record_send(&record, RECORD_NEEDS_LOWERS);
    return -1;
}

int find_below(struct unpack *unpack, const char *path, struct stat *stat, int *directory)
{
    if (!unpack->has_lowers) return needs_lowers(path);
    return unpack->lowers.count > 0 ? lowers_find(&unpack->lowers, path, stat, directory) : 0;
}

/* A directory of the layers below that becomes visible in this one keeps what it was. */
static int copy_metadata(struct unpack *unpack, int directory, const char *name, struct entry *entry)
{
    struct stat stat;
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) < 0) return report_failure(STAGE_READ_TREE, name);
    int result = xattrs_read(&entry->xattrs, fd, name, unpack->space, NULL);
    close(fd);
    entry->mode = stat.st_mode & 07777;
    entry->uid = stat.st_uid;
    entry->gid = stat.st_gid;
    entry->mtime = stat.st_mtim.tv_sec;
    entry->mtime_ns = (uint32_t)stat.st_mtim.tv_nsec;
    return result;
}

/* Makes a directory that the archive only implies; one lies below in the open directory `below`, unless that is -1. */
static int make_implied(struct unpack *unpack, struct resolution *resolution, const char *name, int below)
{
    static struct entry entry;
    size_t length = strlen(name);
    entry.mode = 0755;
    entry.uid = entry.gid = 0;
    entry.mtime = unpack->reader.entry.mtime;
    entry.mtime_ns = unpack->reader.entry.mtime_ns;
    xattrs_clear(&entry.xattrs);
    int fd = mkdirat(resolution->directory, name, 0700) < 0 ? -1 : openat(resolution->directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return fail_write(&resolution->path);
    enter(resolution, fd, name, length);
    if (below < 0) hide(resolution);
    else if (copy_metadata(unpack, below, name, &entry) < 0) return -1;
    return directories_add(&unpack->directories, &resolution->path, &entry);
}

static int follow(struct unpack *unpack, struct resolution *resolution, int directory, const char *name)
{
    static struct buffer rest;
    char target[MAX_LINK_TARGET + 2];
    ssize_t length = readlinkat(directory, name, target, sizeof target);
    if (length < 0) return report_failure(STAGE_READ_TREE, name);
    if (++resolution->links > MAX_LINKS) return refuse(RULE_LINK_LOOP, unpack->reader.entry.path.data, unpack->reader.entry.path.length);
    buffer_set(&rest, resolution->pending.data, resolution->pending.length);
    buffer_set(&resolution->pending, target, (size_t)length);
    path_push(&resolution->pending, rest.data, rest.length);
    if (target[0] != '/') return 0;
    int root = openat(unpack->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return report_failure(STAGE_READ_TREE, "");
    close(resolution->directory);
    resolution->directory = root;
    buffer_truncate(&resolution->path, 0);
    resolution->hidden_from = unpack->is_root_opaque ? 0 : VISIBLE;
    return 0;
}

/* The component exists below or nowhere. */
static int step_below(struct unpack *unpack, struct resolution *resolution, const char *name)
{
    static struct buffer path;
    struct stat stat;
    int directory = -1;
    buffer_set(&path, resolution->path.data, resolution->path.length);
    path_push(&path, name, strlen(name));
    int found = resolution->hidden_from == VISIBLE ? find_below(unpack, path.data, &stat, &directory) : 0;
    if (found < 0) return -1;
    if (found == 0) return make_implied(unpack, resolution, name, -1);
    if (S_ISDIR(stat.st_mode)) return make_implied(unpack, resolution, name, directory);
    if (S_ISLNK(stat.st_mode)) return follow(unpack, resolution, directory, name);
    return BLOCKED;
}

/* This layer deletes what lies below under this name, and yet has something in it: a new directory that hides the old. */
static int replace_whiteout(struct unpack *unpack, struct resolution *resolution, const char *name)
{
    if (unlinkat(resolution->directory, name, 0) < 0) return fail_write(&resolution->path);
    unpack->has_replaced = true;
    if (make_implied(unpack, resolution, name, -1) < 0) return -1;
    return make_opaque(unpack, resolution->directory, resolution->path.data);
}

static int step_up(struct resolution *resolution)
{
    if (resolution->path.length == 0) return 0;
    const char *slash = memrchr(resolution->path.data, '/', resolution->path.length);
    int fd = openat(resolution->directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return report_failure(STAGE_READ_TREE, resolution->path.data);
    close(resolution->directory);
    resolution->directory = fd;
    buffer_truncate(&resolution->path, slash ? (size_t)(slash - resolution->path.data) : 0);
    if (resolution->path.length < resolution->hidden_from) resolution->hidden_from = VISIBLE;
    return 0;
}

static int step(struct unpack *unpack, struct resolution *resolution, const char *name)
{
    struct stat stat;
    if (strcmp(name, "..") == 0) return step_up(resolution);
    if (fstatat(resolution->directory, name, &stat, AT_SYMLINK_NOFOLLOW) < 0) {
        return errno == ENOENT ? step_below(unpack, resolution, name) : report_failure(STAGE_READ_TREE, name);
    }
    if (S_ISLNK(stat.st_mode)) return follow(unpack, resolution, resolution->directory, name);
    if (is_whiteout_mark(&stat)) return replace_whiteout(unpack, resolution, name);
    if (!S_ISDIR(stat.st_mode)) return BLOCKED;
    int fd = openat(resolution->directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return report_failure(STAGE_READ_TREE, name);
    enter(resolution, fd, name, strlen(name));
    if (xattr_is_opaque(fd, unpack->space)) hide(resolution);
    return 0;
}

/* Takes the next component off the pending path; "" when there was only a slash or a dot. */
static int take_component(struct resolution *resolution, char *name)
{
    struct buffer *pending = &resolution->pending;
    size_t length = strcspn(pending->data, "/"), used = length + (pending->data[length] == '/');
    if (length > MAX_NAME) return refuse(RULE_NAME_LENGTH, pending->data, length);
    if (resolution->path.length > MAX_PATH_BYTES) return refuse(RULE_PATH_LENGTH, resolution->path.data, resolution->path.length);
    memcpy(name, pending->data, length);
    name[length] = 0;
    if (strcmp(name, ".") == 0) name[0] = 0;
    memmove(pending->data, pending->data + used, pending->length - used + 1);
    pending->length -= used;
    return 0;
}

static int resolve(struct unpack *unpack, struct parent *parent)
{
    static struct resolution resolution;
    int result = 0;
    resolution.links = 0;
    resolution.hidden_from = unpack->is_root_opaque ? 0 : VISIBLE;
    resolution.directory = openat(unpack->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (resolution.directory < 0) return report_failure(STAGE_READ_TREE, "");
    buffer_set(&resolution.path, "", 0);
    buffer_set(&resolution.pending, parent->request.data, parent->request.length);
    while (result == 0 && resolution.pending.length > 0) {
        char name[MAX_NAME + 1];
        result = take_component(&resolution, name);
        if (result == 0 && name[0]) result = step(unpack, &resolution, name);
    }
    if (result != 0) close(resolution.directory);
    else parent->fd = resolution.directory;
    buffer_set(&parent->path, resolution.path.data, resolution.path.length);
    return result;
}

int parent_open(struct unpack *unpack, struct parent *parent, const struct buffer *path)
{
    const char *slash = memrchr(path->data, '/', path->length);
    size_t length = slash ? (size_t)(slash - path->data) : 0;
    if (parent->fd >= 0 && parent->request.length == length && memcmp(parent->request.data, path->data, length) == 0) return 0;
    if (parent->fd >= 0) close(parent->fd);
    buffer_set(&parent->request, path->data, length);
    buffer_set(&parent->path, path->data, length);
    parent->fd = open_beneath(unpack->root, parent->request.data, O_RDONLY | O_DIRECTORY);
    if (parent->fd >= 0) return 0;
    if (errno != ENOENT && errno != ELOOP && errno != ENOTDIR) return report_failure(STAGE_READ_TREE, parent->request.data);
    return resolve(unpack, parent);
}

void parent_set(struct parent *parent, int fd, const struct buffer *request, const struct buffer *path)
{
    if (parent->fd >= 0) close(parent->fd);
    parent->fd = fd;
    buffer_set(&parent->request, request->data, request->length);
    buffer_set(&parent->path, path->data, path->length);
}
