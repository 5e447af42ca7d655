/*
 * What the kernel takes for single operations, timed where no shell and no Node are in the way. A line of output is a name and the
 * nanoseconds of one operation.
 *   namespaces COUNT                   the namespaces of a container, made and left again
 *   filters COUNT NAME=FILE …          loading these BPF programs as seccomp filters, in turn
 *   files ROUNDS NAME=FOLDER …         operations on files below each folder, in turn; see prepare() for what lies in it
 *   prepare ROUNDS                     what `files` needs, in the working directory
 *   exit                               does nothing
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define FILES 500     /* files/N of 4 KiB */
#define FOLDERS 10    /* folders/N with FOLDER_FILES empty files each */
#define FOLDER_FILES 100
#define BIG (32 << 20) /* big */
#define COPIED 20      /* lower/ROUND-N of COPIED_SIZE, written to for the first time in that round */
#define COPIED_SIZE (64 << 10)

static char buffer[1 << 20];

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int must(int result, const char *what)
{
    if (result < 0) fail(what);
    return result;
}

static void print(const char *name, uint64_t nanoseconds)
{
    printf("%s %llu\n", name, (unsigned long long)nanoseconds);
}

static int end(void *unused)
{
    (void)unused;
    _exit(0);
}

/* A process that shares our memory until it has ended, so that no copying of page tables is timed. */
static void time_process(const char *name, int namespaces)
{
    static _Alignas(16) char stack[64 * 1024];
    uint64_t start = now();
    pid_t pid = must(clone(end, stack + sizeof stack, namespaces | CLONE_VM | CLONE_VFORK | SIGCHLD, NULL), name);
    print(name, now() - start);
    must(waitpid(pid, NULL, 0), name);
}

static void time_namespaces(int count)
{
    for (int i = 0; i < count; i++) {
        time_process("namespaces", CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP);
        time_process("process", 0);
    }
}

static void time_filter(const char *name, struct sock_fprog *program, uint64_t *nanoseconds)
{
    pid_t pid = must(fork(), "fork");
    if (pid == 0) {
        uint64_t start = now();
        must((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program), name);
        *nanoseconds = now() - start;
        _exit(0);
    }
    must(waitpid(pid, NULL, 0), name);
    print(name, *nanoseconds);
}

static void time_filters(int count, int named, char **names)
{
    uint64_t *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct sock_fprog programs[named];
    if (shared == MAP_FAILED) fail("mmap");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    for (int i = 0; i < named; i++) {
        char *file = strchr(names[i], '=');
        *file++ = 0;
        int fd = must(open(file, O_RDONLY), file);
        struct sock_filter *code = malloc(BPF_MAXINSNS * sizeof *code);
        long length = code ? read(fd, code, BPF_MAXINSNS * sizeof *code) : -1;
        if (length <= 0) fail(file);
        programs[i] = (struct sock_fprog){.len = (unsigned short)((size_t)length / sizeof *code), .filter = code};
        close(fd);
    }
    for (int turn = 0; turn < count; turn++) {
        for (int i = 0; i < named; i++) time_filter(names[i], &programs[i], shared);
    }
}

static void drop_from_cache(int fd)
{
    must(fdatasync(fd), "fdatasync");
    must(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
}

static uint64_t create_files(int round)
{
    char path[64];
    snprintf(path, sizeof path, "made-%d", round);
    must(mkdir(path, 0755), path);
    uint64_t start = now();
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "made-%d/%d", round, i);
        int fd = must(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644), path);
        must((int)write(fd, buffer, BLOCK), path);
        close(fd);
    }
    return (now() - start) / FILES;
}

static uint64_t stat_files(int round)
{
    char path[64];
    struct stat stat;
    (void)round;
    uint64_t start = now();
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "files/%d", i);
        must(lstat(path, &stat), path);
    }
    return (now() - start) / FILES;
}

static uint64_t list_folders(int round)
{
    char path[64];
    (void)round;
    uint64_t start = now();
    for (int i = 0; i < FOLDERS; i++) {
        snprintf(path, sizeof path, "folders/%d", i);
        DIR *folder = opendir(path);
        if (!folder) fail(path);
        while (readdir(folder)) {}
        closedir(folder);
    }
    return (now() - start) / FOLDERS;
}

static uint64_t read_through(int is_cold)
{
    int fd = must(open("big", O_RDONLY), "big");
    if (is_cold) drop_from_cache(fd);
    uint64_t start = now();
    while (must((int)read(fd, buffer, sizeof buffer), "big") > 0) {}
    uint64_t took = now() - start;
    close(fd);
    return took;
}

static uint64_t read_cold(int round)
{
    (void)round;
    return read_through(1);
}

static uint64_t read_warm(int round)
{
    (void)round;
    return read_through(0);
}

static uint64_t read_random(int round)
{
    int fd = must(open("big", O_RDONLY), "big");
    uint32_t state = 12345 + (uint32_t)round;
    uint64_t start = now();
    for (int i = 0; i < 2000; i++) {
        state = state * 1664525 + 1013904223;
        must((int)pread(fd, buffer, BLOCK, (off_t)(state >> 8) % (BIG / BLOCK) * BLOCK), "big");
    }
    uint64_t took = (now() - start) / 2000;
    close(fd);
    return took;
}

