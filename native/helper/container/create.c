#include "create.h"

#include "follow.h"
#include "init.h"
#include "kernel.h"
#include "namespaces.h"
#include "process.h"
#include "report.h"
#include "request.h"
#include "run.h"
#include "stages.h"
#include "terminal.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_FD 5
#define GO_FD 6

/* What Node asks the mode `create` for. */
struct creation {
    struct container container;
    struct console console;
    bool is_followed; /* the helper stays, and the container dies with it */
    bool is_awaited;  /* GO_FD says when to go on */
};

static int read_creation(struct wire *request, struct creation *creation)
{
    if (read_container(request, &creation->container) < 0) return -1;
    creation->console = read_console(request);
    creation->is_followed = wire_u8(request) != 0;
    creation->is_awaited = wire_u8(request) != 0;
    if (wire_is_done(request)) return 0;
    errno = EBADMSG;
    return -1;
}

static int prepare_state(const struct creation *creation)
{
    if (fcntl(STATE_FD, F_SETFD, FD_CLOEXEC) < 0 || mkfifoat(STATE_FD, START_FIFO, 0600) < 0) return report_failure(STAGE_INIT, "state folder");
    if (creation->is_awaited && fcntl(GO_FD, F_SETFD, FD_CLOEXEC) < 0) return report_failure(STAGE_INIT, "descriptors");
    return 0;
}

static int clone_first(struct creation *creation, int console, int unused)
{
    struct container *container = &creation->container;
    if (join_pid_namespace(container) < 0) return -1;
    pid_t pid = (pid_t)syscall(SYS_clone, new_namespaces(container) | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0) return report_failure(STAGE_NAMESPACES, "clone");
    if (pid == 0) {
        if (unused >= 0) close(unused);
        const struct outside outside = {.life = console, .network = -1, .state = STATE_FD, .go = creation->is_awaited ? GO_FD : -1, .console = &creation->console};
        if (creation->is_followed && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) _exit(1);
        _exit(run_first(container, &outside));
    }
    report_pid(pid);
    return pid;
}

/* The container's terminal is bridged to ours, and its end is told. */
static int follow_first(struct creation *creation)
{
    int life[2] = {-1, -1}, signals = await_signals();
    bool has_terminal = creation->container.process.stdio == STDIO_TERMINAL;
    if (signals < 0 || (has_terminal && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, life) < 0)) return report_failure(STAGE_INIT, "descriptors");
    if (prctl(PR_SET_PDEATHSIG, PARENT_DIED) < 0) return report_failure(STAGE_INIT, "parent");
    pid_t pid = clone_first(creation, life[1], life[0]);
    if (pid < 0) return -1;
    if (has_terminal) close(life[1]);
    close(STATE_FD);
    if (creation->is_awaited) close(GO_FD);
    follow_process(pid, signals, life[0]);
    return 0;
}

int create_container(struct wire *request)
{
    static struct creation creation;
    if (read_creation(request, &creation) < 0) return report_failure(STAGE_REQUEST, "create"), 1;
    /* Nothing inside may look into its first process, which inherits this, before that has executed. */
    prctl(PR_SET_DUMPABLE, 0);
    if (creation.container.users.count) {
        errno = EINVAL;
        return report_failure(STAGE_IDS, "create"), 1;
    }
    if (prepare_state(&creation) < 0) return 1;
    if (creation.is_followed) return follow_first(&creation) < 0 ? 1 : 0;
    int console = connect_console(&creation.console);
    if (console < 0 && *creation.console.socket) return 1;
    return clone_first(&creation, console, -1) < 0 ? 1 : 0;
}
