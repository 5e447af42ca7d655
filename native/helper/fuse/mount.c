#include "fuse/mount.h"

#include "container/kernel.h"
#include "fuse/server.h"

#include <stdio.h>

/*
 * The filesystem is mounted here and served elsewhere: no program of root's has to mount it for us, and nobody but whoever
 * has this descriptor sees it.
 */
static int create_mount(int device)
{
    char number[16];
    snprintf(number, sizeof number, "%d", device);
    const char *const options[][2] = {
        {"source", "fuse-overlayfs"}, {"subtype", "fuse-overlayfs"}, {"fd", number}, {"rootmode", "40000"}, {"user_id", "0"}, {"group_id", "0"},
        /* The kernel checks modes and owners, for processes of every user. */
        {"default_permissions", ""}, {"allow_other", ""},
    };
    int context = kernel_fsopen("fuse"), mounted = -1;
    if (context < 0) return -1;
    size_t done = 0;
    while (done < sizeof options / sizeof *options && kernel_fsconfig(context, options[done][0], options[done][1]) == 0) done++;
    if (done == sizeof options / sizeof *options && kernel_fscreate(context) == 0) mounted = kernel_fsmount(context, 0);
    int error = errno;
    close(context);
    errno = error;
    return mounted;
}

int mount_fuse(const struct container_root *root, const struct layers *layers, const int *lowers, uint32_t count)
{
    const int upper[2] = {layers->roots[0], layers->workdir};
    struct fuse_stack stack = {.device = open("/dev/fuse", O_RDWR | O_CLOEXEC), .upper = layers->has_upper ? upper : NULL, .lowers = lowers, .lower_count = count};
    int mounted = stack.device < 0 ? -1 : create_mount(stack.device);
    int result = mounted < 0 ? -1 : send_fuse_stack(root->server_socket, &stack), error = errno;
    /* From here on the server alone has it: with its end calls fail, and nobody waits for ever. */
    if (stack.device >= 0) close(stack.device);
    errno = error;
    int first = result < 0 ? -1 : openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (first < 0) return -1;
    close(first);
    return mounted;
}
