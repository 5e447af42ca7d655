#include "placed-files.h"

#include "kernel.h"
#include "mounted-tree.h"
#include "report.h"
#include "stages.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct placed_file {
    int parent;
    char name[NAME_MAX + 1];
    bool has_saved;
    char parent_path[PATH_MAX];
    struct timespec times[2]; /* of the parent */
};

/* One that is made does not count as changed later, nor does what it is made in, which is why it stays. */
static int open_parent(int root, const struct placed_file *file)
{
    int parent = kernel_open_in_root(root, file->parent_path, O_RDONLY | O_DIRECTORY, 0);
    if (parent >= 0 || errno != ENOENT) return parent;
    struct mounted_tree tree = open_mounted_tree(root);
    tree.may_write_root = tree.keeps_times = true;
    int made = make_in_tree(&tree, file->parent_path, true);
    if (made < 0) return -1;
    parent = openat(made, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(made);
    return parent;
}

static int write_content(const struct placed_file *file, const struct container_mount *mount)
{
    int fd = openat(file->parent, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    for (size_t done = 0; fd >= 0 && done < mount->content.length;) {
        ssize_t written = write(fd, mount->content.data + done, mount->content.length - done);
        if (written < 0) return -1;
        done += (size_t)written;
    }
    if (fd < 0 || fchown(fd, mount->uid, mount->gid) < 0 || fchmod(fd, mount->mode) < 0) return -1;
    return close(fd);
}

static int place_file(struct placed_files *files, const struct container_mount *mount)
{
    char saved[16];
    struct stat stat;
    struct placed_file *file = &files->items[files->count];
    const char *slash = strrchr(mount->target, '/');
    snprintf(file->parent_path, sizeof file->parent_path, "%.*s", (int)(slash - mount->target), mount->target);
    snprintf(file->name, sizeof file->name, "%s", slash + 1);
    if ((file->parent = open_parent(files->tree, file)) < 0 || fstat(file->parent, &stat) < 0) return -1;
    file->times[0] = stat.st_atim;
    file->times[1] = stat.st_mtim;
    snprintf(saved, sizeof saved, "%u", files->count);
    file->has_saved = renameat(file->parent, file->name, files->saved, saved) == 0;
    if (!file->has_saved && errno != ENOENT) return -1;
    files->count++;
    return write_content(file, mount);
}

int place_files(struct placed_files *files, const struct container *container, const int tree_and_saved[2])
{
    *files = (struct placed_files){.tree = tree_and_saved[0], .saved = tree_and_saved[1], .items = calloc(container->mount_count + 1, sizeof *files->items)};
    if (!files->items) return report_failure(STAGE_MOUNT, "memory");
    for (uint32_t i = 0; i < container->mount_count; i++) {
        const struct container_mount *mount = &container->mounts[i];
        if (mount->kind == MOUNT_FILE && place_file(files, mount) < 0) return report_failure(STAGE_MOUNT, mount->target);
    }
    return 0;
}

static void note(struct own_changes *own, const struct stat *stat)
{
    own->items[own->count].device = stat->st_dev;
    own->items[own->count++].inode = stat->st_ino;
}

static bool is_after(const struct timespec *time, const struct timespec *since)
{
    return time->tv_sec > since->tv_sec || (time->tv_sec == since->tv_sec && time->tv_nsec > since->tv_nsec);
}

static int take_file(struct placed_files *files, uint32_t number, const struct timespec *since, struct own_changes *own)
{
    char saved[16];
    struct stat parent, found;
    struct placed_file *file = &files->items[number];
    if (fstat(file->parent, &parent) < 0 || (unlinkat(file->parent, file->name, 0) < 0 && errno != ENOENT)) return -1;
    snprintf(saved, sizeof saved, "%u", number);
    if (file->has_saved) {
        if (renameat(files->saved, saved, file->parent, file->name) < 0 || fstatat(file->parent, file->name, &found, AT_SYMLINK_NOFOLLOW) < 0) return -1;
        note(own, &found);
    }
    bool is_known = false;
    for (int i = 0; i < own->count; i++) is_known = is_known || (own->items[i].device == parent.st_dev && own->items[i].inode == parent.st_ino);
    if (is_after(&parent.st_ctim, since) && !is_known) return 0;
    note(own, &parent);
    return futimens(file->parent, file->times);
}

int take_files(struct placed_files *files, const struct timespec *since, struct own_changes *own)
{
    /* Each file, and its folder. */
    own->items = calloc(2 * (size_t)files->count + 1, sizeof *own->items);
    if (!own->items) return report_failure(STAGE_MOUNT, "memory");
    for (uint32_t number = files->count; number-- > 0;) {
        if (take_file(files, number, since, own) < 0) return report_failure(STAGE_MOUNT, files->items[number].name);
        close(files->items[number].parent);
    }
    return 0;
}
