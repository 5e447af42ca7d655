#include "mounts.h"

#include "flat/flatten.h"
#include "id-maps.h"
#include "kernel.h"
#include "mounted-tree.h"
#include "report.h"
#include "root.h"
#include "stages.h"

#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

static int populate(int fd, const struct container_mount *mount)
{
    for (uint32_t i = 0; i < mount->folders.count; i++) {
        if (mkdirat(fd, mount->folders.items[i], 0755) < 0) return -1;
    }
    for (uint32_t i = 0; i < mount->links.count; i++) {
        if (symlinkat(mount->links.items[i].value, fd, mount->links.items[i].key) < 0) return -1;
    }
    for (uint32_t i = 0; i < mount->node_count; i++) {
        const struct device_node *node = &mount->nodes[i];
        if (mknodat(fd, node->name, node->mode, makedev(node->major, node->minor)) < 0) return -1;
        if ((node->uid || node->gid) && fchownat(fd, node->name, node->uid, node->gid, AT_SYMLINK_NOFOLLOW) < 0) return -1;
    }
    return 0;
}

static int prepare_filesystem(const struct container_mount *mount)
{
    int context = kernel_fsopen(mount->type);
    /* An option of that name comes first. */
    bool has_source = mount->options.count && strcmp(mount->options.items[0].key, "source") == 0;
    if (context < 0 || (!has_source && kernel_fsconfig(context, "source", mount->type) < 0)) return -1;
    for (uint32_t i = 0; i < mount->options.count; i++) {
        if (kernel_fsconfig(context, mount->options.items[i].key, mount->options.items[i].value) < 0) return -1;
    }
    if (kernel_fscreate(context) < 0) return -1;
    /* Read-only comes when it is in place: until then it is filled. Nobody fills sysfs, and in a user namespace that sees a read-only one it has to begin so. */
    unsigned filled_later = strcmp(mount->type, "sysfs") == 0 ? 0 : MOUNT_ATTR_RDONLY;
    int fd = kernel_fsmount(context, mount->attributes & ~filled_later);
    close(context);
    if (fd < 0 || populate(fd, mount) < 0) return -1;
    return fd;
}

static int prepare_bind(struct container_mount *mount, int id_map)
{
    struct stat stat;
    int fd = kernel_open_tree(AT_FDCWD, mount->source, OPEN_TREE_CLONE | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
    if (fd < 0 || fstat(fd, &stat) < 0) return -1;
    mount->is_folder = S_ISDIR(stat.st_mode);
    if (mount->has_container_ids && id_map >= 0 && map_mount(fd, id_map, AT_RECURSIVE) < 0) return -1;
    if (!S_ISLNK(stat.st_mode)) return fd;
    errno = ELOOP;
    return -1;
}

/* A mount can be cloned only in its own namespace, which is entered and left again. */
static int prepare_foreign_bind(struct container_mount *mount)
{
    int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), other = open(mount->namespace, O_RDONLY | O_CLOEXEC);
    if (own < 0 || other < 0 || setns(other, CLONE_NEWNS) < 0) return -1;
    int fd = prepare_bind(mount, -1), error = errno;
    if (setns(own, CLONE_NEWNS) < 0) return -1;
    close(own);
    close(other);
    errno = error;
    return fd;
}

int prepare_foreign_mounts(struct container *container)
{
    for (uint32_t i = 0; i < container->mount_count; i++) {
        struct container_mount *mount = &container->mounts[i];
        if (mount->kind == MOUNT_BIND && *mount->namespace && (mount->fd = prepare_foreign_bind(mount)) < 0) return report_failure(STAGE_MOUNT, mount->namespace);
    }
    return 0;
}

static int prepare_file(const struct container *container, int scratch, uint32_t number)
{
    char name[32];
    const struct container_mount *mount = &container->mounts[number];
    snprintf(name, sizeof name, "file-%u", number);
    int file = openat(scratch, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) return -1;
    for (size_t done = 0; done < mount->content.length;) {
        ssize_t written = write(file, mount->content.data + done, mount->content.length - done);
        if (written < 0) return -1;
        done += (size_t)written;
    }
    if (fchown(file, map_id(&container->users, mount->uid), map_id(&container->groups, mount->gid)) < 0 || fchmod(file, mount->mode) < 0 || close(file) < 0) return -1;
    return kernel_open_tree(scratch, name, OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW);
}

