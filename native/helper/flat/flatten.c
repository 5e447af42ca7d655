#include "flat/flatten.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ATTRIBUTES_SIZE 65536 /* XATTR_LIST_MAX and XATTR_SIZE_MAX */

struct link {
    dev_t device;
    ino_t inode;
    char *path;
};

struct copy {
    const struct layers *layers;
    int tree;
    char path[PATH_MAX]; /* of the folder being filled, from the tree's root */
    struct link *links;
    size_t link_count;
};

static bool is_whiteout(const struct layers *layers, int folder, const char *name, const struct stat *stat)
{
    if (S_ISCHR(stat->st_mode)) return stat->st_rdev == makedev(0, 0);
    if (!S_ISREG(stat->st_mode) || stat->st_size) return false;
    int file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0) return false;
    bool found = fgetxattr(file, layers->whiteout, NULL, 0) >= 0;
    close(file);
    return found;
}

struct merged_folder open_merged_root(const struct layers *layers)
{
    struct merged_folder folder = {.fds = calloc(layers->count + 1, sizeof(int))};
    for (uint32_t i = layers->has_upper ? 1 : 0; folder.fds && i < layers->count; i++) {
        int fd = openat(layers->roots[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) folder.fds[folder.count++] = fd;
    }
    return folder;
}

struct merged_folder open_merged(const struct layers *layers, const struct merged_folder *folder, const char *name)
{
    char value;
    struct stat stat;
    struct merged_folder found = {.fds = calloc((size_t)folder->count + 1, sizeof(int))};
    for (int i = 0; found.fds && i < folder->count; i++) {
        int fd = openat(folder->fds[i], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && fstatat(folder->fds[i], name, &stat, AT_SYMLINK_NOFOLLOW) == 0) break;
        if (fd < 0) continue;
        found.fds[found.count++] = fd;
        if (fgetxattr(fd, layers->opaque, &value, 1) == 1 && value == 'y') break;
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

static int copy_attributes(const struct layers *layers, int from, int to)
{
    static char names[ATTRIBUTES_SIZE], value[ATTRIBUTES_SIZE];
    ssize_t length = flistxattr(from, names, sizeof names);
    if (length < 0) return errno == EOPNOTSUPP ? 0 : -1;
    for (const char *name = names; name < names + length; name += strlen(name) + 1) {
        if (strncmp(name, layers->private, strlen(layers->private)) == 0 || strncmp(name, "security.selinux", 16) == 0) continue;
        ssize_t size = fgetxattr(from, name, value, sizeof value);
        if (size < 0 || fsetxattr(to, name, value, (size_t)size, 0) < 0) return -1;
    }
    return 0;
}

int copy_metadata(const struct layers *layers, int from, int to)
{
    struct stat stat;
    if (fstat(from, &stat) < 0 || fchown(to, stat.st_uid, stat.st_gid) < 0 || fchmod(to, stat.st_mode & 07777) < 0) return -1;
    if (copy_attributes(layers, from, to) < 0) return -1;
    return futimens(to, (const struct timespec[2]){stat.st_atim, stat.st_mtim});
}

static int copy_bytes(int from, int to)
{
    static char buffer[1 << 17];
    if (ioctl(to, FICLONE, from) == 0) return 0;
    for (ssize_t got; (got = read(from, buffer, sizeof buffer)) != 0;) {
        if (got < 0) return -1;
        for (ssize_t done = 0, written; done < got; done += written) {
            if ((written = write(to, buffer + done, (size_t)(got - done))) < 0) return -1;
        }
    }
    return 0;
}

static int copy_file(const struct copy *copy, int folder, const char *name, int target)
{
    int from = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int to = from < 0 ? -1 : openat(target, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int result = to < 0 || copy_bytes(from, to) < 0 || copy_metadata(copy->layers, from, to) < 0 ? -1 : 0;
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

/* 1 when the file was there under another name and is linked now, 0 when it has to be copied, -1 with errno. */
static int link_known(struct copy *copy, const struct stat *stat, const char *name, int target)
{
    for (size_t i = 0; i < copy->link_count; i++) {
        const struct link *link = &copy->links[i];
        if (link->device == stat->st_dev && link->inode == stat->st_ino) return linkat(copy->tree, link->path, target, name, 0) < 0 ? -1 : 1;
    }
    struct link *links = realloc(copy->links, (copy->link_count + 1) * sizeof *links);
    if (!links) return -1;
    copy->links = links;
    struct link *link = &links[copy->link_count];
    *link = (struct link){.device = stat->st_dev, .inode = stat->st_ino};
    if (asprintf(&link->path, "%s%s", copy->path, name) < 0) return -1;
    copy->link_count++;
    return 0;
}

struct filling {
    struct copy *copy;
    const struct merged_folder *folder;
    int target;
};

static int fill(struct copy *copy, const struct merged_folder *folder, int target);

static int copy_folder(const struct filling *filling, const char *name)
{
    struct copy *copy = filling->copy;
    size_t length = strlen(copy->path);
    if (length + strlen(name) + 2 > sizeof copy->path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    struct merged_folder folder = open_merged(copy->layers, filling->folder, name);
    if (!folder.fds || folder.count == 0 || mkdirat(filling->target, name, 0700) < 0) return -1;
    int target = openat(filling->target, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    sprintf(copy->path + length, "%s/", name);
    int result = target < 0 || fill(copy, &folder, target) < 0 || copy_metadata(copy->layers, folder.fds[0], target) < 0 ? -1 : 0;
    copy->path[length] = 0;
    if (target >= 0) close(target);
    close_merged(&folder);
    return result;
}

static int copy_entry(void *context, const char *name, const struct stat *stat)
{
    const struct filling *filling = context;
    if (S_ISDIR(stat->st_mode)) return copy_folder(filling, name);
    int known = stat->st_nlink > 1 ? link_known(filling->copy, stat, name, filling->target) : 0;
    if (known != 0) return known < 0 ? -1 : 0;
    struct stat found;
    for (int i = 0; i < filling->folder->count; i++) {
        int folder = filling->folder->fds[i];
        if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) < 0) continue;
        return S_ISREG(found.st_mode) ? copy_file(filling->copy, folder, name, filling->target) : copy_special(folder, name, &found, filling->target);
    }
    errno = ENOENT;
    return -1;
}

static int fill(struct copy *copy, const struct merged_folder *folder, int target)
{
    struct filling filling = {.copy = copy, .folder = folder, .target = target};
    return each_merged(copy->layers, folder, copy_entry, &filling);
}

int flatten(const struct layers *layers, int tree)
{
    static struct copy copy;
    struct merged_folder root = open_merged_root(layers);
    copy = (struct copy){.layers = layers, .tree = tree};
    int result = !root.fds || fill(&copy, &root, tree) < 0 ? -1 : 0;
    close_merged(&root);
    for (size_t i = 0; i < copy.link_count; i++) free(copy.links[i].path);
    free(copy.links);
    return result;
}
