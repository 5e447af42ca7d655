#include "waiting.h"

#include "architecture.h"
#include "report.h"
#include "stages.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define GIVE(action) BPF_STMT(BPF_RET | BPF_K, action)
/* The next instruction allows, the one after it goes on. */
#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), GIVE(SECCOMP_RET_ALLOW)

static int install_filter(void)
{
    static struct sock_filter filter[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0),
        GIVE(SECCOMP_RET_ERRNO | EPERM),
        LOAD(nr),
        ALLOW(SYS_rt_sigtimedwait), ALLOW(SYS_wait4), ALLOW(SYS_kill), ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_close), ALLOW(SYS_openat),
#ifdef SYS_open
        ALLOW(SYS_open),
#endif
        ALLOW(SYS_getpid), ALLOW(SYS_restart_syscall), ALLOW(SYS_exit_group), ALLOW(SYS_munmap), ALLOW(SYS_close_range),
        GIVE(SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    /* A kernel without filters has none for the container either. */
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 && errno != ENOSYS && errno != EINVAL ? -1 : 0;
}

int keep_only_waiting(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    /* Its process can be another user's. */
    const struct __user_cap_data_struct kept[2] = {{.effective = 1u << CAP_KILL, .permitted = 1u << CAP_KILL}};
    if (syscall(SYS_capset, &header, kept) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return report_failure(STAGE_CAPABILITIES, "init");
    return install_filter() < 0 ? report_failure(STAGE_SECCOMP, "init") : 0;
}
