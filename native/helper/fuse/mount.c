#include "fuse/mount.h"

#include "container/kernel.h"
#include "fuse/server.h"

#include <stdio.h>
#include <stdlib.h>

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

static int detach(int folder)
{
    return kernel_open_tree(folder, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
}

static bool add_detached(struct fuse_stack *stack, int *mounts, int folder)
{
    return folder < 0 || (mounts[stack->mount_count++] = detach(folder)) >= 0;
}

/* Everything that the server cannot open by a path. `mounts` has room for all layers and two more. */
static int collect_mounts(struct fuse_stack *stack, int *mounts, const struct container_root *root, const struct layers *layers, int stub, int filling)
{
    uint32_t first = layers->has_upper ? 1 : 0;
    bool done = add_detached(stack, mounts, stub);
    for (uint32_t i = 0; done && i < root->lowers.count; i++) {
        if (root->lowers.items[i].kind != LOWER_DIRECTORY) done = add_detached(stack, mounts, layers->roots[first + i]);
    }
    return done && add_detached(stack, mounts, filling) ? 0 : -1;
}

int mount_fuse(const struct container_root *root, const struct layers *layers, int stub, int filling)
{
    int *mounts = calloc(root->lowers.count + 2, sizeof *mounts), mounted = -1, first = -1;
    struct fuse_stack stack = {.device = open("/dev/fuse", O_RDWR | O_CLOEXEC), .has_stub = stub >= 0, .has_filling = filling >= 0, .mounts = mounts};
    if (mounts && stack.device >= 0 && collect_mounts(&stack, mounts, root, layers, stub, filling) == 0) mounted = create_mount(stack.device);
    bool is_sent = mounted >= 0 && send_fuse_stack(root->server_socket, &stack) == 0;
    int error = errno;
    /* From here on the server alone has it: with its end calls fail, and nobody waits for ever. */
    if (stack.device >= 0) close(stack.device);
    free(mounts);
    errno = error;
    if (is_sent) first = openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (first < 0) return -1;
    close(first);
    return mounted;
}
