/*
 * The helper: one small static program for what Node cannot do itself. It is started by native/helper-process.ts as
 *   tsbuild-helper MODE PARENT EXTRA
 * with the request in descriptor 3, the report pipe in 4, and EXTRA more that the mode wants from 5 on.
 */
#include "container/bundle.h"
#include "container/chroot.h"
#include "container/create.h"
#include "container/run.h"
#include "container/user-namespace.h"
#include "flat/modes.h"
#include "fuse/modes.h"
#include "network/modes.h"
#include "report.h"
#include "tree/modes.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REQUEST_FD 3
#define REPORT_FD 4
#define FIRST_EXTRA_FD 5
#define STAGE_REQUEST 1

struct mode {
    const char *name;
    int (*run)(struct wire *request); /* the exit code; a failure has been reported by then */
};

/* Answers with the descriptor table it was given: what the tests of the starting code look at. */
static int run_probe(struct wire *request)
{
    uint32_t highest = wire_u32(request);
    if (!wire_is_done(request)) {
        errno = EBADMSG;
        report_failure(STAGE_REQUEST, "probe");
        return 1;
    }
    for (int fd = 0; fd <= (int)highest; fd++) {
        uint8_t open_fd = (uint8_t)fd;
        if (fcntl(fd, F_GETFD) >= 0) report_record(1, &open_fd, 1);
    }
    return 0;
}

static const struct mode modes[] = {
    {"probe", run_probe},
    {"run", run_container},
    {"bundle", run_bundle},
    {"chroot", run_chroot},
    {"exec", run_exec},
    {"create", create_container},
    {"enter", run_enter},
    {"attend", run_attend},
    {"make-bridge", run_make_bridge},
    {"remove-bridge", run_remove_bridge},
    {"pack-tree", run_pack_tree},
    {"pack-list", run_pack_list},
    {"unpack", run_unpack},
    {"measure", run_measure},
    {"sync", run_sync},
    {"remove", run_remove},
    {"index", run_index},
    {"mount", run_mount},
    {"flatten", run_flatten},
    {"extract", run_extract},
    {"settle", run_settle},
};

/* The helper must not outlive the Node process that started it, whichever way that one ends; a mode may ask for another signal. */
static int die_with_parent(const char *expected)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return -1;
    return getppid() == (pid_t)strtol(expected, NULL, 10) ? 0 : -1;
}

/* Node passes on descriptors it inherited itself (above libuv's table), so the helper trusts no number it was not given. */
static void close_from(unsigned first)
{
    if (syscall(SYS_close_range, first, ~0u, 0) == 0) return;
    for (int fd = (int)first; fd < (int)sysconf(_SC_OPEN_MAX); fd++) close(fd);
}

int main(int argc, char **argv)
{
    struct wire request;
    if (argc != 4 || die_with_parent(argv[2]) < 0) return 2;
    prctl(PR_SET_NAME, "tsbuild-helper");
    close_from(FIRST_EXTRA_FD + (unsigned)strtoul(argv[3], NULL, 10));
    /* A container's processes can read the command line of its init, which is a copy of this process. */
    memset(argv[2], 0, strlen(argv[2]));
    memset(argv[3], 0, strlen(argv[3]));
    report_open(REPORT_FD);
    fcntl(REQUEST_FD, F_SETFD, FD_CLOEXEC);
    fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC);
    if (wire_open(REQUEST_FD, &request) < 0) {
        report_failure(STAGE_REQUEST, "request");
        return 2;
    }
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i].name, argv[1]) == 0) return modes[i].run(&request);
    }
    errno = EINVAL;
    report_failure(STAGE_REQUEST, argv[1]);
    return 2;
}