static uint64_t write_new(int round)
{
    char path[64];
    snprintf(path, sizeof path, "new-%d", round);
    int fd = must(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644), path);
    uint64_t start = now();
    for (size_t done = 0; done < BIG; done += sizeof buffer) must((int)write(fd, buffer, sizeof buffer), path);
    uint64_t took = now() - start;
    close(fd);
    must(unlink(path), path);
    return took;
}

static uint64_t sync_files(int round)
{
    char path[64];
    snprintf(path, sizeof path, "synced-%d", round);
    int fd = must(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644), path);
    uint64_t start = now();
    for (int i = 0; i < 10; i++) {
        must((int)write(fd, buffer, BLOCK), path);
        must(fsync(fd), path);
    }
    uint64_t took = (now() - start) / 10;
    close(fd);
    return took;
}

static uint64_t write_lower(int round)
{
    char path[64];
    uint64_t start = now();
    for (int i = 0; i < COPIED; i++) {
        snprintf(path, sizeof path, "lower/%d-%d", round, i);
        int fd = must(open(path, O_RDWR), path);
        must((int)pwrite(fd, buffer, BLOCK, 0), path);
        close(fd);
    }
    return (now() - start) / COPIED;
}

static uint64_t unlink_lower(int round)
{
    char path[64];
    uint64_t start = now();
    for (int i = 0; i < COPIED; i++) {
        snprintf(path, sizeof path, "removed/%d-%d", round, i);
        must(unlink(path), path);
    }
    return (now() - start) / COPIED;
}

static uint64_t execute(int round)
{
    char *args[] = {"./probe", "exit", NULL}, *env[] = {NULL};
    (void)round;
    uint64_t start = now();
    for (int i = 0; i < 10; i++) {
        pid_t pid;
        int status;
        if (posix_spawn(&pid, "./probe", NULL, NULL, args, env) != 0 || waitpid(pid, &status, 0) != pid || status != 0) fail("probe");
    }
    return (now() - start) / 10;
}

static const struct {
    const char *name;
    uint64_t (*work)(int round);
} operations[] = {
    {"create", create_files}, {"stat", stat_files}, {"readdir", list_folders}, {"read-cold", read_cold}, {"read-warm", read_warm}, {"read-random", read_random},
    {"write-new", write_new}, {"fsync", sync_files}, {"write-first", write_lower}, {"write-again", write_lower}, {"unlink", unlink_lower}, {"exec", execute},
};

static void time_files(int rounds, int named, char **folders)
{
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
            for (int j = 0; j < named; j++) {
                char label[64], *equals = strchr(folders[j], '=');
                must(chdir(equals + 1), folders[j]);
                snprintf(label, sizeof label, "%.*s/%s", (int)(equals - folders[j]), folders[j], operations[i].name);
                print(label, operations[i].work(round));
            }
        }
    }
}

static void write_file(const char *path, size_t size)
{
    int fd = must(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644), path);
    for (size_t done = 0; done < size;) done += (size_t)must((int)write(fd, buffer, size - done < sizeof buffer ? size - done : sizeof buffer), path);
    must(fsync(fd), path);
    close(fd);
}

/* What time_files() needs, in the working directory. */
static void prepare(int rounds)
{
    char path[64];
    static const char *const folders[] = {"files", "folders", "lower", "removed"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) must(mkdir(folders[i], 0755), folders[i]);
    for (size_t i = 0; i < sizeof buffer; i++) buffer[i] = (char)(i * 2654435761u >> 11);
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "files/%d", i);
        write_file(path, BLOCK);
    }
    for (int i = 0; i < FOLDERS * FOLDER_FILES; i++) {
        snprintf(path, sizeof path, "folders/%d", i / FOLDER_FILES);
        if (i % FOLDER_FILES == 0) must(mkdir(path, 0755), path);
        snprintf(path, sizeof path, "folders/%d/%d", i / FOLDER_FILES, i);
        write_file(path, 0);
    }
    for (int i = 0; i < rounds * COPIED; i++) {
        snprintf(path, sizeof path, "lower/%d-%d", i / COPIED, i % COPIED);
        write_file(path, COPIED_SIZE);
        snprintf(path, sizeof path, "removed/%d-%d", i / COPIED, i % COPIED);
        write_file(path, 0);
    }
    write_file("big", BIG);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    int count = argc > 2 ? atoi(argv[2]) : 0;
    if (strcmp(mode, "exit") == 0) return 0;
    if (strcmp(mode, "namespaces") == 0) time_namespaces(count);
    else if (strcmp(mode, "filters") == 0) time_filters(count, argc - 3, argv + 3);
    else if (strcmp(mode, "files") == 0) time_files(count, argc - 3, argv + 3);
    else if (strcmp(mode, "prepare") == 0) prepare(count);
    else return 2;
    return 0;
}
