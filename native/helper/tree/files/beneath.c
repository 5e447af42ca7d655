#include "tree/files/beneath.h"

#include "tree/tar/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONGEST (PATH_MAX - 1)

static int open_at_once(int root, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

/* One component of `*path`, which moves on to the next. */
static int open_step(int directory, const char **path, int flags)
{
    char name[MAX_NAME + 1];
    size_t length = strcspn(*path, "/");
    errno = length > MAX_NAME ? ENAMETOOLONG : EXDEV;
    if (length > MAX_NAME) return -1;
    memcpy(name, *path, length);
    name[length] = 0;
    if (strcmp(name, "..") == 0) return -1;
    *path += length + strspn(*path + length, "/");
    return openat(directory, name, (**path ? O_PATH | O_DIRECTORY : flags) | O_NOFOLLOW | O_CLOEXEC);
}

static void close_above(int directory, int root)
{
    int error = errno;
    if (directory != root) close(directory);
    errno = error;
}

/* The same in steps, for kernels and sandboxes without openat2. */
static int open_by_steps(int root, const char *path, int flags)
{
    int directory = root;
    for (;;) {
        int next = open_step(directory, &path, flags);
        close_above(directory, root);
        if (next < 0 || !*path) return next;
        directory = next;
    }
}

static int open_short(int root, const char *path, int flags)
{
    static bool has_openat2 = true;
    if (has_openat2) {
        int fd = open_at_once(root, path, flags);
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
        has_openat2 = errno != ENOSYS;
    }
    return open_by_steps(root, path, flags);
}

/* Opens the longest directory on the way that leaves at most one system call's worth of path; `*path` is what is left. */
static int open_far(int root, const char **path)
{
    int directory = root;
    while (strlen(*path) > LONGEST) {
        char part[LONGEST + 1];
        size_t length = LONGEST;
        while (length > 0 && (*path)[length] != '/') length--;
        if (length == 0) {
            errno = ENAMETOOLONG;
            if (directory != root) close(directory);
            return -1;
        }
        memcpy(part, *path, length);
        part[length] = 0;
        int next = open_short(directory, part, O_PATH | O_DIRECTORY);
        close_above(directory, root);
        if (next < 0) return -1;
        directory = next;
        *path += length + 1;
    }
    return directory;
}

int open_beneath(int root, const char *path, int flags)
{
    if (!*path) return openat(root, ".", flags | O_CLOEXEC);
    int directory = open_far(root, &path);
    if (directory < 0) return -1;
    int fd = open_short(directory, path, flags);
    close_above(directory, root);
    return fd;
}
