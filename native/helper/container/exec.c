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

/* In the container's pid namespace by birth; enters the others and becomes the user's process. */
static int run_child(const struct container_exec *exec, int life)
{
    int v2 = -1, folder = -1;
    struct process_start start = {.terminal = -1, .state = -1, .cgroup_count = exec->cgroup_count, .is_cgroup_shared = true, .has_oom_score = true};
    if (!exec->is_detached && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return report_failure(STAGE_INIT, "parent");
    int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (self < 0 || set_oom_score(&exec->process, self) < 0) return 1;
    close(self);
    if (open_cgroups(exec->cgroups, &start, &v2, &folder) < 0 || enter_container(exec) < 0) return 1;
    /* Becoming another namespace's root took it away. */
    if (!exec->is_detached && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return report_failure(STAGE_INIT, "parent");
    start.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (start.root < 0 || (start.null = open_null(start.root)) < 0) return 1;
    if (exec->process.stdio == STDIO_TERMINAL && (start.terminal = make_terminal(start.root, 0, life, false)) < 0) return 1;
    if (start.terminal >= 0) size_terminal(start.terminal, &exec->console);
    return run_process(&exec->process, &start);
}

static pid_t fork_child(const struct container_exec *exec, int console, int unused)
{
    int pids = open_namespace(exec->pid, "pid");
    if (pids < 0 || enter(pids, CLONE_NEWPID, "pid") < 0) return report_failure(STAGE_NAMESPACES, "pid");
    pid_t child = fork();
    if (child < 0) return report_failure(STAGE_INIT, "process");
    if (child == 0) {
        if (unused >= 0) close(unused);
        _exit(run_child(exec, console));
    }
    return child;
}

static int run_detached(const struct container_exec *exec)
{
    int console = connect_console(&exec->console);
    pid_t child = console < 0 && *exec->console.socket ? -1 : fork_child(exec, console, -1);
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
    pid_t child = fork_child(&exec, life[1], life[0]);
    if (child < 0) return 1;
    close(life[1]);
    follow_process(child, signals, exec.process.stdio == STDIO_TERMINAL ? life[0] : -1);
    return 0;
}
