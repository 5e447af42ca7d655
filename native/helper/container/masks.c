#include "mounts.h"

#include "kernel.h"
#include "report.h"
#include "stages.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define NO_ACCESS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* The filesystem a path has to be on: what a mount of the image or of the caller put there instead is not to be trusted. */
static bool is_genuine(const char *path, int fd)
{
    struct statfs stat;
    if (fstatfs(fd, &stat) < 0) return false;
    if (strncmp(path, "/proc/", 6) == 0) return stat.f_type == PROC_SUPER_MAGIC;
    return strncmp(path, "/sys/", 5) != 0 || stat.f_type == SYSFS_MAGIC;
}

/* -1 with errno 0 when the path does not exist. */
static int open_kernel_path(int root, const char *path)
{
    int fd = kernel_open_in_root(root, path, O_PATH, RESOLVE_NO_SYMLINKS);
    if (fd < 0 && errno == ENOENT) errno = 0;
    if (fd < 0 || is_genuine(path, fd)) return fd;
    errno = EPERM;
    return -1;
}

static int open_null_device(int scratch)
{
    struct stat stat;
    int fd = kernel_open_tree(scratch, "null", OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) fd = kernel_open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW);
    if (fd < 0 || (fstat(fd, &stat) == 0 && S_ISCHR(stat.st_mode) && stat.st_rdev == makedev(1, 3))) return fd;
    errno = ENODEV;
    return -1;
}

/* A device behind "nodev" cannot be opened; the null device is the one thing that may be. */
int prepare_masks(struct masks *masks, int scratch)
{
    masks->folder = (struct mask){.fd = kernel_open_tree(scratch, "empty", OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW)};
    masks->file = (struct mask){.fd = open_null_device(scratch)};
    if (masks->folder.fd < 0 || masks->file.fd < 0) return report_failure(STAGE_MASK, "masks");
    if (kernel_mount_setattr(masks->folder.fd, 0, NO_ACCESS) < 0) return report_failure(STAGE_MASK, "empty folder");
    if (kernel_mount_setattr(masks->file.fd, 0, NO_ACCESS & ~(unsigned)MOUNT_ATTR_NODEV) < 0) return report_failure(STAGE_MASK, "null device");
    return 0;
}

static int mask_path(int root, struct masks *masks, const char *path)
{
    struct stat stat;
    int target = open_kernel_path(root, path);
    if (target < 0) return errno ? -1 : 0;
    if (fstat(target, &stat) < 0) return -1;
    struct mask *mask = S_ISDIR(stat.st_mode) ? &masks->folder : &masks->file;
    int fd = mask->is_attached ? kernel_open_tree(mask->fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE) : mask->fd;
    if (fd < 0 || kernel_attach(fd, target) < 0) return -1;
    if (mask->is_attached) close(fd);
    mask->is_attached = true;
    close(target);
    return 0;
}

static int freeze_path(int root, const char *path)
{
    int target = open_kernel_path(root, path);
    if (target < 0) return errno ? -1 : 0;
    int copy = kernel_open_tree(target, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | AT_RECURSIVE);
    if (copy < 0 || kernel_mount_setattr(copy, AT_RECURSIVE, NO_ACCESS) < 0 || kernel_attach(copy, target) < 0) return -1;
    close(copy);
    close(target);
    return 0;
}

int mask_paths(const struct container *container, struct masks *masks, int root)
{
    for (uint32_t i = 0; i < container->readonly.count; i++) {
        if (freeze_path(root, container->readonly.items[i]) < 0) return report_failure(STAGE_MASK, container->readonly.items[i]);
    }
    for (uint32_t i = 0; i < container->masked.count; i++) {
        if (mask_path(root, masks, container->masked.items[i]) < 0) return report_failure(STAGE_MASK, container->masked.items[i]);
    }
    return 0;
}
