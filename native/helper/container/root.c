#include "root.h"

#include "fuse/mount.h"
#include "id-maps.h"
#include "kernel.h"
#include "report.h"
#include "stages.h"
#include "terminal.h"

#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define MAX_MOUNT_DATA 4096

/* Older kernels want what open_tree clones to be mounted in this namespace. */
static int attach_at(int fd, const char *path)
{
    return (int)syscall(SYS_move_mount, fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
}

int attach_root(int root)
{
    return attach_at(root, "/");
}

int attach_layer(int fd)
{
    return attach_at(fd, "/proc");
}

int uncover_proc(void)
{
    struct statfs filesystem;
    while (statfs("/proc", &filesystem) == 0 && filesystem.f_type != PROC_SUPER_MAGIC) {
        if (kernel_umount("/proc", UMOUNT_DETACH) < 0) return report_failure(STAGE_ROOT, "/proc");
    }
    return 0;
}

int mount_scratch(void)
{
    /* Layers are named by descriptor number, relative to this folder, which the mount then hides. */
    if (chdir("/proc/self/fd") < 0) return report_failure(STAGE_ROOT, "/proc/self/fd");
    int context = kernel_fsopen("tmpfs");
    if (context < 0 || kernel_fsconfig(context, "mode", "0700") < 0 || kernel_fscreate(context) < 0) return report_failure(STAGE_ROOT, "tmpfs");
    int scratch = kernel_fsmount(context, 0);
    close(context);
    if (scratch < 0 || attach_layer(scratch) < 0) return report_failure(STAGE_ROOT, "tmpfs");
    if (mkdirat(scratch, "empty", 0755) < 0) return report_failure(STAGE_ROOT, "empty folder");
    /* In a user namespace no device can be made; there the host's is used. */
    if (mknodat(scratch, "null", S_IFCHR | 0666, makedev(1, 3)) < 0 && errno != EPERM) return report_failure(STAGE_ROOT, "null device");
    return scratch;
}

/* Which descriptor the n-th lower layer is, the stub layer and the filling layer included; -1 behind the last. */
static int lower_at(const struct layers *layers, int stub, int filling, uint32_t n)
{
    uint32_t first = layers->has_upper ? 1 : 0;
    if (stub >= 0 && n-- == 0) return stub;
    if (n < layers->count - first) return layers->roots[first + n];
    return n == layers->count - first ? filling : -1;
}

/*
 * A layer's name is its descriptor's number: no path needs escaping, hundreds fit into the page that mount(2) takes, and
 * the container's mountinfo shows nothing of the host.
 */
static int configure_layers(int context, const struct layers *layers, int stub, int filling)
{
    char name[16];
    int fd;
    for (uint32_t n = 0; (fd = lower_at(layers, stub, filling, n)) >= 0; n++) {
        snprintf(name, sizeof name, "%d", fd);
        if (kernel_fsconfig(context, "lowerdir+", name) < 0) return -1;
    }
    if (!layers->has_upper) return 0;
    snprintf(name, sizeof name, "%d", layers->roots[0]);
    if (kernel_fsconfig(context, "upperdir", name) < 0) return -1;
    snprintf(name, sizeof name, "%d", layers->workdir);
    /* volatile: nothing is synced, because a workdir belongs to one container and storage syncs what it commits. */
    return kernel_fsconfig(context, "workdir", name) < 0 ? -1 : kernel_fsconfig(context, "volatile", "");
}

/*
 * A layer must not be able to redirect the kernel to files under other names, so redirects are not even followed; the
 * others keep an upperdir self-contained and free of marks (uuid=on writes an attribute to it). Where layers are
 * filesystems of their own, xino makes one device of them, and hard links made inside look like ones.
 */
static const struct pair options[] = {{"redirect_dir", "nofollow"}, {"metacopy", "off"}, {"index", "off"}, {"uuid", "null"}};
#define OPTION_COUNT (sizeof options / sizeof *options)

static int mount_by_context(const struct layers *layers, bool has_user_xattrs, int stub, int filling)
{
    int context = kernel_fsopen("overlay");
    if (context < 0 || kernel_fsconfig(context, "source", "overlay") < 0) return -1;
    if (configure_layers(context, layers, stub, filling) < 0) return -1;
    /* With userxattr the kernel knows neither redirects nor metacopy. */
    for (size_t i = has_user_xattrs ? 2 : 0; i < OPTION_COUNT; i++) {
        if (kernel_fsconfig(context, options[i].key, options[i].value) < 0) return -1;
    }
    if (kernel_fsconfig(context, "xino", layers->has_images ? "on" : "off") < 0) return -1;
    if ((has_user_xattrs && kernel_fsconfig(context, "userxattr", "") < 0) || kernel_fscreate(context) < 0) return -1;
    int root = kernel_fsmount(context, 0);
    close(context);
    return root;
}

/* A folder of this name in scratch, made for something to be mounted on. */
static int make_place(int scratch, const char *name)
{
    if (mkdirat(scratch, name, 0700) < 0) return -1;
    return openat(scratch, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* For kernels before 6.8, which take the lower layers in one option only, and in a context no longer than 255 bytes. */
static int mount_by_page(const struct layers *layers, bool has_user_xattrs, const int special[2], int folder)
{
    char data[MAX_MOUNT_DATA], target[16];
    size_t at = 0;
    int fd;
    at += (size_t)snprintf(data, sizeof data, "%s", has_user_xattrs ? "userxattr," : "redirect_dir=nofollow,metacopy=off,");
    at += (size_t)snprintf(data + at, sizeof data - at, "index=off,xino=%s,", layers->has_images ? "on" : "off");
    if (layers->has_upper) at += (size_t)snprintf(data + at, sizeof data - at, "volatile,upperdir=%d,workdir=%d,", layers->roots[0], layers->workdir);
    for (uint32_t n = 0; (fd = lower_at(layers, special[0], special[1], n)) >= 0; n++) {
        if (at + 16 > sizeof data) {
            errno = E2BIG;
            return -1;
        }
        at += (size_t)snprintf(data + at, sizeof data - at, "%s%d", n ? ":" : "lowerdir=", fd);
    }
    snprintf(target, sizeof target, "%d", folder);
    return kernel_mount("overlay", target, "overlay", 0, data);
}

/* Overlay wants a lower layer, and two of them without an upperdir. -1 in *filling when it has them; the result is 0 or -1. */
static int find_filling(const struct layers *layers, int scratch, int stub, int *filling)
{
    *filling = -1;
    if (layers->count + (stub >= 0 ? 1 : 0) >= 2) return 0;
    *filling = openat(scratch, "empty", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *filling < 0 ? -1 : 0;
}

/* Mounts an overlay on the folder `name` of scratch, for kernels before 6.8. The mount's descriptor or -1. */
static int mount_in_scratch(const struct layers *layers, bool has_user_xattrs, const int special[2], int scratch, const char *name)
{
    int folder = make_place(scratch, name);
    if (folder < 0 || mount_by_page(layers, has_user_xattrs, special, folder) < 0) return -1;
    close(folder);
    return openat(scratch, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/*
 * Whoever holds a clone can have the next container on the same layers begin with it; without one that mounts them anew. It is
 * made before the mount is attached: what is cloned from a mount namespace can be cloned again in that only.
 */
static void hand_over(int mounted)
{
    int clone = kernel_open_tree(mounted, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
    if (clone >= 0) {
        send_descriptor(KEEPER_FD, clone);
        close(clone);
    }
    close(KEEPER_FD);
}

int mount_overlay(const struct container_root *root, const struct layers *layers, int scratch, int stub)
{
    int filling;
    if (find_filling(layers, scratch, stub, &filling) < 0) return report_failure(STAGE_ROOT, "empty folder");
    if (root->kind == ROOT_FUSE) {
        int served = mount_fuse(root, layers, stub, filling);
        return served < 0 || attach_root(served) < 0 ? report_failure(STAGE_ROOT, "fuse-overlayfs") : served;
    }
    if (!root->has_lowerdir_append) {
        int mounted = mount_in_scratch(layers, root->has_user_xattrs, (const int[2]){stub, filling}, scratch, "root");
        if (mounted >= 0 && root->id_map >= 0) mounted = kernel_open_tree(mounted, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
        return mounted < 0 ? report_failure(STAGE_ROOT, "overlay") : mounted;
    }
    int mounted = mount_by_context(layers, root->has_user_xattrs, stub, filling);
    if (mounted >= 0 && root->is_to_keep) hand_over(mounted);
    return mounted < 0 || (root->id_map < 0 && attach_root(mounted) < 0) ? report_failure(STAGE_ROOT, "overlay") : mounted;
}

int mount_kept(const struct container_root *root)
{
    int tree = kernel_open_tree(root->kept, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
    return tree < 0 || attach_root(tree) < 0 ? report_failure(STAGE_ROOT, "kept overlay") : tree;
}

static int open_in_directory(const struct container_root *root, const char *path)
{
    int folder = open(root->lowers.items[0].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int found = folder < 0 ? -1 : kernel_open_in_root(folder, path, O_PATH, 0);
    int clone = found < 0 ? -1 : kernel_open_tree(found, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
    if (clone >= 0 && root->id_map >= 0 && map_mount(clone, root->id_map, 0) < 0) return report_failure(STAGE_IDS, path);
    return clone < 0 ? report_failure(STAGE_MOUNT, path) : clone;
}

int open_in_layers(const struct container_root *root, const char *path, int scratch, uint32_t number)
{
    if (root->kind == ROOT_DIRECTORY) return open_in_directory(root, path);
    struct layers layers;
    char name[32];
    int filling, place = -1, mounted;
    if (open_layers(root, &layers) < 0) return -1;
    if (find_filling(&layers, scratch, -1, &filling) < 0) return report_failure(STAGE_MOUNT, "empty folder");
    snprintf(name, sizeof name, "layers-%u", number);
    if (root->kind == ROOT_FUSE || root->has_lowerdir_append) {
        mounted = root->kind == ROOT_FUSE ? mount_fuse(root, &layers, -1, filling) : mount_by_context(&layers, root->has_user_xattrs, -1, filling);
        if (mounted >= 0 && ((place = make_place(scratch, name)) < 0 || kernel_attach(mounted, place) < 0)) mounted = -1;
        if (place >= 0) close(place);
    } else {
        mounted = mount_in_scratch(&layers, root->has_user_xattrs, (const int[2]){-1, filling}, scratch, name);
    }
    if (mounted < 0) return report_failure(STAGE_MOUNT, root->kind == ROOT_FUSE ? "fuse-overlayfs" : "overlay");
    int found = kernel_open_in_root(mounted, path, O_PATH, 0);
    int clone = found < 0 ? -1 : kernel_open_tree(found, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
    return clone < 0 ? report_failure(STAGE_MOUNT, path) : clone;
}

int mount_directory(const struct container_root *root)
{
    const char *path = root->lowers.items[0].path;
    int tree = kernel_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | AT_RECURSIVE);
    if (tree >= 0 && root->id_map >= 0) return map_mount(tree, root->id_map, AT_RECURSIVE) < 0 ? report_failure(STAGE_IDS, path) : tree;
    return tree < 0 || attach_root(tree) < 0 ? report_failure(STAGE_ROOT, path) : tree;
}

int enter_root(int root)
{
    struct stat wanted, found;
    int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    /* The new root lies on top of the old one; then it is the other way round. Neither needs a folder to be put in. */
    if (old < 0 || fchdir(root) < 0 || kernel_pivot_root(".", ".") < 0) return report_failure(STAGE_ROOT, "pivot_root");
    /* From the old root "." leads to what is mounted on top of it, then to itself, until it is out of the namespace. */
    if (fchdir(old) < 0) return report_failure(STAGE_ROOT, "old root");
    while (kernel_umount(".", UMOUNT_DETACH) == 0) {}
    if (errno != EINVAL || chdir("/") < 0) return report_failure(STAGE_ROOT, "old root");
    close(old);
    if (fstat(root, &wanted) == 0 && stat("/", &found) == 0 && wanted.st_dev == found.st_dev && wanted.st_ino == found.st_ino) return 0;
    errno = EXDEV;
    return report_failure(STAGE_ROOT, "/");
}
