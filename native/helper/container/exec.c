#include "follow.h"
#include "id-maps.h"
#include "kernel.h"
#include "process.h"
#include "report.h"
#include "request.h"
#include "run.h"
#include "stages.h"
#include "terminal.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* The mount namespace comes last: from there on the host's /proc is out of reach. */
static const struct {
    const char *name;
    int type;
} kinds[] = {{"user", CLONE_NEWUSER}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET}, {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME}, {"mnt", CLONE_NEWNS}};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

static int open_namespace(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

#define ENTERED 1

/* One that we are in already need not be entered, and a kernel without time namespaces has no file for them. */
static int enter(int fd, int type, const char *name)
{
    struct stat theirs, ours;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    if (fd < 0) return type == CLONE_NEWTIME ? 0 : -1;
    if (fstat(fd, &theirs) == 0 && stat(path, &ours) == 0 && theirs.st_ino == ours.st_ino) return 0;
    return setns(fd, type) < 0 ? -1 : ENTERED;
}

static int enter_container(const struct container_exec *exec)
{
    int fds[KIND_COUNT];
    for (size_t i = 0; i < KIND_COUNT; i++) fds[i] = open_namespace(exec->pid, kinds[i].name);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        int entered = enter(fds[i], kinds[i].type, kinds[i].name);
        if (entered < 0) return report_failure(STAGE_NAMESPACES, kinds[i].name);
        if (entered == ENTERED && kinds[i].type == CLONE_NEWUSER && become_namespace_root() < 0) return -1;
        close(fds[i]);
    }
    return 0;
}

/* What comes of it afterwards is born in these groups. */
static int join_groups(const struct container_exec *exec)
{
    int v2 = -1, folder = -1;
    struct process_start groups = {.cgroup_count = exec->cgroup_count};
    if (open_cgroups(exec->cgroups, &groups, &v2, &folder) < 0) return -1;
    for (uint32_t i = 0; i < exec->cgroup_count; i++) {
        if (write(groups.cgroups[i], "0", 1) < 0) return report_failure(STAGE_CGROUP, exec->cgroups[i].folder);
        close(groups.cgroups[i]);
    }
    if (folder >= 0) close(folder);
    return 0;
}

static int run_child(const struct container_exec *exec, const struct process_start *start)
{
    if (!exec->is_detached && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return report_failure(STAGE_INIT, "parent"), 1;
    return run_process(&exec->process, start);
}

/*
 * Goes into the container and makes the process there, as the helper's child, whose pid it writes to `told`. It is never in the container's pid
 * namespace itself: whoever may trace there would come by its root and descriptors to the host's files while it still has them.
 */
static int run_joiner(const struct container_exec *exec, int console, int told)
{
    struct process_start start = {.terminal = -1, .gate = -1, .state = -1, .is_cgroup_shared = true, .has_oom_score = true};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return report_failure(STAGE_INIT, "parent"), 1;
    int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC), pids = open_namespace(exec->pid, "pid");
    if (self < 0 || set_oom_score(&exec->process, self) < 0) return 1;
    if (pids < 0) return report_failure(STAGE_NAMESPACES, "pid"), 1;
    if (join_groups(exec) < 0 || enter_container(exec) < 0) return 1;
    if (enter(pids, CLONE_NEWPID, "pid") < 0) return report_failure(STAGE_NAMESPACES, "pid"), 1;
    start.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (start.root < 0 || (start.null = open_null(start.root)) < 0) return 1;
    if (exec->process.stdio == STDIO_TERMINAL && (start.terminal = make_terminal(start.root, 0, console, false)) < 0) return 1;
    if (start.terminal >= 0) size_terminal(start.terminal, &exec->console);
    close(self);
    close(pids);
    if (console >= 0) close(console);
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        close(told);
        _exit(run_child(exec, &start));
    }
    if (child < 0) return report_failure(STAGE_INIT, "process"), 1;
    return write(told, &child, sizeof child) == sizeof child ? 0 : 1;
}

/* Descriptors of the helper that are none of the joiner's business are `unused`; -1 is none. The pid of the process in the container, or -1 with the failure reported. */
static pid_t join_container(const struct container_exec *exec, int console, const int unused[2])
{
    int told[2];
    pid_t child = -1;
    if (pipe2(told, O_CLOEXEC) < 0) return report_failure(STAGE_INIT, "descriptors");
    pid_t joiner = fork();
    if (joiner < 0) return report_failure(STAGE_INIT, "process");
    if (joiner == 0) {
        for (int i = 0; i < 2; i++) {
            if (unused[i] >= 0) close(unused[i]);
        }
        close(told[0]);
        _exit(run_joiner(exec, console, told[1]));
    }
    close(told[1]);
    if (read(told[0], &child, sizeof child) != sizeof child) child = -1;
    close(told[0]);
    waitpid(joiner, NULL, 0);
    return child;
}

static int run_detached(const struct container_exec *exec)
{
    int console = connect_console(&exec->console);
    pid_t child = console < 0 && *exec->console.socket ? -1 : join_container(exec, console, (int[2]){-1, -1});
    if (child < 0) return 1;
    report_pid(child);
    return 0;
}

int run_exec(struct wire *request)
{
    static struct container_exec exec;
    int life[2];
    if (read_exec_request(request, &exec) < 0) return report_failure(STAGE_REQUEST, "exec"), 1;
    /* A process of the container that looks at us while we join must see nothing. */
    prctl(PR_SET_DUMPABLE, 0);
    if (exec.is_detached) return run_detached(&exec);
    int signals = await_signals();
    if (signals < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, life) < 0) return report_failure(STAGE_INIT, "descriptors"), 1;
    if (prctl(PR_SET_PDEATHSIG, PARENT_DIED) < 0) return report_failure(STAGE_INIT, "parent"), 1;
    pid_t child = join_container(&exec, life[1], (int[2]){signals, life[0]});
    if (child < 0) return 1;
    close(life[1]);
    follow_process(child, signals, exec.process.stdio == STDIO_TERMINAL ? life[0] : -1);
    return 0;
}
