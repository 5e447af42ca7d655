#include "fuse/server.h"

#include "container/stages.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The kernel passes 253 at a time. @see unix(7) SCM_RIGHTS */
#define BATCH 250
#define MOST_LOWERS 4096
#define MOST_PASSED (MOST_LOWERS + 3)

struct announcement {
    uint32_t count; /* of all descriptors */
    bool has_stub;
    bool has_filling;
};

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(BATCH * sizeof(int))];
};

/* Kernels before 5.9 have no close_range(2). */
static void close_between(int first, int last)
{
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0) return;
    int most = (int)sysconf(_SC_OPEN_MAX);
    for (int fd = first; fd <= last && fd < most; fd++) close(fd);
}

/* Nothing of the helper's stays open, and no signal of a terminal comes: those are for the container. */
static int become_server(int socket, pid_t helper)
{
    sigset_t none;
    sigemptyset(&none);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != helper || setsid() < 0) return -1;
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++) {
        if (dup2(null, fd) < 0) return -1;
    }
    int low = socket < report_fd() ? socket : report_fd(), high = socket < report_fd() ? report_fd() : socket;
    close_between(3, low - 1);
    close_between(low + 1, high - 1);
    close_between(high + 1, INT_MAX);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Appends the descriptors of one message to `fds`. How many there are now, or -1 when no more come. */
static int receive_batch(int socket, struct announcement *announcement, int *fds, int count)
{
    union control control;
    struct iovec bytes = {announcement, sizeof *announcement};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got;
    while ((got = recvmsg(socket, &message, 0)) < 0 && errno == EINTR) {}
    const struct cmsghdr *header = got == (ssize_t)sizeof *announcement ? CMSG_FIRSTHDR(&message) : NULL;
    if (!header || header->cmsg_type != SCM_RIGHTS || (message.msg_flags & MSG_CTRUNC)) return -1;
    int received = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    if (count + received > MOST_PASSED) return -1;
    memcpy(fds + count, CMSG_DATA(header), (size_t)received * sizeof(int));
    return count + received;
}

struct options {
    char text[32 * (MOST_LOWERS + 5)];
    size_t length;
};

/* Folders are named by descriptor, so no path needs escaping. */
static void add_option(struct options *options, const char *before, int fd)
{
    options->length += (size_t)snprintf(options->text + options->length, sizeof options->text - options->length, "%s/proc/self/fd/%d", before, fd);
}

static int add_folder(struct options *options, const char *before, const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY); /* which the program inherits */
    if (fd < 0) return report_failure(STAGE_LAYERS, path);
    add_option(options, before, fd);
    return 0;
}

static int write_options(struct options *options, const struct container_root *root, const struct announcement *announcement, const int *passed)
{
    const char *before = "lowerdir=";
    /* Storage syncs what it commits. */
    options->length = (size_t)snprintf(options->text, sizeof options->text, "fsync=0,");
    if (announcement->has_stub) add_option(options, before, *passed++), before = ":";
    for (uint32_t i = 0; i < root->lowers.count; i++, before = ":") {
        const struct lower *lower = &root->lowers.items[i];
        if (lower->kind != LOWER_DIRECTORY) add_option(options, before, *passed++);
        else if (add_folder(options, before, lower->path) < 0) return -1;
    }
    if (announcement->has_filling) add_option(options, before, *passed);
    if (!*root->upperdir) return 0;
    return add_folder(options, ",upperdir=", root->upperdir) < 0 ? -1 : add_folder(options, ",workdir=", root->workdir);
}

static int serve(const struct container_root *root, int socket)
{
    static int fds[MOST_PASSED];
    static struct options options;
    struct announcement announcement;
    char device[32];
    int count = 0;
    do {
        count = receive_batch(socket, &announcement, fds, count);
    } while (count >= 0 && (uint32_t)count < announcement.count);
    /* Whoever was to tell has ended, and has told Node why. */
    if (count < 0) return 1;
    close(socket);
    if (write_options(&options, root, &announcement, fds + 1) < 0) return 1;
    snprintf(device, sizeof device, "/dev/fd/%d", fds[0]);
    char *const args[] = {"fuse-overlayfs", "-f", "-o", options.text, device, NULL};
    execve(root->program, args, (char *const[]){NULL});
    report_failure(STAGE_ROOT, root->program);
    return 1;
}

/* Calls `act` with each root of the container that wants a server, until it fails. */
static int each_server(struct container *container, int (*act)(struct container_root *root))
{
    if (container->root.kind == ROOT_FUSE && act(&container->root) < 0) return -1;
    for (uint32_t i = 0; i < container->mount_count; i++) {
        struct container_mount *mount = &container->mounts[i];
        if (mount->kind == MOUNT_LAYERS && mount->layers.kind == ROOT_FUSE && act(&mount->layers) < 0) return -1;
    }
    return 0;
}

static int start_server(struct container_root *root)
{
    int ends[2];
    pid_t helper = getpid();
    if (root->lowers.count > MOST_LOWERS) return errno = E2BIG, report_failure(STAGE_LAYERS, root->program);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return report_failure(STAGE_INIT, "descriptors");
    root->server = fork();
    if (root->server < 0) return report_failure(STAGE_INIT, root->program);
    if (root->server == 0) _exit(become_server(ends[1], helper) < 0 ? 1 : serve(root, ends[1]));
    close(ends[1]);
    root->server_socket = ends[0];
    return 0;
}

int start_fuse_servers(struct container *container)
{
    return each_server(container, start_server);
}

static int close_server(struct container_root *root)
{
    close(root->server_socket);
    return 0;
}

void close_fuse_servers(struct container *container)
{
    each_server(container, close_server);
}

/* The mount has gone with init. Should somebody have got hold of it from outside, the server goes nevertheless: what was written is where it belongs. */
static int await_server(struct container_root *root)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int tries = 0; tries < 2000; tries++) {
        if (waitpid(root->server, NULL, WNOHANG) != 0) return 0;
        nanosleep(&pause, NULL);
    }
    kill(root->server, SIGKILL);
    waitpid(root->server, NULL, 0);
    return 0;
}

void await_fuse_servers(struct container *container)
{
    each_server(container, await_server);
}

static int send_batch(int socket, const struct announcement *announcement, const int *fds, uint32_t count)
{
    union control control;
    memset(&control, 0, sizeof control);
    struct iovec bytes = {(void *)announcement, sizeof *announcement};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof *fds)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = (socklen_t)CMSG_LEN(count * sizeof *fds);
    memcpy(CMSG_DATA(header), fds, count * sizeof *fds);
    ssize_t sent;
    while ((sent = sendmsg(socket, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) {}
    return sent < 0 ? -1 : 0;
}

int send_fuse_stack(int server, const struct fuse_stack *stack)
{
    static int fds[MOST_PASSED];
    const struct announcement announcement = {.count = stack->mount_count + 1, .has_stub = stack->has_stub, .has_filling = stack->has_filling};
    fds[0] = stack->device;
    memcpy(fds + 1, stack->mounts, stack->mount_count * sizeof *fds);
    for (uint32_t sent = 0; sent < announcement.count; sent += BATCH) {
        if (send_batch(server, &announcement, fds + sent, announcement.count - sent < BATCH ? announcement.count - sent : BATCH) < 0) return -1;
    }
    return 0;
}
