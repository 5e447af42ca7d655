/*
 * The mode mount: shows a stack of layers, read-only, at a directory of the host until somebody unmounts it.
 *   request   text directory, "" for a trial that nobody sees; list of layers, top first
 */
#include "container/kernel.h"
#include "layer/lower.h"
#include "report.h"
#include "tree/base/stage.h"
#include "tree/modes.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PRIVATE (1ul << 18 | 1ul << 14) /* MS_PRIVATE, MS_REC */

static int attach(int fd, const char *path)
{
    return (int)syscall(SYS_move_mount, fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
}

/* Layers are named by descriptor number, relative to this folder, which their mounts then hide. */
static int hide_from_host(void)
{
    if (unshare(CLONE_NEWNS) < 0) return report_failure(STAGE_CONFINE, "unshare");
    if (kernel_mount(NULL, "/", NULL, PRIVATE, NULL) < 0) return report_failure(STAGE_CONFINE, "make mounts private");
    return chdir("/proc/self/fd") < 0 ? report_failure(STAGE_CONFINE, "/proc/self/fd") : 0;
}

static int make_empty(void)
{
    int context = kernel_fsopen("tmpfs"), mounted = -1;
    if (context >= 0 && kernel_fsconfig(context, "mode", "0755") == 0 && kernel_fscreate(context) == 0) mounted = kernel_fsmount(context, 0);
    if (mounted < 0 || attach(mounted, "/proc") < 0) return report_failure(STAGE_OPEN_TREE, "tmpfs");
    return mounted;
}

static int add_lower(int context, int fd)
{
    char name[16];
    snprintf(name, sizeof name, "%d", fd);
    return kernel_fsconfig(context, "lowerdir+", name);
}

static int add_lowers(int context, struct wire *request, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct lower lower = lower_read(request);
        int fd = lower_open(&lower, O_PATH);
        bool is_there = fd >= 0 && (lower.kind == LOWER_DIRECTORY || attach(fd, "/proc") == 0);
        if (!is_there || add_lower(context, fd) < 0) return report_failure(STAGE_OPEN_TREE, lower.path);
    }
    /* Overlay wants two layers where there is no upper one. */
    int empty = count < 2 ? make_empty() : -1;
    for (uint32_t i = count; i < 2; i++) {
        char name[2] = {(char)('1' + i), 0};
        if (empty < 0 || mkdirat(empty, name, 0755) < 0) return report_failure(STAGE_OPEN_TREE, "tmpfs");
        if (add_lower(context, openat(empty, name, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) return report_failure(STAGE_OPEN_TREE, "tmpfs");
    }
    return 0;
}

/* Redirects are not followed: no layer shows files under other names than it has for them. */
static int mount_stack(struct wire *request, uint32_t count)
{
    static const char *const options[][2] = {{"source", "tsbuild"}, {"redirect_dir", "nofollow"}, {"metacopy", "off"}, {"index", "off"}, {"xino", "on"}, {"ro", ""}};
    int context = kernel_fsopen("overlay");
    if (context < 0) return report_failure(STAGE_OPEN_TREE, "overlay");
    if (add_lowers(context, request, count) < 0) return -1;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (kernel_fsconfig(context, options[i][0], options[i][1]) < 0) return report_failure(STAGE_OPEN_TREE, options[i][0]);
    }
    int mounted = kernel_fscreate(context) < 0 ? -1 : kernel_fsmount(context, MOUNT_ATTR_RDONLY);
    return mounted < 0 ? report_failure(STAGE_OPEN_TREE, "overlay") : mounted;
}

int run_mount(struct wire *request)
{
    const char *target = wire_text(request);
    uint32_t count = wire_count(request, LOWER_LEAST);
    int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (home < 0) return report_failure(STAGE_CONFINE, "/proc/self/ns/mnt"), 1;
    int mounted = hide_from_host() < 0 ? -1 : mount_stack(request, count);
    if (mounted < 0) return 1;
    if (!wire_is_done(request)) {
        errno = EBADMSG;
        return report_failure(STAGE_TREE_REQUEST, "mount"), 1;
    }
    if (!*target) return 0;
    if (setns(home, CLONE_NEWNS) < 0) return report_failure(STAGE_CONFINE, "setns"), 1;
    return attach(mounted, target) < 0 ? (report_failure(STAGE_OPEN_TREE, target), 1) : 0;
}
