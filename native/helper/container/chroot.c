#include "chroot.h"

#include "flat/extract.h"
#include "flat/flatten.h"
#include "flat/start-time.h"
#include "init.h"
#include "kernel.h"
#include "placed-files.h"
#include "process.h"
#include "report.h"
#include "request.h"
#include "stages.h"
#include "tree/files/delete.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

/* What a container's own mounts always cover: nothing in there ever reaches a layer. */
static const char *const covered[] = {"dev", "proc", "sys", NULL};

struct place {
    struct layers layers;
    int tree;
    int saved;
    int null;
};

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static int make_folder(int at, const char *name, mode_t mode)
{
    if (mkdirat(at, name, mode) < 0 && errno != EEXIST) return -1;
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Without CAP_MKNOD a file takes what is thrown away, as nothing else can be had, and the other devices are missing. */
static int make_device(int folder, const char *name, dev_t number)
{
    uint64_t deleted = 0;
    if (delete_tree(folder, name, &deleted) < 0) return -1;
    if (mknodat(folder, name, S_IFCHR | 0666, number) == 0) return 0;
    if (errno != EPERM) return -1;
    return number == makedev(1, 3) ? mknodat(folder, name, S_IFREG | 0666, 0) : 0;
}

static int make_devices(struct place *place)
{
    static const struct { const char *name; unsigned major, minor; } devices[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
    for (const char *const *name = covered; *name; name++) {
        int folder = make_folder(place->tree, *name, 0755);
        if (folder < 0) return report_failure(STAGE_ROOT, *name);
        close(folder);
    }
    int folder = openat(place->tree, "dev", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        if (make_device(folder, devices[i].name, makedev(devices[i].major, devices[i].minor)) < 0) return report_failure(STAGE_ROOT, devices[i].name);
    }
    place->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    close(folder);
    return place->null < 0 ? report_failure(STAGE_STDIO, "/dev/null") : 0;
}

static int make_tree(const struct container *container, struct place *place)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    /* There is no mount namespace: what was attached would be in the host's. */
    if (open_layers_to_read(&container->root, &place->layers) < 0) return -1;
    place->tree = make_folder(place->layers.workdir, "tree", 0755);
    place->saved = make_folder(place->layers.workdir, "saved", 0700);
    if (place->tree < 0 || place->saved < 0) return report_failure(STAGE_ROOT, "workdir");
    if (flatten(&place->layers, place->tree) < 0) return report_failure(STAGE_LAYERS, "copy");
    return make_devices(place);
}

/* Orphans come to us, and die here, until nobody is left. */
static void kill_children(void)
{
    char path[64];
    for (;;) {
        snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
        FILE *list = fopen(path, "re");
        for (int pid; list && fscanf(list, "%d", &pid) == 1;) kill(pid, SIGKILL);
        if (list) fclose(list);
        if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD) return;
    }
}

static void report_statuses(int status, const struct rusage *usage)
{
    uint8_t payload[28] = {0};
    put_u32(payload, (uint32_t)status);
    report_record(REPORT_EXITED, payload, 4);
    uint64_t time = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 + (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
    put_u32(payload, 0);
    put_u32(payload + 4, (uint32_t)time);
    put_u32(payload + 8, (uint32_t)(time >> 32));
    put_u32(payload + 12, (uint32_t)usage->ru_inblock);
    put_u32(payload + 20, (uint32_t)usage->ru_oublock);
    report_record(REPORT_ENDED, payload, sizeof payload);
}

/* Sent when the process that started us dies. Nobody sends it on purpose. */
#define PARENT_DIED SIGPWR

/* Until the process has ended, or all has to; true when what it did counts. */
static bool wait_for(pid_t process, const sigset_t *awaited, int *status, struct rusage *usage)
{
    for (;;) {
        int received = sigwaitinfo(awaited, NULL);
        if (received == PARENT_DIED) return kill_children(), false;
        if (received == SIGALRM) kill(process, SIGKILL);
        else if (received > 0 && received != SIGCHLD) kill(process, received);
        while (received == SIGCHLD) {
            pid_t pid = wait4(-1, status, WNOHANG, usage);
            if (pid == process) return true;
            if (pid <= 0) break;
        }
    }
}

static int collect_changes(const struct container *container, struct place *place, struct placed_files *files, const struct timespec *since)
{
    uint64_t deleted = 0;
    struct own_changes own = {0};
    if (take_files(files, since, &own) < 0) return -1;
    if (place->layers.has_upper) {
        int upper = openat(place->layers.roots[0], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const int folders[2] = {place->tree, upper};
        if (upper < 0 || extract_changes(&place->layers, since, &own, covered, folders) < 0) return report_failure(STAGE_LAYERS, container->root.upperdir);
        close(upper);
    }
    if (delete_tree(place->layers.workdir, "tree", &deleted) < 0 || delete_tree(place->layers.workdir, "saved", &deleted) < 0) return report_failure(STAGE_ROOT, "workdir");
    return 0;
}

int run_chroot(struct wire *request)
{
    static struct container container;
    static struct place place;
    struct placed_files files;
    struct rusage usage;
    sigset_t awaited;
    int status = 0;
    if (read_request(request, &container) < 0) return report_failure(STAGE_REQUEST, "chroot"), 1;
    umask(0);
    fill_awaited_signals(&awaited);
    sigaddset(&awaited, PARENT_DIED);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    if (prctl(PR_SET_PDEATHSIG, PARENT_DIED) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) return report_failure(STAGE_INIT, "parent"), 1;
    if (make_tree(&container, &place) < 0 || place_files(&files, &container, (const int[2]){place.tree, place.saved}) < 0) return 1;
    struct timespec since = let_clock_advance();
    struct process_start start = {.root = place.tree, .null = place.null, .terminal = -1, .gate = -1, .state = -1};
    pid_t process = fork();
    if (process < 0) return report_failure(STAGE_INIT, "fork"), 1;
    if (process == 0) _exit(run_chrooted_process(&container.process, &start));
    bool is_wanted = wait_for(process, &awaited, &status, &usage);
    kill_children();
    if (!is_wanted || collect_changes(&container, &place, &files, &since) < 0) return 1;
    report_statuses(status, &usage);
    return 0;
}
