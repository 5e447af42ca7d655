/*
 * What the tests of containers run inside them where a shell is not enough. Each word prints what it found, one fact a
 * line, and exits 0 unless it says otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* descriptors: the numbers open at the start. */
static int list_descriptors(void)
{
    for (int fd = 0; fd < 4096; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) printf("%d\n", fd);
    }
    return 0;
}

/* orphans N: N grandchildren whose parents end before they do. */
static int make_orphans(int count)
{
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0) return 1;
        if (child == 0) {
            if (fork() == 0) usleep(1000);
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
    return 0;
}

/* allocate MIB: touches that much memory. */
static int allocate(size_t mebibytes)
{
    char *memory = mmap(NULL, mebibytes << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    for (size_t at = 0; at < mebibytes << 20; at += 4096) memory[at] = 1;
    return 0;
}

/* forks N: tries to have N children at once and says how many it got. */
static int make_children(int count)
{
    int made = 0;
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            pause();
            _exit(0);
        }
        if (child > 0) made++;
    }
    printf("%d\n", made);
    return 0;
}

/* signals: which are blocked or ignored at the start. */
static int list_signals(void)
{
    sigset_t blocked;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int number = 1; number < 65; number++) {
        struct sigaction action;
        if (sigismember(&blocked, number) == 1) printf("blocked %d\n", number);
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL) printf("handled %d\n", number);
    }
    return 0;
}

