/*
 * System calls that older C libraries do not wrap, and their constants. <sys/mount.h> is not used because it clashes
 * with <linux/mount.h> in the library versions that have both.
 */
#ifndef TSBUILD_CONTAINER_KERNEL_H
#define TSBUILD_CONTAINER_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UMOUNT_DETACH 2

static inline int kernel_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)
{
    return (int)syscall(SYS_mount, source, target, type, flags, data);
}

static inline int kernel_umount(const char *target, int flags)
{
    return (int)syscall(SYS_umount2, target, flags);
}

static inline int kernel_pivot_root(const char *new_root, const char *put_old)
{
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}

static inline int kernel_fsopen(const char *type)
{
    return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

/* An empty value makes it a flag. */
static inline int kernel_fsconfig(int fd, const char *key, const char *value)
{
    return (int)syscall(SYS_fsconfig, fd, *value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, *value ? value : NULL, 0);
}

static inline int kernel_fscreate(int fd)
{
    return (int)syscall(SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

static inline int kernel_fsmount(int fd, unsigned attributes)
{
    return (int)syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes);
}

static inline int kernel_open_tree(int at, const char *path, unsigned flags)
{
    return (int)syscall(SYS_open_tree, at, path, flags | OPEN_TREE_CLOEXEC);
}

/* Puts the detached mount `fd` on what `target` is open on. */
static inline int kernel_attach(int fd, int target)
{
    return (int)syscall(SYS_move_mount, fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int kernel_mount_setattr(int fd, unsigned flags, __u64 set)
{
    struct mount_attr attributes = {.attr_set = set};
    return (int)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attributes, sizeof attributes);
}

static inline int kernel_set_propagation(int fd, unsigned flags, __u64 propagation)
{
    struct mount_attr attributes = {.propagation = propagation};
    return (int)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attributes, sizeof attributes);
}

/* The kernel answers EAGAIN when a rename somewhere made it impossible to prove that the root was not left. */
static inline int kernel_open_in_root(int root, const char *path, __u64 flags, __u64 resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve | RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    for (int tries = 0;; tries++) {
        int fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN || tries == 100) return fd;
    }
}

#endif
