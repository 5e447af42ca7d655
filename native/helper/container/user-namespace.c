#include "user-namespace.h"

#include "await-byte.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define GO_FD 5

static char **read_texts(struct wire *wire)
{
    uint32_t count = wire_count(wire, 5);
    char **texts = calloc((size_t)count + 1, sizeof *texts);
    for (uint32_t i = 0; texts && i < count; i++) texts[i] = (char *)wire_text(wire);
    return texts;
}

/* Where only one id is mapped the kernel forbids setgroups for good: the caller's own groups stay, as unmapped ones. */
static bool may_set_groups(void)
{
    char text[8] = {0};
    int file = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
    if (file < 0) return true;
    bool may = read(file, text, sizeof text - 1) <= 0 || strncmp(text, "deny", 4) != 0;
    close(file);
    return may;
}

static int become_root(void)
{
    if (may_set_groups() && setgroups(0, NULL) < 0) return report_failure(ENTER_STAGE_IDS, "groups");
    if (setresgid(0, 0, 0) < 0) return report_failure(ENTER_STAGE_IDS, "gid");
    return setresuid(0, 0, 0) < 0 ? report_failure(ENTER_STAGE_IDS, "uid") : 0;
}

/* Changing ids took the parent-death signal away. In the parent's process group the terminal is ours as much as its. */
static int stay_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setpgid(0, getpgid(parent)) < 0) return report_failure(ENTER_STAGE_PARENT, "process group");
    if (getppid() == parent) return 0;
    errno = ESRCH;
    return report_failure(ENTER_STAGE_PARENT, "parent");
}

/* Of a process, or a new one for 0. */
static int enter_namespace(uint32_t pid)
{
    char path[64];
    if (pid == 0) return unshare(CLONE_NEWUSER) < 0 ? report_failure(ENTER_STAGE_NAMESPACE, "unshare") : 0;
    snprintf(path, sizeof path, "/proc/%u/ns/user", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWUSER) < 0) return report_failure(ENTER_STAGE_NAMESPACE, path);
    close(fd);
    return 0;
}

int run_enter(struct wire *request)
{
    pid_t parent = getppid();
    uint32_t joined = wire_u32(request);
    const char *program = wire_text(request);
    char **args = read_texts(request), **env = read_texts(request);
    if (!wire_is_done(request) || !args || !env || !args[0]) {
        errno = EBADMSG;
        return report_failure(ENTER_STAGE_REQUEST, "enter"), 1;
    }
    fcntl(GO_FD, F_SETFD, FD_CLOEXEC);
    if (enter_namespace(joined) < 0) return 1;
    report_record(ENTER_READY, NULL, 0);
    if (!await_byte(GO_FD)) return 1;
    if (become_root() < 0 || stay_with(parent) < 0) return 1;
    execve(program, args, env);
    return report_failure(ENTER_STAGE_PROGRAM, program), 1;
}