/* limits: resource number, soft and hard value. */
static int list_limits(void)
{
    for (int resource = 0; resource < 16; resource++) {
        struct rlimit limit;
        if (getrlimit(resource, &limit) == 0) printf("%d %lld %lld\n", resource, (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
    return 0;
}

/* write-program PATH: tries to change the program behind PATH (/proc/1/exe), then to make it run as another user. */
static int write_program(const char *path)
{
    char name[64];
    int fd = open(path, O_PATH);
    if (fd < 0) fd = open(path, O_RDONLY);
    if (fd < 0) {
        printf("unreachable %s\n", strerror(errno));
        return 0;
    }
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int writable = open(name, O_WRONLY);
    if (writable < 0) printf("unwritable\n");
    else if (pwrite(writable, "x", 1, 0) < 0) printf("unwritable\n");
    else printf("WRITTEN\n");
    printf("%s\n", chown(name, 1000, 1000) < 0 || chmod(name, 06555) < 0 ? "kept" : "changed owner");
    return 0;
}

/* getcwd by the kernel, which says "(unreachable)" for a folder outside the root. */
static int print_cwd(void)
{
    char cwd[4096];
    if (syscall(SYS_getcwd, cwd, sizeof cwd) < 0) return 1;
    printf("%s\n", cwd);
    return 0;
}

/* ignore-term: outlives SIGTERM. */
static int ignore_term(void)
{
    signal(SIGTERM, SIG_IGN);
    printf("ready\n");
    fflush(stdout);
    while (pause() < 0) {}
    return 0;
}

/* keyring: the number of the session keyring. */
static int print_keyring(void)
{
    printf("%ld\n", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
    return 0;
}

/* show PATH: the file's content; unlike busybox it stays set-user-id. */
static int show(const char *path)
{
    char bytes[65536];
    FILE *file = fopen(path, "r");
    if (!file) return 1;
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return fwrite(bytes, 1, length, stdout) == length ? 0 : 1;
}

/* describe: an entry of the working directory with all that a layer records of it; overlay's own attributes are left out. */
static int describe_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    char link[4096] = "", names[4096], value[4096];
    (void)type;
    (void)walk;
    if (S_ISLNK(stat->st_mode) && readlink(path, link, sizeof link - 1) < 0) return 1;
    printf("%s %o %u:%u %lld %lld.%09ld %s", path, stat->st_mode, stat->st_uid, stat->st_gid, S_ISREG(stat->st_mode) ? (long long)stat->st_size : (long long)stat->st_rdev, (long long)stat->st_mtim.tv_sec, stat->st_mtim.tv_nsec, link);
    ssize_t length = llistxattr(path, names, sizeof names);
    for (const char *name = names; name < names + length; name += strlen(name) + 1) {
        if (strcmp(name, "trusted.overlay.origin") == 0 || strcmp(name, "trusted.overlay.impure") == 0) continue;
        ssize_t size = lgetxattr(path, name, value, sizeof value);
        printf(" %s=%.*s", name, (int)(size > 0 ? size : 0), value);
    }
    printf("\n");
    return 0;
}

static void show_result(const char *name, long result)
{
    printf("%s %s\n", name, result >= 0 ? "ok" : errno == EPERM ? "EPERM" : errno == ENOSYS ? "ENOSYS" : strerror(errno));
    fflush(stdout);
}

/* surface: calls that a container has no business with, with arguments that would do no harm. */
static int try_surface(void)
{
    show_result("AF_ALG", socket(38, SOCK_SEQPACKET, 0));
    show_result("AF_ALG behind a high half", syscall(SYS_socket, (1L << 32) + 38, SOCK_SEQPACKET, 0));
    show_result("AF_VSOCK", socket(40, SOCK_STREAM, 0));
    show_result("AF_UNIX", socket(AF_UNIX, SOCK_STREAM, 0));
    static const struct {
        const char *name;
        long number;
        long first;
    } calls[] = {
        {"io_uring_setup", SYS_io_uring_setup, 1}, {"userfaultfd", SYS_userfaultfd, 1}, {"keyctl", SYS_keyctl, 0}, {"add_key", SYS_add_key, 0},
        {"bpf", SYS_bpf, 0}, {"perf_event_open", SYS_perf_event_open, 0}, {"clone(NEWUSER)", SYS_clone, CLONE_NEWUSER | SIGCHLD},
        {"clone3", SYS_clone3, 0}, {"unshare", SYS_unshare, CLONE_NEWUTS}, {"setns", SYS_setns, -1}, {"mount", SYS_mount, 0},
        {"fsopen", SYS_fsopen, 0}, {"open_tree", SYS_open_tree, -1}, {"pivot_root", SYS_pivot_root, 0}, {"kexec_load", SYS_kexec_load, 0},
        {"swapon", SYS_swapon, 0}, {"reboot", SYS_reboot, 0}, {"init_module", SYS_init_module, 0}, {"iopl", SYS_iopl, 3}, {"acct", SYS_acct, 1},
        {"settimeofday", SYS_settimeofday, 1}, {"open_by_handle_at", SYS_open_by_handle_at, -1}, {"personality", SYS_personality, 0x0040000},
        {"newer than the profile", 600, 0}, {"getpid", SYS_getpid, 0},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) show_result(calls[i].name, syscall(calls[i].number, calls[i].first, 0, 0, 0, 0, 0));
    return 0;
}

/* answer: gives every datagram back. */
static int answer_datagrams(int port)
{
    char bytes[2048];
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}, peer;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0) return 1;
    for (;;) {
        socklen_t length = sizeof peer;
        ssize_t got = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&peer, &length);
        if (got > 0) sendto(fd, bytes, (size_t)got, 0, (struct sockaddr *)&peer, length);
    }
}

/* exchange: two names change places as fast as they can. */
static _Noreturn void exchange(const char *one, const char *other)
{
    for (;;) syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
}

#ifdef __x86_64__
/* Has a traced process that waits in a system call make another one, and gives what came of it. */
static long inject(pid_t pid, const struct user_regs_struct *waiting, long number, const long arguments[2])
{
    struct user_regs_struct made = *waiting;
    made.rip -= 2; /* the instruction that made the call */
    made.rax = (unsigned long)number;
    made.orig_rax = (unsigned long)-1;
    made.rdi = (unsigned long)arguments[0];
    made.rsi = (unsigned long)arguments[1];
    if (ptrace(PTRACE_SETREGS, pid, NULL, &made) < 0 || ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0) return -1000;
    waitpid(pid, NULL, 0);
    return ptrace(PTRACE_GETREGS, pid, NULL, &made) < 0 ? -1000 : (long)made.rax;
}

