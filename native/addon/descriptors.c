/* File descriptors that Node's fs cannot make: pipes, sealed memory files, kernel locks. */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
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

/* memoryFile(bytes): a descriptor of an anonymous file that holds them, sealed against every change, at offset 0. */
static napi_value make_memory_file(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    const uint8_t *bytes;
    size_t length;
    if (!read_args(env, info, 1, args) || !read_bytes(env, args[0], &bytes, &length)) return NULL;
    int fd = memfd_create("tsbuild", MFD_CLOEXEC | MFD_ALLOW_SEALING);
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
    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
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

void init_descriptors(napi_env env, napi_value exports)
{
    export_function(env, exports, "pipe", make_pipe);
    export_function(env, exports, "memoryFile", make_memory_file);
    export_function(env, exports, "tryLock", try_lock);
}
