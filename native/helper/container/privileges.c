#include "privileges.h"

#include "report.h"
#include "stages.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int limit_bounding_set(uint64_t allowed)
{
    for (int capability = 0; capability < 64; capability++) {
        if (allowed >> capability & 1) continue;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
        if (errno != EINVAL) return -1;
        break; /* the kernel has no more */
    }
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static int set_capabilities(const struct capability_sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    for (int half = 0; half < 2; half++) {
        data[half].effective = (uint32_t)(sets->effective >> (32 * half));
        data[half].permitted = (uint32_t)(sets->permitted >> (32 * half));
        data[half].inheritable = (uint32_t)(sets->inheritable >> (32 * half));
    }
    if (syscall(SYS_capset, &header, data) < 0) return report_failure(STAGE_CAPABILITIES, "effective set");
    for (int capability = 0; capability < 64; capability++) {
        if (!(sets->ambient >> capability & 1)) continue;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0) return report_failure(STAGE_CAPABILITIES, "ambient set");
    }
    return 0;
}

static int install_seccomp(const struct container_process *process)
{
    if (process->seccomp.len == 0) return 0;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, process->seccomp_flags, &process->seccomp) == 0) return 0;
    return report_failure(STAGE_SECCOMP, "program");
}

/*
 * In a user namespace with one id the kernel forbids setgroups for good. What the process has there are groups of the
 * caller that are not mapped; who may set groups and is refused all the same is in such a namespace. The group itself it
 * has anyway.
 */
static bool may_keep_groups(const struct container_process *process)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (errno != EPERM || process->group_count > 1 || (process->group_count == 1 && process->groups[0] != process->gid) || syscall(SYS_capget, &header, data) < 0) return false;
    return data[0].effective & 1u << CAP_SETGID;
}

int drop_privileges(const struct container_process *process)
{
    const struct capability_sets *sets = &process->capabilities;
    if (limit_bounding_set(sets->bounding) < 0) return report_failure(STAGE_CAPABILITIES, "bounding set");
    /* Without no_new_privs only CAP_SYS_ADMIN may install a filter, so it comes before that is gone. */
    if (!process->has_no_new_privileges && install_seccomp(process) < 0) return -1;
    if (setgroups(process->group_count, process->groups) < 0 && !may_keep_groups(process)) return report_failure(STAGE_USER, "groups");
    if (setresgid(process->gid, process->gid, process->gid) < 0) return report_failure(STAGE_USER, "gid");
    /* Otherwise becoming another user than root takes them all. */
    if (process->uid != 0 && (sets->permitted || sets->inheritable) && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return report_failure(STAGE_CAPABILITIES, "keep");
    if (setresuid(process->uid, process->uid, process->uid) < 0) return report_failure(STAGE_USER, "uid");
    if (set_capabilities(sets) < 0) return -1;
    if (!process->has_no_new_privileges) return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return report_failure(STAGE_CAPABILITIES, "no_new_privs");
    return install_seccomp(process);
}
