#include "layer/lower.h"

#include "container/kernel.h"
#include "layer/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct lower lower_read(struct wire *wire)
{
    struct lower lower = {.kind = wire_u8(wire), .path = wire_text(wire), .tar = "", .held = -1};
    if (lower.kind > LOWER_EROFS_LOOP) wire->broken = true;
    if (lower.kind == LOWER_DIRECTORY) return lower;
    lower.tar = wire_text(wire);
    const char *held = wire_text(wire);
    if (*held) lower.held = open(held, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return lower;
}

static int mount_files(const char *index, const char *tar)
{
    int context = kernel_fsopen("erofs"), mounted = -1;
    if (context < 0) return -1;
    if (kernel_fsconfig(context, "source", index) == 0 && kernel_fsconfig(context, "device", tar) == 0 && kernel_fsconfig(context, "ro", "") == 0 &&
        kernel_fscreate(context) == 0) {
        mounted = kernel_fsmount(context, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME);
    }
    int error = errno;
    close(context);
    errno = error;
    return mounted;
}

/* A clone of the mount that somebody else holds, with what is known of its files, or one of our own. */
static int clone_or_mount(const struct lower *lower)
{
    int cloned = lower->held < 0 ? -1 : kernel_open_tree(lower->held, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
    return cloned < 0 ? mount_files(lower->path, lower->tar) : cloned;
}

/* The devices give themselves back when the mount is gone. */
static int mount_loops(const char *index, const char *tar)
{
    char devices[2][32];
    int mounted = -1, one = loop_open(index, devices[0], sizeof devices[0]), other = one < 0 ? -1 : loop_open(tar, devices[1], sizeof devices[1]);
    if (other >= 0) mounted = mount_files(devices[0], devices[1]);
    int error = errno;
    if (one >= 0) close(one);
    if (other >= 0) close(other);
    errno = error;
    return mounted;
}

/* Without leave to mount it is the directory itself, and ".." leads out of it. */
static int open_alone(const char *path)
{
    int fd = kernel_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW);
    if (fd < 0) return errno == EPERM || errno == ENOSYS ? open(path, O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC) : -1;
    if (kernel_mount_setattr(fd, 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int lower_open_alone(const struct lower *lower)
{
    return lower->kind == LOWER_DIRECTORY ? open_alone(lower->path) : lower_open(lower, O_RDONLY);
}

int lower_open(const struct lower *lower, int flags)
{
    switch (lower->kind) {
    case LOWER_DIRECTORY: return open(lower->path, flags | O_DIRECTORY | O_CLOEXEC);
    case LOWER_EROFS: return clone_or_mount(lower);
    case LOWER_EROFS_LOOP: break;
    }
    return mount_loops(lower->path, lower->tar);
}
