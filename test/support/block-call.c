/* block-call CALL ERRNO PROGRAM ARGS… runs a program for which, and for all that it starts, this system call fails with this error. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 4) return 2;
    unsigned call;
    if (!strcmp(argv[1], "openat2")) call = SYS_openat2;
    else if (!strcmp(argv[1], "unshare")) call = SYS_unshare;
    else return fprintf(stderr, "unknown call %s\n", argv[1]), 2;
    int error = atoi(argv[2]);
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) return perror("seccomp"), 2;
    if (syscall(call, 0, 0, 0, 0) >= 0 || errno != error) return fprintf(stderr, "%s is not blocked\n", argv[1]), 2;
    execvp(argv[3], argv + 3);
    return perror(argv[3]), 2;
}
