#include "container/kernel.h"
#include "container/request.h"
#include "network/modes.h"
#include "report.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum stage { STAGE_REQUEST = 1, STAGE_NAMESPACE, STAGE_PROGRAM };

/*
 * Programs of this kind give up the privilege to look into other processes before they look for the namespace, so it is put on a
 * file that is always there, in a mount namespace of the program's own.
 */
static int place_namespace(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    if (unshare(CLONE_NEWNS) < 0 || kernel_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return report_failure(STAGE_NAMESPACE, "mount namespace");
    return kernel_mount(path, ATTENDED_NETWORK, NULL, MS_BIND, NULL) < 0 ? report_failure(STAGE_NAMESPACE, path) : 0;
}

static int run_program(const char *program, const struct texts texts[2], const pid_t parent_and_attended[2])
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent_and_attended[0] || place_namespace(parent_and_attended[1]) < 0) return 1;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(program, (char **)texts[0].items, (char **)texts[1].items);
    report_failure(STAGE_PROGRAM, program);
    return 1;
}

int run_attend(struct wire *request)
{
    int status;
    sigset_t awaited;
    pid_t attended = (pid_t)wire_u32(request);
    const char *program = wire_text(request);
    struct texts texts[2] = {read_texts(request), read_texts(request)};
    if (!wire_is_done(request) || !texts[0].items[0]) {
        errno = EBADMSG;
        return report_failure(STAGE_REQUEST, "attend"), 1;
    }
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGCHLD);
    sigaddset(&awaited, SIGTERM);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    pid_t parent = getpid(), child = fork();
    if (child < 0) return report_failure(STAGE_PROGRAM, "fork"), 1;
    if (child == 0) _exit(run_program(program, texts, (const pid_t[2]){parent, attended}));
    for (;;) {
        int received = sigwaitinfo(&awaited, NULL);
        if (received == SIGTERM) kill(child, SIGKILL);
        if (received == SIGCHLD && waitpid(child, &status, WNOHANG) == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
}
