#include "process.h"

#include "await-byte.h"
#include "kernel.h"
#include "mounted-tree.h"
#include "privileges.h"
#include "report.h"
#include "stages.h"

#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define MAX_REPORTED_FILE 1024

int open_cgroups(const struct cgroup *cgroups, struct process_start *start, int *v2, int *folder)
{
    start->cgroups = calloc(start->cgroup_count + 1, sizeof *start->cgroups);
    if (!start->cgroups) return report_failure(STAGE_INIT, "memory");
    for (uint32_t i = 0; i < start->cgroup_count; i++) {
        const struct cgroup *cgroup = &cgroups[i];
        int opened = open(cgroup->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        start->cgroups[i] = opened < 0 ? -1 : openat(opened, cgroup->is_v2 ? "cgroup.procs" : "tasks", O_WRONLY | O_CLOEXEC);
        if (start->cgroups[i] < 0) return report_failure(STAGE_CGROUP, cgroup->folder);
        if (cgroup->is_v2) *v2 = (int)i;
        if (cgroup->is_v2) *folder = opened;
        else close(opened);
    }
    return 0;
}

int open_null(int root)
{
    struct stat stat;
    int null = openat(root, "dev/null", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (null >= 0 && fstat(null, &stat) == 0 && S_ISCHR(stat.st_mode) && stat.st_rdev == makedev(1, 3)) return null;
    return report_failure(STAGE_STDIO, "/dev/null");
}

static int set_own_oom_score(const struct container_process *process, const struct process_start *start)
{
    if (start->has_oom_score) return 0;
    int self = openat(start->root, "proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int result = self < 0 ? report_failure(STAGE_LIMITS, "/proc/self") : set_oom_score(process, self);
    close(self);
    return result;
}

static int join_cgroups(const struct process_start *start)
{
    for (uint32_t i = 0; i < start->cgroup_count; i++) {
        if (start->cgroups[i] >= 0 && write(start->cgroups[i], "0", 1) < 0) return report_failure(STAGE_CGROUP, "join");
    }
    if (start->is_cgroup_shared) return 0;
    /* Only now, so that the groups joined are the ones that look like the roots. */
    return unshare(CLONE_NEWCGROUP) < 0 ? report_failure(STAGE_CGROUP, "namespace") : 0;
}

/*
 * A host process can be protected from the OOM killer, the container's must not inherit that. Becoming a likelier victim
 * needs no privilege; the opposite does, and a value above 0 stays unless another is asked for.
 */
int set_oom_score(const struct container_process *process, int folder)
{
    char value[16] = {0};
    int file = openat(folder, "oom_score_adj", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0 || read(file, value, sizeof value - 1) < 0) return report_failure(STAGE_LIMITS, "oom_score_adj");
    bool is_written = process->has_oom_score || *value == '-';
    int length = snprintf(value, sizeof value, "%d", process->has_oom_score ? process->oom_score : 0);
    int result = is_written && pwrite(file, value, (size_t)length, 0) < 0 ? report_failure(STAGE_LIMITS, "oom_score_adj") : 0;
    close(file);
    return result;
}

/* Takes effect at the execve. The file has to be the kernel's own: one of the image's would take the label and drop it. */
static int set_label(const struct container_process *process, int root)
{
    char path[64];
    struct statfs filesystem;
    if (!*process->label) return 0;
    snprintf(path, sizeof path, "proc/%d/attr/exec", (int)getpid());
    int file = kernel_open_in_root(root, path, O_WRONLY, RESOLVE_NO_SYMLINKS);
    if (file < 0 || fstatfs(file, &filesystem) < 0 || filesystem.f_type != PROC_SUPER_MAGIC) return report_failure(STAGE_LABEL, process->label);
    if (write(file, process->label, strlen(process->label)) < 0) return report_failure(STAGE_LABEL, process->label);
    close(file);
    return 0;
}

static int set_limits(const struct container_process *process)
{
    for (uint32_t i = 0; i < process->limit_count; i++) {
        const uint64_t values[2] = {process->limits[i].soft, process->limits[i].hard};
        if (syscall(SYS_prlimit64, 0, process->limits[i].resource, values, NULL) < 0) return report_failure(STAGE_LIMITS, "rlimit");
    }
    return 0;
}

static bool is_null_device(int fd)
{
    struct stat stat;
    return fstat(fd, &stat) == 0 && S_ISCHR(stat.st_mode) && stat.st_rdev == makedev(1, 3);
}

static int connect_stdio(const struct container_process *process, const struct process_start *start)
{
    struct stat stat;
    if (start->terminal >= 0 && fchown(start->terminal, process->uid, (gid_t)-1) < 0) return report_failure(STAGE_STDIO, "terminal");
    for (int fd = 0; fd < 3; fd++) {
        int source = start->terminal >= 0 ? start->terminal : is_null_device(fd) ? start->null : fd;
        if (source != fd && dup2(source, fd) < 0) return report_failure(STAGE_STDIO, "descriptor");
        /* /dev/stdout opens the pipe anew, which only its owner may. */
        if (process->stdio != STDIO_PIPES || fstat(fd, &stat) < 0 || !S_ISFIFO(stat.st_mode)) continue;
        if ((stat.st_uid != process->uid || stat.st_gid != process->gid) && fchown(fd, process->uid, process->gid) < 0) return report_failure(STAGE_STDIO, "pipe");
    }
    if (start->terminal >= 0 && ioctl(0, TIOCSCTTY, 0) < 0) return report_failure(STAGE_STDIO, "controlling terminal");
    return 0;
}

/*
 * Magic links (/proc/self/fd/N) are refused, so that no folder outside can become the working directory; getcwd is
 * asked all the same.
 */
static int enter_cwd(const struct container_process *process, int root)
{
    char cwd[PATH_MAX];
    struct mounted_tree tree = open_mounted_tree(root);
    tree.may_write_root = true;
    tree.uid = process->uid;
    tree.gid = process->gid;
    int folder = kernel_open_in_root(root, process->cwd, O_PATH | O_DIRECTORY, 0);
    if (folder < 0 && errno == ENOENT) folder = make_in_tree(&tree, process->cwd, true);
    if (folder < 0 || fchdir(folder) < 0) return report_failure(STAGE_CWD, process->cwd);
    close(folder);
    if (syscall(SYS_getcwd, cwd, sizeof cwd) > 0 && *cwd == '/') return 0;
    errno = ENOENT;
    return report_failure(STAGE_CWD, process->cwd);
}

static const char *find_path(const struct container_process *process)
{
    for (const char **variable = process->env; *variable; variable++) {
        if (strncmp(*variable, "PATH=", 5) == 0) return *variable + 5;
    }
    return DEFAULT_PATH;
}

/* execve along PATH, without the shell that execvp starts for what is no program. Leaves the file that failed in `file`. */
static void execute(const struct container_process *process, char *file)
{
    const char *name = process->args[0], *path = find_path(process);
    char denied[PATH_MAX] = "";
    char **args = (char **)process->args, **env = (char **)process->env;
    snprintf(file, PATH_MAX, "%s", name);
    if (strchr(name, '/') || !*name) {
        execve(name, args, env);
        return;
    }
    for (bool is_last = false; !is_last; path++) {
        int length = (int)strcspn(path, ":");
        snprintf(file, PATH_MAX, "%.*s%s%s", length, path, length ? "/" : "./", name);
        path += length;
        is_last = !*path;
        execve(file, args, env);
        if (errno == EACCES && !*denied) strcpy(denied, file);
        /* What is there but cannot be run ends the search: a script without its interpreter is ENOENT as well. */
        if (errno != EACCES && errno != ENOTDIR && (errno != ENOENT || access(file, F_OK) == 0)) return;
    }
    snprintf(file, PATH_MAX, "%s", *denied ? denied : name);
    errno = *denied ? EACCES : ENOENT;
}

static void report_not_executed(const char *file, int error)
{
    bool exists = access(file, F_OK) == 0 && strchr(file, '/');
    uint8_t payload[9 + MAX_REPORTED_FILE];
    uint32_t length = (uint32_t)strnlen(file, MAX_REPORTED_FILE);
    for (int i = 0; i < 4; i++) {
        payload[i] = (uint8_t)((uint32_t)error >> (8 * i));
        payload[5 + i] = (uint8_t)(length >> (8 * i));
    }
    payload[4] = exists;
    memcpy(payload + 9, file, length);
    report_record(REPORT_NOT_EXECUTED, payload, 9 + length);
}

/* The C library's own two signals, which whoever started us can have ignored and which posix_spawn does not reset. */
static void reset_library_signals(void)
{
    static const uint64_t unset[4];
    for (int number = 32; number <= 33; number++) syscall(SYS_rt_sigaction, number, unset, NULL, sizeof(uint64_t));
}

static int execute_process(const struct container_process *process)
{
    sigset_t none;
    char file[PATH_MAX];
    sigemptyset(&none);
    reset_library_signals();
    sigprocmask(SIG_SETMASK, &none, NULL);
    execute(process, file);
    report_not_executed(file, errno);
    return 127;
}

/* Before a filter that may not know the call is there. */
static int close_at_execution(void)
{
    return syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ? report_failure(STAGE_STDIO, "close_range") : 0;
}

/* So that whoever creates a container hears of it, and not only whoever starts it. */
static int look_for_program(const struct container_process *process)
{
    const char *name = process->args[0], *path = find_path(process);
    char file[PATH_MAX];
    if (strchr(name, '/') ? access(name, F_OK) == 0 : !*name) return 0;
    for (bool is_last = strchr(name, '/'); !is_last; path++) {
        int length = (int)strcspn(path, ":");
        snprintf(file, PATH_MAX, "%.*s%s%s", length, path, length ? "/" : "./", name);
        path += length;
        is_last = !*path;
        if (access(file, F_OK) == 0) return 0;
    }
    report_not_executed(name, ENOENT);
    return -1;
}

/* Whoever set the container up has come to its end with this; from then on reports go to whoever starts it. */
static int wait_for_start(int state)
{
    report_record(REPORT_CREATED, NULL, 0);
    close(report_fd());
    int fifo;
    do fifo = openat(state, START_FIFO, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    while (fifo < 0 && errno == EINTR);
    if (fifo < 0 || (fifo != report_fd() && dup3(fifo, report_fd(), O_CLOEXEC) < 0)) return -1;
    if (fifo != report_fd()) close(fifo);
    report_record(REPORT_CREATED, NULL, 0);
    return 0;
}

int run_process(const struct container_process *process, const struct process_start *start)
{
    if (join_cgroups(start) < 0 || setsid() < 0) return 1;
    if (set_own_oom_score(process, start) < 0 || connect_stdio(process, start) < 0 || set_limits(process) < 0) return 1;
    /* A session keyring of its own, so that keys of the caller's session cannot be reached; without keyrings there is none. */
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS) {
        report_failure(STAGE_LIMITS, "session keyring");
        return 1;
    }
    if (enter_cwd(process, start->root) < 0) return 1;
    umask((mode_t)process->umask);
    if (start->state >= 0 && (look_for_program(process) < 0 || wait_for_start(start->state) < 0)) return 127;
    if (start->gate >= 0 && !await_byte(start->gate)) return 1;
    if (set_label(process, start->root) < 0 || close_at_execution() < 0 || drop_privileges(process) < 0) return 1;
    return execute_process(process);
}

int run_chrooted_process(const struct container_process *process, const struct process_start *start)
{
    if (setsid() < 0 || fchdir(start->root) < 0 || chroot(".") < 0) return report_failure(STAGE_ROOT, "chroot"), 1;
    if (connect_stdio(process, start) < 0 || set_limits(process) < 0 || enter_cwd(process, start->root) < 0) return 1;
    umask((mode_t)process->umask);
    return close_at_execution() < 0 || drop_privileges(process) < 0 ? 1 : execute_process(process);
}
