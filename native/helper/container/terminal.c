#include "terminal.h"

#include "kernel.h"
#include "report.h"
#include "stages.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>

int send_descriptor(int socket, int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int receive_terminal(int socket)
{
    int fd = -1;
    char byte, control[CMSG_SPACE(sizeof fd)];
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    while (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) < 0) {
        if (errno != EINTR) return -1;
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header) memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

int connect_console(const struct console *console)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!*console->socket) return -1;
    if (strlen(console->socket) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return report_failure(STAGE_TERMINAL, console->socket);
    }
    strcpy(address.sun_path, console->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) return report_failure(STAGE_TERMINAL, console->socket);
    return fd;
}

void size_terminal(int slave, const struct console *console)
{
    struct winsize size = {.ws_row = (unsigned short)console->rows, .ws_col = (unsigned short)console->columns};
    if (console->rows && console->columns) ioctl(slave, TIOCSWINSZ, &size);
}

/* The slave is opened through its master and its name is never followed, so nothing can be put in its place. */
static int make_console(int root, int slave, unsigned number)
{
    char path[32];
    struct stat opened, named;
    snprintf(path, sizeof path, "dev/pts/%u", number);
    int console = openat(root, "dev/console", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
    int tree = kernel_open_tree(root, path, OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW);
    if (console < 0 || tree < 0 || fstat(slave, &opened) < 0 || fstat(tree, &named) < 0) return -1;
    if (opened.st_rdev != named.st_rdev || opened.st_ino != named.st_ino) {
        errno = ENOTTY;
        return -1;
    }
    if (kernel_attach(tree, console) < 0) return -1;
    close(tree);
    close(console);
    return 0;
}

int make_terminal(int root, int like, int socket, bool is_console)
{
    struct winsize size;
    int unlock = 0;
    unsigned number;
    int master = openat(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &number) < 0) return report_failure(STAGE_TERMINAL, "/dev/ptmx");
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) return report_failure(STAGE_TERMINAL, "/dev/pts");
    if (ioctl(like, TIOCGWINSZ, &size) == 0) ioctl(master, TIOCSWINSZ, &size);
    if (is_console && make_console(root, slave, number) < 0) return report_failure(STAGE_TERMINAL, "/dev/console");
    if (send_descriptor(socket, master) < 0) return report_failure(STAGE_TERMINAL, "master");
    close(master);
    return slave;
}

/* The container's terminal has put carriage returns where they belong. Whoever made ours raw by Node left the second ones in, and undoes this as well. */
static void stop_output_processing(int terminal)
{
    struct termios settings;
    if (tcgetattr(terminal, &settings) < 0 || settings.c_lflag & ICANON) return;
    settings.c_oflag &= ~(tcflag_t)OPOST;
    tcsetattr(terminal, TCSADRAIN, &settings);
}

void open_bridge(struct bridge *bridge, int master)
{
    *bridge = (struct bridge){.master = master, .input = 0, .output = 1};
    /* Reopening gives a description of our own, so that O_NONBLOCK does not reach the caller. Sockets cannot be reopened. */
    int output = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (output >= 0) bridge->output = output;
    fcntl(master, F_SETFL, O_NONBLOCK);
    /* A background process group may not read from its terminal; without a controlling terminal that does not apply. */
    ioctl(0, TIOCNOTTY);
    stop_output_processing(1);
}

void resize_terminal(const struct bridge *bridge)
{
    struct winsize size;
    if (ioctl(1, TIOCGWINSZ, &size) == 0) ioctl(bridge->master, TIOCSWINSZ, &size);
}

void pump_input(struct bridge *bridge)
{
    char bytes[1024];
    /* The line discipline takes 4 KiB before anybody reads; what it refuses is lost, as at a real terminal. */
    ssize_t count = read(bridge->input, bytes, sizeof bytes);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) bridge->input = -1;
    for (ssize_t done = 0; done < count;) {
        ssize_t written = write(bridge->master, bytes + done, (size_t)(count - done));
        if (written <= 0) break;
        done += written;
    }
}

static void write_pending(struct bridge *bridge)
{
    ssize_t written = write(bridge->output, bridge->pending, (size_t)bridge->pending_count);
    if (written < 0 && (errno == EAGAIN || errno == EINTR)) return;
    /* Nobody is there to read it any more: the container goes on, as it would with output to /dev/null. */
    if (written < 0) written = bridge->pending_count;
    bridge->pending_count -= (int)written;
    memmove(bridge->pending, bridge->pending + written, (size_t)bridge->pending_count);
}

void pump_output(struct bridge *bridge)
{
    if (bridge->pending_count == 0) {
        ssize_t count = read(bridge->master, bridge->pending, sizeof bridge->pending);
        if (count < 0 && errno != EAGAIN && errno != EINTR) {
            close(bridge->master);
            bridge->master = -1;
        }
        bridge->pending_count = count > 0 ? (int)count : 0;
    }
    if (bridge->pending_count) write_pending(bridge);
}

void drain_output(struct bridge *bridge, int interrupt)
{
    while (bridge->master >= 0 || bridge->pending_count) {
        struct pollfd polled[] = {{.fd = bridge->output, .events = POLLOUT}, {.fd = interrupt, .events = POLLIN}};
        if (bridge->pending_count && poll(polled, 2, -1) > 0 && polled[1].revents) return;
        pump_output(bridge);
    }
}