static int prepare_layers(struct container *container, int scratch, uint32_t number)
{
    struct container_mount *mount = &container->mounts[number];
    mount->layers.id_map = container->root.id_map;
    struct stat stat;
    int fd = open_in_layers(&mount->layers, mount->source, scratch, number);
    if (fd < 0 || fstat(fd, &stat) < 0) return -1;
    mount->is_folder = S_ISDIR(stat.st_mode);
    return fd;
}

static int prepare_mount(struct container *container, int scratch, uint32_t number)
{
    struct container_mount *mount = &container->mounts[number];
    if (mount->kind == MOUNT_FILE) return prepare_file(container, scratch, number);
    if (mount->kind == MOUNT_LAYERS) return prepare_layers(container, scratch, number);
    return *mount->namespace ? mount->fd : prepare_bind(mount, container->root.id_map);
}

int prepare_mounts(struct container *container, int scratch)
{
    for (uint32_t i = 0; i < container->mount_count; i++) {
        struct container_mount *mount = &container->mounts[i];
        if (mount->kind == MOUNT_FILESYSTEM) {
            mount->is_folder = true;
            continue;
        }
        mount->fd = prepare_mount(container, scratch, i);
        if (mount->fd < 0) return report_failure(STAGE_MOUNT, mount->kind == MOUNT_BIND ? mount->source : mount->target);
        bool is_followed = mount->kind == MOUNT_BIND && (mount->propagation || container->has_slaves);
        if (is_followed && kernel_set_propagation(mount->fd, AT_RECURSIVE, mount->propagation ? mount->propagation : MS_PRIVATE) < 0) return report_failure(STAGE_MOUNT, mount->target);
        unsigned recursive = mount->kind == MOUNT_BIND ? AT_RECURSIVE : 0;
        if (kernel_mount_setattr(mount->fd, recursive, mount->attributes) < 0) return report_failure(STAGE_MOUNT, mount->target);
    }
    return 0;
}

int prepare_filesystems(struct container *container)
{
    for (uint32_t i = 0; i < container->mount_count; i++) {
        struct container_mount *mount = &container->mounts[i];
        if (mount->kind != MOUNT_FILESYSTEM) continue;
        mount->fd = prepare_filesystem(mount);
        if (mount->fd < 0) return report_failure(STAGE_MOUNT, mount->target);
        if (mount->attributes & MOUNT_ATTR_RDONLY && kernel_mount_setattr(mount->fd, 0, mount->attributes) < 0) return report_failure(STAGE_MOUNT, mount->target);
    }
    return 0;
}

/*
 * A mount on top of the kernel's own files could make later writes to them, or their masks, go elsewhere; one on top of
 * the root would not be seen by anybody.
 */
static bool may_cover(const struct mounted_tree *tree, int fd)
{
    struct statfs filesystem;
    struct stat found, root;
    if (fstatfs(fd, &filesystem) < 0 || filesystem.f_type == PROC_SUPER_MAGIC || filesystem.f_type == SYSFS_MAGIC) return false;
    return fstat(fd, &found) == 0 && fstat(tree->root, &root) == 0 && (found.st_dev != root.st_dev || found.st_ino != root.st_ino);
}

static int open_target(struct mounted_tree *tree, const struct container_mount *mount)
{
    int target = kernel_open_in_root(tree->root, mount->target, O_PATH, mount->is_pinned ? RESOLVE_NO_SYMLINKS : 0);
    if (target < 0 && errno == ENOENT) target = make_in_tree(tree, mount->target, mount->is_folder);
    if (target < 0 || mount->is_pinned || may_cover(tree, target)) return target;
    errno = EPERM;
    return -1;
}

/* A new filesystem that is to begin with what it covers. */
static int fill_mount(int mount, int target)
{
    const struct layers layers = {.count = 1, .roots = &target, .workdir = -1, .opaque = "trusted.overlay.opaque", .whiteout = "trusted.overlay.whiteout", .private = "trusted.overlay."};
    int tree = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = tree < 0 ? -1 : flatten(&layers, tree);
    close(tree);
    return result;
}

int attach_mounts(const struct container *container, int root)
{
    struct mounted_tree tree = open_mounted_tree(root);
    tree.may_write_root = tree.keeps_times = container->root.kind == ROOT_DIRECTORY;
    for (uint32_t i = 0; i < container->mount_count; i++) {
        const struct container_mount *mount = &container->mounts[i];
        int target = open_target(&tree, mount);
        if (target >= 0 && mount->is_filled && fill_mount(mount->fd, target) < 0) return report_failure(STAGE_MOUNT, mount->target);
        if (target < 0 || kernel_attach(mount->fd, target) < 0) return report_failure(STAGE_MOUNT, mount->target);
        close(target);
        close(mount->fd);
    }
    return 0;
}
