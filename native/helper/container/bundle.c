#include "bundle.h"

#include "id-maps.h"
#include "init.h"
#include "kernel.h"
#include "layers.h"
#include "mount-points.h"
#include "report.h"
#include "request.h"
#include "root.h"
#include "stages.h"
#include "tree/files/delete.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct bundle {
    struct container container;
    const char *rootfs;
    const char *program;
    const char **args;
    const char **env;
    const char *unified; /* "": what is there */
    struct texts hidden; /* mount points */
    const char *group;   /* that the runtime makes, or "" */
    int *groups;         /* the files that take members, one for each of the container's groups */
};

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

/* The runtime needs one that shows its own process ids. */
static int renew_proc(void)
{
    if (uncover_proc() < 0) return -1;
    return kernel_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ? report_failure(STAGE_ROOT, "/proc") : 0;
}

static void put_u64(uint8_t *at, uint64_t value)
{
    put_u32(at, (uint32_t)value);
    put_u32(at + 4, (uint32_t)(value >> 32));
}

/* Which missing mount points are to be folders. */
static int look_at_sources(struct container *container)
{
    for (uint32_t i = 0; i < container->mount_count; i++) {
        struct container_mount *mount = &container->mounts[i];
        struct stat stat;
        mount->is_folder = mount->kind == MOUNT_FILESYSTEM;
        if (mount->kind != MOUNT_BIND) continue;
        if (fstatat(AT_FDCWD, mount->source, &stat, AT_SYMLINK_NOFOLLOW) < 0) return report_failure(STAGE_MOUNT, mount->source);
        mount->is_folder = S_ISDIR(stat.st_mode);
    }
    return 0;
}

/* One whose files have the container's ids is attached nowhere yet. */
static int attach_mapped_root(int root, int target)
{
    setfsuid(0);
    setfsgid(0);
    return kernel_attach(root, target);
}

/* What lies on "/" would be all that the runtime detaches when it leaves the host's root, which would stay then. */
static int attach_root_copy(int root, int target)
{
    int copy = kernel_open_tree(root, "", AT_EMPTY_PATH | OPEN_TREE_CLONE);
    if (copy < 0 || kernel_attach(copy, target) < 0) return -1;
    close(copy);
    return fchdir(root) < 0 || kernel_umount(".", UMOUNT_DETACH) < 0 || chdir("/") < 0 ? -1 : 0;
}

