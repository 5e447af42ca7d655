/*
 * Takes the place of the archive reader in a helper linked with --wrap=tar_next: what somebody could do who found a way
 * to run code there. It prints what it got at, waits for the end of its input, and calls the archive read.
 */
#include "tree/tar/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CALL(name) {#name, SYS_##name}

static const struct {
    const char *name;
    long number;
} calls[] = {
    CALL(execve), CALL(execveat), CALL(clone), CALL(clone3), CALL(socket), CALL(socketpair), CALL(connect), CALL(bind), CALL(sendto), CALL(sendmsg), CALL(accept4),
    CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev), CALL(kill), CALL(tkill), CALL(tgkill), CALL(rt_sigqueueinfo), CALL(pidfd_open), CALL(pidfd_getfd),
    CALL(mount), CALL(umount2), CALL(open_tree), CALL(move_mount), CALL(fsopen), CALL(fsmount), CALL(mount_setattr), CALL(pivot_root), CALL(chroot), CALL(unshare), CALL(setns),
    CALL(bpf), CALL(keyctl), CALL(add_key), CALL(io_uring_setup), CALL(open_by_handle_at), CALL(name_to_handle_at), CALL(init_module), CALL(finit_module), CALL(kexec_load),
    CALL(setuid), CALL(setresuid), CALL(setgroups), CALL(capset), CALL(prctl), CALL(seccomp), CALL(personality), CALL(perf_event_open), CALL(swapon), CALL(memfd_create),
    CALL(userfaultfd), CALL(quotactl), CALL(shmget), CALL(msgget), CALL(prlimit64), CALL(sched_setaffinity), CALL(fanotify_init), CALL(acct), CALL(sethostname),
    CALL(clock_settime), CALL(syslog), CALL(landlock_create_ruleset), CALL(mknod), CALL(chmod), CALL(truncate),
};

static void try_calls(void)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (syscall(calls[i].number, -1L, -1L, -1L, -1L, -1L, -1L) >= 0 || errno != EPERM) printf("call %s\n", calls[i].name);
    }
    if (ioctl(STDOUT_FILENO, TIOCSTI, "x") == 0 || errno != EPERM) printf("call ioctl\n");
}

static void try_files(void)
{
    struct stat root, stat;
    if (lstat("/", &root) < 0) printf("no root\n");
    if (open("/etc/passwd", O_RDONLY) >= 0) printf("file of the host\n");
    for (int fd = 0; fd < 256; fd++) {
        if (fstat(fd, &stat) < 0 || !S_ISDIR(stat.st_mode)) continue;
        if (openat(fd, "../../../../../../../../../etc/passwd", O_RDONLY) >= 0) printf("file of the host through a directory\n");
        int is_own = stat.st_ino == root.st_ino && stat.st_dev == root.st_dev;
        printf("%s: %s\n", is_own ? "own directory" : "layer below", mkdirat(fd, "made", 0755) == 0 || errno == EEXIST ? "written" : errno == EROFS ? "read-only" : "refused");
    }
    int made = mknodat(AT_FDCWD, "/zero", S_IFCHR | 0666, makedev(1, 5));
    printf("device: %s\n", made < 0 ? "not made" : open("/zero", O_RDONLY) >= 0 ? "opened" : errno == EACCES ? "made, not opened" : "made");
}

int __wrap_tar_next(struct tar_reader *reader)
{
    char byte;
    (void)reader;
    /* Without the filter the calls below would be made. */
    if (syscall(SYS_socket, -1, -1, -1) < 0 && errno == EPERM) try_calls();
    else printf("call socket\n");
    try_files();
    printf("done\n");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {}
    return 0;
}
