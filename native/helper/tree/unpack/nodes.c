#include "tree/unpack/unpack.h"

#include "report.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"
#include "tree/files/delete.h"
#include "tree/files/whiteout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum way {
    WAY_FAILED = -1,
    WAY_FREE,      /* nothing stood there */
    WAY_DIRECTORY, /* a directory stands there and is to stay */
    WAY_REPLACED,  /* what stood there is gone */
};

static int fail_write(const struct unpack *unpack)
{
    return report_failure(STAGE_WRITE_TREE, unpack->reader.entry.path.data);
}

/* Removes what an earlier entry of this layer left under the name. */
static enum way clear_way(struct unpack *unpack, const char *name, bool keeps_directory)
{
    struct stat stat;
    uint64_t deleted = 0;
    if (fstatat(unpack->parent.fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? WAY_FREE : (enum way)fail_write(unpack);
    if (S_ISDIR(stat.st_mode) && keeps_directory) return WAY_DIRECTORY;
    unpack->has_replaced = true;
    return delete_tree(unpack->parent.fd, name, &deleted) < 0 ? (enum way)fail_write(unpack) : WAY_REPLACED;
}

int remove_earlier(struct unpack *unpack, const char *name)
{
    return clear_way(unpack, name, false) == WAY_FAILED ? -1 : 0;
}

/* Owner before mode and attributes: changing it takes setuid bits and capabilities away. Times come last. */
static int set_file_metadata(struct unpack *unpack, int fd)
{
    const struct entry *entry = &unpack->reader.entry;
    const struct timespec times[2] = {{entry->mtime, entry->mtime_ns}, {entry->mtime, entry->mtime_ns}};
    bool is_owned = entry->uid != 0 || entry->gid != 0;
    if (is_owned && fchown(fd, entry->uid, entry->gid) < 0) return fail_write(unpack);
    if ((is_owned || entry->mode > 0777) && fchmod(fd, entry->mode) < 0) return fail_write(unpack);
    if (xattrs_write(&entry->xattrs, fd, NULL, unpack->space) < 0 || futimens(fd, times) < 0) return fail_write(unpack);
    struct stat stat;
    if (fstat(fd, &stat) < 0) return fail_write(unpack);
    totals_add(&unpack->totals, &stat);
    return 0;
}

/* The same for what cannot be opened; it was made a moment ago and nobody else writes here. */
static int set_special_metadata(struct unpack *unpack, const char *name)
{
    const struct entry *entry = &unpack->reader.entry;
    const struct timespec times[2] = {{entry->mtime, entry->mtime_ns}, {entry->mtime, entry->mtime_ns}};
    int directory = unpack->parent.fd;
    struct stat stat;
    if ((entry->uid != 0 || entry->gid != 0) && fchownat(directory, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0) return fail_write(unpack);
    if (entry->type != ENTRY_SYMLINK && fchmodat(directory, name, entry->mode, 0) < 0) return fail_write(unpack);
    if (entry->xattrs.count > 0 && (fchdir(directory) < 0 || xattrs_write(&entry->xattrs, -1, name, unpack->space) < 0)) return fail_write(unpack);
    if (utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) < 0 || fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) < 0) return fail_write(unpack);
    totals_add(&unpack->totals, &stat);
    return 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return -1;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}

static int write_body(struct unpack *unpack, int fd)
{
    const uint8_t *bytes;
    size_t length;
    int got;
    while ((got = tar_body(&unpack->reader, &bytes, &length)) > 0) {
        if (write_all(fd, bytes, length) < 0) return fail_write(unpack);
    }
    return got;
}

static int make_file(struct unpack *unpack, const char *name)
{
    const struct entry *entry = &unpack->reader.entry;
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    if (entry->size > unpack->max_bytes - unpack->body_bytes) return refuse(RULE_SIZE, entry->path.data, entry->path.length);
    unpack->body_bytes += entry->size;
    int fd = openat(unpack->parent.fd, name, flags, entry->mode & 0777);
    if (fd < 0 && errno == EEXIST) {
        if (remove_earlier(unpack, name) < 0) return -1;
        fd = openat(unpack->parent.fd, name, flags, entry->mode & 0777);
    }
    if (fd < 0) return fail_write(unpack);
    int result = write_body(unpack, fd);
    if (result == 0) result = set_file_metadata(unpack, fd);
    if (close(fd) < 0 && result == 0) result = fail_write(unpack);
    return result;
}

int make_opaque(struct unpack *unpack, int directory, const char *path)
{
    return xattr_set_opaque(directory, unpack->space) < 0 ? report_failure(STAGE_WRITE_TREE, path) : 0;
}

/* A directory in the place of something else that this layer had there does not merge with one below. */
static int make_directory(struct unpack *unpack, const char *name)
{
    static struct buffer path;
    const struct entry *entry = &unpack->reader.entry;
    enum way way = clear_way(unpack, name, true);
    if (way == WAY_FAILED) return -1;
    if (way != WAY_DIRECTORY && mkdirat(unpack->parent.fd, name, 0700) < 0) return fail_write(unpack);
    int fd = openat(unpack->parent.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return fail_write(unpack);
    buffer_set(&path, unpack->parent.path.data, unpack->parent.path.length);
    path_push(&path, name, strlen(name));
    if (directories_add(&unpack->directories, &path, entry) < 0) return -1;
    parent_set(&unpack->parent, fd, &entry->path, &path);
    return way == WAY_REPLACED ? make_opaque(unpack, fd, path.data) : 0;
}

/*
 * In a user namespace no device can be made. Nothing can miss one below /dev, which a container's own /dev always covers;
 * the changeset that has it is kept as it came.
 */
static bool is_never_seen(const struct entry *entry)
{
    const char *path = entry->path.data;
    return (entry->type == ENTRY_CHAR || entry->type == ENTRY_BLOCK) && strncmp(path, "dev/", 4) == 0;
}

static int make_special(struct unpack *unpack, const char *name)
{
    const struct entry *entry = &unpack->reader.entry;
    int directory = unpack->parent.fd, result;
    if (remove_earlier(unpack, name) < 0) return -1;
    if (entry->type == ENTRY_SYMLINK) {
        if (strlen(entry->link.data) != entry->link.length) return refuse(RULE_LINK_TARGET, entry->path.data, entry->path.length);
        result = symlinkat(entry->link.data, directory, name);
    } else {
        mode_t type = entry->type == ENTRY_CHAR ? S_IFCHR : entry->type == ENTRY_BLOCK ? S_IFBLK : S_IFIFO;
        result = mknodat(directory, name, type | entry->mode, makedev(entry->major, entry->minor));
    }
    if (result < 0 && errno == EPERM && is_never_seen(entry)) return 0;
    return result < 0 ? fail_write(unpack) : set_special_metadata(unpack, name);
}

int make_node(struct unpack *unpack, const char *name)
{
    switch (unpack->reader.entry.type) {
    case ENTRY_FILE: return make_file(unpack, name);
    case ENTRY_DIRECTORY: return make_directory(unpack, name);
    case ENTRY_HARD_LINK: return make_hard_link(unpack, name);
    default: return make_special(unpack, name);
    }
}

/* Whiteouts hide what lies below, never what this layer itself has: the order of entries does not matter. */
int make_whiteout(struct unpack *unpack, const char *name)
{
    struct stat stat;
    if (fstatat(unpack->parent.fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!S_ISDIR(stat.st_mode)) return 0;
        int fd = openat(unpack->parent.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) return fail_write(unpack);
        int result = make_opaque(unpack, fd, unpack->reader.entry.path.data);
        close(fd);
        return result;
    }
    if (errno != ENOENT) return fail_write(unpack);
    if (!unpack->makes_whiteouts) return 0;
    if (make_whiteout_mark(unpack->parent.fd, name) < 0) return fail_write(unpack);
    unpack->totals.inodes++;
    return 0;
}
