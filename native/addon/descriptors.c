/* File descriptors that Node's fs cannot make: pipes, sealed memory files, kernel locks. */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* pipe(capacityBytes): [readFd, writeFd], close-on-exec; the capacity is a wish the kernel may cut. */
static napi_value make_pipe(napi_env env, napi_callback_info info)
{
    napi_value args[1], result;
    int64_t capacity;
    int fds[2];
    if (!read_args(env, info, 1, args) || !read_int(env, args[0], &capacity)) return NULL;
    if (pipe2(fds, O_CLOEXEC) < 0) return throw_errno(env, errno, "pipe2", NULL);
    if (capacity > 0) fcntl(fds[1], F_SETPIPE_SZ, (int)capacity);
    napi_create_array_with_length(env, 2, &result);
    napi_set_element(env, result, 0, make_int(env, fds[0]));
    napi_set_element(env, result, 1, make_int(env, fds[1]));
    return result;
}

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif
/* A program runs by the name /proc/self/fd/N, which has to be above the numbers that spawn() gives to a child. */
#define FIRST_PROGRAM_FD 64

/* Kernels before 6.3 know neither flag: there every such file may be executed, and its mode stays open to change. */
static int create_memory_file(bool is_program)
{
    int fd = is_program ? memfd_create("tsbuild", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC) : -1;
    if (fd < 0 && (!is_program || errno == EINVAL)) fd = memfd_create("tsbuild", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || !is_program) return fd;
    int program = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_PROGRAM_FD);
    /* The limit of descriptors is below that number: EINVAL would say that we asked for nonsense. */
    int error = program < 0 && errno == EINVAL ? EMFILE : errno;
    close(fd);
    errno = error;
    return program;
}

static int seal(int fd, bool is_program)
{
    int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (is_program && fchmod(fd, 0555) < 0) return -1;
    if (is_program && fcntl(fd, F_ADD_SEALS, seals | F_SEAL_EXEC) == 0) return 0;
    return fcntl(fd, F_ADD_SEALS, seals);
}

/*
 * memoryFile(bytes, isProgram): a descriptor of an anonymous file that holds them, sealed against every change, at
 * offset 0.
 */
static napi_value make_memory_file(napi_env env, napi_callback_info info)
{
    napi_value args[2];
    const uint8_t *bytes;
    size_t length;
    bool is_program;
    if (!read_args(env, info, 2, args) || !read_bytes(env, args[0], &bytes, &length)) return NULL;
    if (napi_get_value_bool(env, args[1], &is_program) != napi_ok) return throw_type(env, "want a boolean");
    int fd = create_memory_file(is_program);
    if (fd < 0) return throw_errno(env, errno, "memfd_create", NULL);
    for (size_t done = 0; done < length;) {
        ssize_t written = pwrite(fd, bytes + done, length - done, (off_t)done);
        if (written < 0) {
            int error = errno;
            if (error == EINTR) continue;
            close(fd);
            return throw_errno(env, error, "pwrite", NULL);
        }
        done += (size_t)written;
    }
    if (seal(fd, is_program) < 0) {
        int error = errno;
        close(fd);
        return throw_errno(env, error, "fcntl", NULL);
    }
    return make_int(env, fd);
}

/* tryLock(fd, exclusive): whether the flock was got. It lives as long as the open file, so until the process dies. */
static napi_value try_lock(napi_env env, napi_callback_info info)
{
    napi_value args[2], result;
    int64_t fd;
    bool exclusive;
    if (!read_args(env, info, 2, args) || !read_int(env, args[0], &fd)) return NULL;
    if (napi_get_value_bool(env, args[1], &exclusive) != napi_ok) return throw_type(env, "want a boolean");
    bool got = flock((int)fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0;
    if (!got && errno != EWOULDBLOCK) return throw_errno(env, errno, "flock", NULL);
    napi_get_boolean(env, got, &result);
    return result;
}

/*
 * lockRange(fd, start, length, waits): whether the bytes, which need not exist, were locked for this open file alone. 0
 * bytes are all from the start on.
 */
static napi_value lock_range(napi_env env, napi_callback_info info)
{
    napi_value args[4], result;
    int64_t fd, start, length;
    bool waits;
    if (!read_args(env, info, 4, args) || !read_int(env, args[0], &fd) || !read_int(env, args[1], &start) || !read_int(env, args[2], &length)) return NULL;
    if (napi_get_value_bool(env, args[3], &waits) != napi_ok) return throw_type(env, "want a boolean");
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    int got;
    while ((got = fcntl((int)fd, waits ? F_OFD_SETLKW : F_OFD_SETLK, &range)) < 0 && errno == EINTR) {}
    if (got < 0 && errno != EAGAIN && errno != EACCES) return throw_errno(env, errno, "fcntl", NULL);
    napi_get_boolean(env, got == 0, &result);
    return result;
}

/*
 * spreadChildren(path): tells ext4 that the trees below this directory have nothing to do with each other. It then starts
 * each in a part of the disk of its own, away from inodes deleted a moment ago, which it steps over one by one. Whether
 * the filesystem knows that.
 */
static napi_value spread_children(napi_env env, napi_callback_info info)
{
    napi_value args[1], result;
    if (!read_args(env, info, 1, args)) return NULL;
    char *path = copy_text(env, args[0]);
    if (!path) return NULL;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) throw_errno(env, errno, "open", path);
    free(path);
    if (fd < 0) return NULL;
    int flags = 0;
    bool done = ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
    flags |= FS_TOPDIR_FL;
    done = done && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
    close(fd);
    napi_get_boolean(env, done, &result);
    return result;
}

/* socketPair(): [one, other], close-on-exec, for messages with descriptors in them. */
static napi_value make_socket_pair(napi_env env, napi_callback_info info)
{
    (void)info;
    napi_value result;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) return throw_errno(env, errno, "socketpair", NULL);
    napi_create_array_with_length(env, 2, &result);
    napi_set_element(env, result, 0, make_int(env, fds[0]));
    napi_set_element(env, result, 1, make_int(env, fds[1]));
    return result;
}

/* receiveDescriptor(socket): the one in the message that has come, or -1 when none has. */
static napi_value receive_descriptor(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    int64_t socket;
    int fd = -1;
    char byte, control[CMSG_SPACE(sizeof fd)];
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (!read_args(env, info, 1, args) || !read_int(env, args[0], &socket)) return NULL;
    ssize_t length = recvmsg((int)socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (length < 0 && errno != EAGAIN && errno != ECONNRESET) return throw_errno(env, errno, "recvmsg", NULL);
    struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return make_int(env, fd);
}

void init_descriptors(napi_env env, napi_value exports)
{
    export_function(env, exports, "pipe", make_pipe);
    export_function(env, exports, "memoryFile", make_memory_file);
    export_function(env, exports, "tryLock", try_lock);
    export_function(env, exports, "lockRange", lock_range);
    export_function(env, exports, "spreadChildren", spread_children);
    export_function(env, exports, "socketPair", make_socket_pair);
    export_function(env, exports, "receiveDescriptor", receive_descriptor);
}