static int mount_rootfs(struct bundle *bundle)
{
    struct layers layers;
    int stub = -1, root;
    struct container *container = &bundle->container;
    int target = open(bundle->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (target < 0) return report_failure(STAGE_ROOT, bundle->rootfs);
    if (look_at_sources(container) < 0) return -1;
    int scratch = mount_scratch();
    if (scratch < 0) return -1;
    bool has_own_ids = container->users.count > 0;
    if (has_own_ids && make_files_as_container_root(container) < 0) return -1;
    if (container->root.kind == ROOT_DIRECTORY) {
        root = mount_directory(&container->root);
    } else {
        if (open_layers(&container->root, &layers) < 0 || make_mount_points(container, &layers, scratch, &stub) < 0) return -1;
        root = mount_overlay(&container->root, &layers, scratch, stub);
    }
    if (root < 0) return -1;
    int attached = has_own_ids ? attach_mapped_root(root, target) : attach_root_copy(root, target);
    close(target);
    if (attached < 0) return report_failure(STAGE_ROOT, bundle->rootfs);
    return renew_proc();
}

/* By host path, before a runtime's own view of the groups is mounted. */
static int open_cgroups(struct bundle *bundle)
{
    const struct container *container = &bundle->container;
    bundle->groups = calloc(container->cgroup_count + 1, sizeof *bundle->groups);
    if (!bundle->groups) return report_failure(STAGE_CGROUP, "memory");
    for (uint32_t i = 0; i < container->cgroup_count; i++) {
        const struct cgroup *cgroup = &container->cgroups[i];
        int folder = open(cgroup->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        bundle->groups[i] = folder < 0 ? -1 : openat(folder, cgroup->is_v2 ? "cgroup.procs" : "tasks", O_WRONLY | O_CLOEXEC);
        if (bundle->groups[i] < 0) return report_failure(STAGE_CGROUP, cgroup->folder);
        close(folder);
    }
    return 0;
}

/* What the runtime makes for itself lies below our groups then, so our limits and counters hold for it. */
static int execute(const struct bundle *bundle)
{
    sigset_t none;
    sigemptyset(&none);
    for (uint32_t i = 0; i < bundle->container.cgroup_count; i++) {
        if (write(bundle->groups[i], "0", 1) < 0) return report_failure(STAGE_CGROUP, bundle->container.cgroups[i].folder), 1;
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(bundle->program, (char **)bundle->args, (char **)bundle->env);
    report_failure(STAGE_INIT, bundle->program);
    return 1;
}

/*
 * A runtime that knows either version of cgroups, but not both at once, is shown the second only. What is hidden from it
 * it does not manage, and its container stays in our group there.
 */
static int show_cgroups(const struct bundle *bundle)
{
    for (uint32_t i = 0; i < bundle->hidden.count; i++) {
        if (kernel_umount(bundle->hidden.items[i], UMOUNT_DETACH) < 0) return report_failure(STAGE_CGROUP, bundle->hidden.items[i]);
    }
    if (!*bundle->unified) return 0;
    return kernel_mount(bundle->unified, "/sys/fs/cgroup", NULL, MS_BIND, NULL) < 0 ? report_failure(STAGE_CGROUP, bundle->unified) : 0;
}

/* PID 1 of what the runtime makes: when it ends, all of it does. */
static int run_steward(struct bundle *bundle)
{
    sigset_t awaited;
    uint8_t payload[4];
    fill_awaited_signals(&awaited);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return report_failure(STAGE_INIT, "parent"), 1;
    if (kernel_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return report_failure(STAGE_NAMESPACES, "/"), 1;
    if (mount_rootfs(bundle) < 0 || open_cgroups(bundle) < 0 || show_cgroups(bundle) < 0) return 1;
    pid_t runtime = fork();
    if (runtime < 0) return report_failure(STAGE_INIT, "fork"), 1;
    if (runtime == 0) _exit(execute(bundle));
    for (;;) {
        int status, received = sigwaitinfo(&awaited, NULL);
        if (received > 0 && received != SIGCHLD && received != SIGALRM) kill(runtime, received);
        if (received != SIGCHLD) continue;
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
            if (pid != runtime) continue;
            put_u32(payload, (uint32_t)status);
            report_record(REPORT_EXITED, payload, sizeof payload);
            return 0;
        }
    }
}

static void report_ended(int status, const struct rusage *usage)
{
    uint8_t payload[28];
    uint64_t time = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 + (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
    put_u32(payload, (uint32_t)status);
    put_u64(payload + 4, time);
    put_u64(payload + 12, (uint64_t)usage->ru_inblock);
    put_u64(payload + 20, (uint64_t)usage->ru_oublock);
    report_record(REPORT_ENDED, payload, sizeof payload);
}

/* Sent when the process that started us dies. Nobody sends it on purpose. */
#define PARENT_DIED SIGPWR

/* Nobody is left who would: the process that wrote it is gone. */
static void remove_bundle(const char *rootfs, const char *group)
{
    char folder[PATH_MAX];
    uint64_t deleted = 0;
    snprintf(folder, sizeof folder, "%s", rootfs);
    char *slash = strrchr(folder, '/');
    if (!slash || slash == folder) return;
    *slash = 0;
    delete_tree(AT_FDCWD, folder, &deleted);
    if (*group) rmdir(group);
}

int run_bundle(struct wire *request)
{
    static struct bundle bundle;
    sigset_t awaited;
    if (read_container(request, &bundle.container) == 0) {
        bundle.rootfs = wire_text(request);
        bundle.program = wire_text(request);
        bundle.args = read_texts(request).items;
        bundle.env = read_texts(request).items;
        bundle.unified = wire_text(request);
        bundle.hidden = read_texts(request);
        bundle.group = wire_text(request);
    }
    if (!wire_is_done(request) || !bundle.args[0]) {
        errno = EBADMSG;
        return report_failure(STAGE_REQUEST, "bundle"), 1;
    }
    fill_awaited_signals(&awaited);
    sigaddset(&awaited, PARENT_DIED);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    if (prctl(PR_SET_PDEATHSIG, PARENT_DIED) < 0) return report_failure(STAGE_INIT, "parent"), 1;
    /* While /proc still shows our process ids. */
    if (bundle.container.users.count && (bundle.container.root.id_map = open_id_map(&bundle.container)) < 0) return 1;
    pid_t steward = (pid_t)syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
    if (steward < 0) return report_failure(STAGE_NAMESPACES, "clone"), 1;
    if (steward == 0) _exit(run_steward(&bundle));
    for (bool is_orphan = false;;) {
        int status, received = sigwaitinfo(&awaited, NULL);
        struct rusage usage;
        if (received == SIGCHLD && wait4(steward, &status, WNOHANG, &usage) == steward) {
            if (is_orphan) remove_bundle(bundle.rootfs, bundle.group);
            report_ended(status, &usage);
            return 0;
        }
        if (received == PARENT_DIED) is_orphan = true;
        if (received > 0 && received != SIGCHLD) kill(steward, received == SIGALRM || received == PARENT_DIED ? SIGKILL : received);
    }
}
