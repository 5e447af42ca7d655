/* block-openat2 ERRNO PROGRAM ARGS… runs a program for which, and for all that it starts, openat2 fails with this error. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    int error = atoi(argv[1]);
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) return perror("seccomp"), 2;
    struct open_how how = {0};
    if (syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how) >= 0 || errno != error) return fputs("openat2 is not blocked\n", stderr), 2;
    execvp(argv[2], argv + 2);
    return perror(argv[2]), 2;
}
