#include "tree/unpack/call-filter.h"

#include "architecture.h"
#include "report.h"
#include "tree/base/stage.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Nothing that makes processes or sockets, mounts, changes ids, or reaches other processes. */
static const uint32_t allowed[] = {
    SYS_read, SYS_readv, SYS_pread64, SYS_write, SYS_writev, SYS_pwrite64, SYS_lseek, SYS_close, SYS_dup, SYS_fcntl, SYS_ftruncate, SYS_copy_file_range,
    SYS_openat, SYS_openat2, SYS_getdents64, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_readlinkat, SYS_chdir, SYS_fchdir, SYS_mkdirat, SYS_mknodat,
    SYS_symlinkat, SYS_linkat, SYS_unlinkat, SYS_renameat2, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_utimensat, SYS_fsync, SYS_fdatasync,
    SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr, SYS_llistxattr, SYS_flistxattr,
    SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk, SYS_futex, SYS_getrandom, SYS_clock_gettime,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_restart_syscall, SYS_exit, SYS_exit_group,
/* C libraries use the old ones where the machine has them. */
#ifdef SYS_open
    SYS_open, SYS_stat, SYS_lstat, SYS_readlink,
#endif
#ifdef SYS_fchmodat2
    SYS_fchmodat2,
#endif
};

/* Of ioctl: so that an immutable file can be replaced. Others can type on a terminal. */
static const uint32_t allowed_ioctls[] = {(uint32_t)FS_IOC_GETFLAGS, (uint32_t)FS_IOC_SETFLAGS};

#define ALLOWED_COUNT (sizeof allowed / sizeof *allowed)
#define IOCTL_COUNT (sizeof allowed_ioctls / sizeof *allowed_ioctls)
#define LOW_HALF (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0)

struct program {
    struct sock_filter steps[16 + ALLOWED_COUNT + IOCTL_COUNT];
    unsigned short length;
};

static void add(struct program *program, struct sock_filter step)
{
    program->steps[program->length++] = step;
}

static void load(struct program *program, size_t offset)
{
    add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* Jumps over what is left of a list and its refusal. */
static void allow_any(struct program *program, const uint32_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, values[i], (uint8_t)(count - i), 0));
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

int filter_calls(void)
{
    struct program program = {.length = 0};
    load(&program, offsetof(struct seccomp_data, arch));
    add(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0));
    add(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    load(&program, offsetof(struct seccomp_data, nr));
    add(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, IOCTL_COUNT + 3));
    load(&program, offsetof(struct seccomp_data, args[1]) + LOW_HALF);
    allow_any(&program, allowed_ioctls, IOCTL_COUNT);
    allow_any(&program, allowed, ALLOWED_COUNT);
    struct sock_fprog filter = {program.length, program.steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return report_failure(STAGE_CONFINE, "no_new_privs");
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0 ? report_failure(STAGE_CONFINE, "seccomp") : 0;
}
