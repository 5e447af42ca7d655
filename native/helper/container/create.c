#include "create.h"

#include "init.h"
#include "kernel.h"
#include "namespaces.h"
#include "process.h"
#include "report.h"
#include "request.h"
#include "run.h"
#include "stages.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_FD 5

int create_container(struct wire *request)
{
    static struct container container;
    sigset_t awaited;
    if (read_request(request, &container) < 0) {
        report_failure(STAGE_REQUEST, "create");
        return 1;
    }
    fill_awaited_signals(&awaited);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    /* Nothing inside may look into init, which inherits this. */
    prctl(PR_SET_DUMPABLE, 0);
    if (fcntl(STATE_FD, F_SETFD, FD_CLOEXEC) < 0 || mkfifoat(STATE_FD, START_FIFO, 0600) < 0) return report_failure(STAGE_INIT, "state folder"), 1;
    if (container.users.count) {
        errno = EINVAL;
        return report_failure(STAGE_IDS, "create"), 1;
    }
    if (join_pid_namespace(&container) < 0) return 1;
    pid_t pid = (pid_t)syscall(SYS_clone, new_namespaces(&container) | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0) return report_failure(STAGE_NAMESPACES, "clone"), 1;
    if (pid == 0) _exit(run_init(&container, request, &(struct outside){.life = -1, .network = -1, .state = STATE_FD}));
    report_pid(pid);
    return 0;
}