/* trace PID: what a process can be made to do by whoever may trace it. */
static int trace(pid_t pid)
{
    static const struct {
        const char *name;
        long number;
        long arguments[2];
    } calls[] = {
        {"getpid", SYS_getpid, {0, 0}}, {"unshare(NEWNS)", SYS_unshare, {CLONE_NEWNS, 0}}, {"unshare(NEWUSER)", SYS_unshare, {CLONE_NEWUSER, 0}}, {"sethostname", SYS_sethostname, {0, 0}},
        {"setns", SYS_setns, {-1, 0}}, {"socket", SYS_socket, {AF_UNIX, SOCK_STREAM}}, {"execve", SYS_execve, {0, 0}}, {"ptrace", SYS_ptrace, {0, 1}}, {"setuid", SYS_setuid, {0, 0}},
    };
    struct user_regs_struct waiting;
    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0) return puts(strerror(errno)), 0;
    waitpid(pid, NULL, 0);
    if (ptrace(PTRACE_GETREGS, pid, NULL, &waiting) < 0) return 1;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) printf("%s %ld\n", calls[i].name, inject(pid, &waiting, calls[i].number, calls[i].arguments));
    waiting.rax = (unsigned long)-EINTR;
    waiting.orig_rax = (unsigned long)-1;
    return ptrace(PTRACE_SETREGS, pid, NULL, &waiting) < 0 || ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0;
}
#endif

static int show_if_writable(const char *path, const struct stat *stat, int kind, struct FTW *position)
{
    (void)position;
    /* Files of processes are their owners' affair. */
    if (kind == FTW_D && strncmp(path, "/proc/", 6) == 0 && path[6] >= '0' && path[6] <= '9') return FTW_SKIP_SUBTREE;
    /* One that nobody may write has nothing behind it that would. */
    if (kind != FTW_F || !S_ISREG(stat->st_mode) || !(stat->st_mode & 0222)) return FTW_CONTINUE;
    int file = open(path, O_WRONLY | O_NONBLOCK);
    if (file < 0) return FTW_CONTINUE;
    close(file);
    puts(path);
    return FTW_CONTINUE;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    const char *value = argc > 2 ? argv[2] : "0";
    if (strcmp(word, "descriptors") == 0) return list_descriptors();
    if (strcmp(word, "orphans") == 0) return make_orphans(atoi(value));
    if (strcmp(word, "allocate") == 0) return allocate((size_t)atoi(value));
    if (strcmp(word, "forks") == 0) return make_children(atoi(value));
    if (strcmp(word, "signals") == 0) return list_signals();
    if (strcmp(word, "limits") == 0) return list_limits();
    if (strcmp(word, "write-program") == 0) return write_program(value);
    if (strcmp(word, "cwd") == 0) return print_cwd();
    if (strcmp(word, "ignore-term") == 0) return ignore_term();
    if (strcmp(word, "show") == 0) return show(value);
    if (strcmp(word, "describe") == 0) return nftw(".", describe_entry, 64, FTW_PHYS);
    if (strcmp(word, "set-attribute") == 0) return argc == 5 && lsetxattr(argv[2], argv[3], argv[4], strlen(argv[4]), 0) == 0 ? 0 : 1;
    if (strcmp(word, "keyring") == 0) return print_keyring();
    if (strcmp(word, "surface") == 0) return try_surface();
    if (strcmp(word, "exchange") == 0 && argc == 4) exchange(argv[2], argv[3]);
    if (strcmp(word, "writable") == 0) return nftw(value, show_if_writable, 64, FTW_PHYS | FTW_ACTIONRETVAL);
#ifdef __x86_64__
    if (strcmp(word, "trace") == 0) return trace(atoi(value));
#endif
    if (strcmp(word, "answer") == 0) return answer_datagrams(atoi(value));
    fprintf(stderr, "no such word: %s\n", word);
    return 64;
}
