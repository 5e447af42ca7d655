#include "flat/flatten.h"

#include "flat/place-mark.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ATTRIBUTES_SIZE 65536 /* XATTR_LIST_MAX and XATTR_SIZE_MAX */
#define ATTRIBUTE_NAME_SIZE (XATTR_NAME_MAX + 16)

/* With the errno of what failed. */
static struct merged_folder give_up(struct merged_folder *folder)
{
    int error = errno;
    close_merged(folder);
    errno = error;
    return *folder;
}

struct merged_folder open_merged_root(const struct layers *layers)
{
    struct merged_folder folder = {.fds = calloc(layers->count + 1, sizeof(int))};
    for (uint32_t i = layers->has_upper ? 1 : 0; folder.fds && i < layers->count; i++) {
        int fd = openat(layers->roots[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return give_up(&folder);
        folder.fds[folder.count++] = fd;
    }
    return folder;
}

struct merged_folder open_merged(const struct layers *layers, const struct merged_folder *folder, const char *name)
{
    struct merged_folder found = {.fds = calloc((size_t)folder->count + 1, sizeof(int))};
    for (int i = 0; found.fds && i < folder->count; i++) {
        int fd = openat(folder->fds[i], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) continue;
        /* What is no folder ends the merging. */
        if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) break;
        if (fd < 0) return give_up(&found);
        found.fds[found.count++] = fd;
        if (is_opaque(layers, fd)) break;
    }
    return found;
}

void close_merged(struct merged_folder *folder)
{
    for (int i = 0; i < folder->count; i++) close(folder->fds[i]);
    free(folder->fds);
    *folder = (struct merged_folder){0};
}

int find_merged(const struct layers *layers, const struct merged_folder *folder, const char *name, struct stat *stat)
{
    for (int i = 0; i < folder->count; i++) {
        if (fstatat(folder->fds[i], name, stat, AT_SYMLINK_NOFOLLOW) == 0) return !is_whiteout(layers, folder->fds[i], name, stat);
        if (errno != ENOENT) return -1;
    }
    return 0;
}

/* Whether an instance above has something of that name, which then decides. */
static bool is_covered(const struct merged_folder *folder, int instance, const char *name)
{
    struct stat stat;
    for (int i = 0; i < instance; i++) {
        if (fstatat(folder->fds[i], name, &stat, AT_SYMLINK_NOFOLLOW) == 0) return true;
    }
    return false;
}

int each_merged(const struct layers *layers, const struct merged_folder *folder, int (*visit)(void *context, const char *name, const struct stat *stat), void *context)
{
    int result = 0;
    for (int i = 0; i < folder->count && result == 0; i++) {
        struct stat stat;
        int again = openat(folder->fds[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *listing = again < 0 ? NULL : fdopendir(again);
        if (!listing) return -1;
        for (struct dirent *entry; result == 0 && (entry = readdir(listing));) {
            const char *name = entry->d_name;
            if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || is_covered(folder, i, name)) continue;
            if (fstatat(folder->fds[i], name, &stat, AT_SYMLINK_NOFOLLOW) < 0) result = -1;
            else if (!is_whiteout(layers, folder->fds[i], name, &stat)) result = visit(context, name, &stat);
        }
        closedir(listing);
    }
    return result;
}

/* What a process calls an attribute that a layer has, or the other way round; false for what is the layers' own. */
static bool translate(const struct layers *layers, const char *name, enum direction direction, char *translated)
{
    size_t length = strlen(layers->private);
    bool is_private = strncmp(name, layers->private, length) == 0;
    if (!is_private) strcpy(translated, name);
    else if (direction == TO_LAYER) snprintf(translated, ATTRIBUTE_NAME_SIZE, "%soverlay.%s", layers->private, name + length);
    else if (strncmp(name + length, "overlay.", 8) == 0) sprintf(translated, "%s%s", layers->private, name + length + 8);
    else return false;
    return strncmp(name, "security.selinux", 16) != 0;
}

static int copy_attributes(const struct layers *layers, int from, int to, enum direction direction)
{
    static char names[ATTRIBUTES_SIZE], value[ATTRIBUTES_SIZE];
    char translated[ATTRIBUTE_NAME_SIZE];
    ssize_t length = flistxattr(from, names, sizeof names);
    if (length < 0) return errno == EOPNOTSUPP ? 0 : -1;
    for (const char *name = names; name < names + length; name += strlen(name) + 1) {
        if (is_place_mark(layers, name) || !translate(layers, name, direction, translated)) continue;
        ssize_t size = fgetxattr(from, name, value, sizeof value);
        if (size < 0 || fsetxattr(to, translated, value, (size_t)size, 0) < 0) return -1;
    }
    return 0;
}

int copy_metadata(const struct layers *layers, int from, int to, enum direction direction)
{
    struct stat stat;
    if (fstat(from, &stat) < 0 || fchown(to, stat.st_uid, stat.st_gid) < 0 || fchmod(to, stat.st_mode & 07777) < 0) return -1;
    if (copy_attributes(layers, from, to, direction) < 0) return -1;
    return futimens(to, (const struct timespec[2]){stat.st_atim, stat.st_mtim});
}

int escape_attributes(const struct layers *layers, int folder, const char *name)
{
    static char names[ATTRIBUTES_SIZE], value[ATTRIBUTES_SIZE];
    char path[64 + NAME_MAX], escaped[ATTRIBUTE_NAME_SIZE];
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name);
    ssize_t length = llistxattr(path, names, sizeof names);
    if (length < 0) return errno == EOPNOTSUPP ? 0 : -1;
    for (const char *attribute = names; attribute < names + length; attribute += strlen(attribute) + 1) {
        if (strncmp(attribute, layers->private, strlen(layers->private)) != 0) continue;
        translate(layers, attribute, TO_LAYER, escaped);
        ssize_t size = lgetxattr(path, attribute, value, sizeof value);
        if (size < 0 || lsetxattr(path, escaped, value, (size_t)size, 0) < 0 || lremovexattr(path, attribute) < 0) return -1;
    }
    return 0;
}

static int copy_by_hand(int from, int to)
{
    static char buffer[1 << 17];
    for (ssize_t got; (got = read(from, buffer, sizeof buffer)) != 0;) {
        if (got < 0) return -1;
        for (ssize_t done = 0, written; done < got; done += written) {
            if ((written = write(to, buffer + done, (size_t)(got - done))) < 0) return -1;
        }
    }
    return 0;
}

/* Shares the blocks where the filesystem can, else lets the kernel copy, else does it: from a layer of its own filesystem, for example. */
static int copy_bytes(int from, int to)
{
    ssize_t copied;
    if (ioctl(to, FICLONE, from) == 0) return 0;
    while ((copied = copy_file_range(from, NULL, to, NULL, SSIZE_MAX, 0)) > 0) {}
    if (copied == 0) return 0;
    return errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP ? copy_by_hand(from, to) : -1;
}

static int copy_file(const struct layers *layers, int folder, const char *name, int target)
{
    int from = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int to = from < 0 ? -1 : openat(target, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int result = to < 0 || copy_bytes(from, to) < 0 || copy_metadata(layers, from, to, TO_TREE) < 0 ? -1 : 0;
    if (from >= 0) close(from);
    if (to >= 0 && close(to) < 0) result = -1;
    return result;
}

static int copy_special(int folder, const char *name, const struct stat *stat, int target)
{
    char link[PATH_MAX] = {0};
    const struct timespec times[2] = {stat->st_atim, stat->st_mtim};
    if (S_ISSOCK(stat->st_mode)) return 0;
    if (S_ISLNK(stat->st_mode)) {
        if (readlinkat(folder, name, link, sizeof link - 1) < 0 || symlinkat(link, target, name) < 0) return -1;
    } else if (mknodat(target, name, stat->st_mode, stat->st_rdev) < 0) {
        return -1;
    }
    if (fchownat(target, name, stat->st_uid, stat->st_gid, AT_SYMLINK_NOFOLLOW) < 0) return -1;
    if (!S_ISLNK(stat->st_mode) && fchmodat(target, name, stat->st_mode & 07777, 0) < 0) return -1;
    return utimensat(target, name, times, AT_SYMLINK_NOFOLLOW);
}

struct filling {
    const struct layers *layers;
    const struct merged_folder *folder;
    int target;
};

static int fill(const struct layers *layers, const struct merged_folder *folder, int target);

static int copy_folder(const struct filling *filling, const char *name)
{
    const struct layers *layers = filling->layers;
    struct merged_folder folder = open_merged(layers, filling->folder, name);
    if (!folder.fds || folder.count == 0 || mkdirat(filling->target, name, 0700) < 0) return -1;
    int target = openat(filling->target, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result = target < 0 || fill(layers, &folder, target) < 0 || copy_metadata(layers, folder.fds[0], target, TO_TREE) < 0 ? -1 : 0;
    if (result == 0) result = set_place_mark(layers, filling->target, target, name);
    if (target >= 0) close(target);
    close_merged(&folder);
    return result;
}

static int copy_entry(void *context, const char *name, const struct stat *stat)
{
    const struct filling *filling = context;
    if (S_ISDIR(stat->st_mode)) return copy_folder(filling, name);
    struct stat found;
    for (int i = 0; i < filling->folder->count; i++) {
        int folder = filling->folder->fds[i];
        if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) < 0) continue;
        return S_ISREG(found.st_mode) ? copy_file(filling->layers, folder, name, filling->target) : copy_special(folder, name, &found, filling->target);
    }
    errno = ENOENT;
    return -1;
}

static int fill(const struct layers *layers, const struct merged_folder *folder, int target)
{
    struct filling filling = {.layers = layers, .folder = folder, .target = target};
    return each_merged(layers, folder, copy_entry, &filling);
}

int flatten(const struct layers *layers, int tree)
{
    struct merged_folder root = open_merged_root(layers);
    int result = !root.fds || fill(layers, &root, tree) < 0 ? -1 : 0;
    close_merged(&root);
    return result;
}
