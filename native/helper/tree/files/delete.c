#include "tree/files/delete.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Deeper directories are moved up to the top of the tree first, so that neither stack nor descriptors grow with depth. */
#define MAX_LEVELS 48

struct deletion {
    int top;
    uint64_t moved;
    uint64_t *inodes;
};

/* Takes the attributes away that forbid deleting: immutable and append-only. Whether there were any. */
static bool clear_flags(int fd)
{
    int flags;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || !(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL))) return false;
    flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
    return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

static bool clear_flags_of(int directory, const char *name)
{
    bool cleared = clear_flags(directory);
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return cleared;
    cleared |= clear_flags(fd);
    close(fd);
    return cleared;
}

static int unlink_name(const struct deletion *deletion, int directory, const char *name, int flags)
{
    int result = unlinkat(directory, name, flags);
    if (result < 0 && errno == EPERM && clear_flags_of(directory, name)) result = unlinkat(directory, name, flags);
    if (result == 0) ++*deletion->inodes;
    return result < 0 && errno == ENOENT ? 0 : result;
}

static int move_up(struct deletion *deletion, int directory, const char *name)
{
    char target[32];
    for (;;) {
        snprintf(target, sizeof target, "~%" PRIu64, deletion->moved++);
        if (syscall(SYS_renameat2, directory, name, deletion->top, target, RENAME_NOREPLACE) == 0 || errno == ENOENT) return 0;
        if (errno == EPERM && clear_flags_of(directory, name)) continue;
        if (errno != EEXIST) return -1;
    }
}

static int delete_directory(struct deletion *deletion, int directory, const char *name, int level);

static int delete_entry(struct deletion *deletion, int directory, const struct dirent *entry, int level)
{
    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) return unlink_name(deletion, directory, entry->d_name, 0);
    if (entry->d_type == DT_UNKNOWN) {
        struct stat stat;
        if (fstatat(directory, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : -1;
        if (!S_ISDIR(stat.st_mode)) return unlink_name(deletion, directory, entry->d_name, 0);
    }
    if (level == MAX_LEVELS) return move_up(deletion, directory, entry->d_name);
    return delete_directory(deletion, directory, entry->d_name, level + 1);
}

/* One pass over the entries, of which there are more when something was moved here meanwhile. The number met, or -1. */
static long delete_entries(struct deletion *deletion, DIR *entries, int level)
{
    long met = 0;
    const struct dirent *entry;
    rewinddir(entries);
    while (errno = 0, (entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        met++;
        if (delete_entry(deletion, dirfd(entries), entry, level) < 0) return -1;
    }
    return errno ? -1 : met;
}

static int delete_directory(struct deletion *deletion, int directory, const char *name, int level)
{
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? 0 : -1;
    DIR *entries = fdopendir(fd);
    if (!entries) {
        close(fd);
        return -1;
    }
    if (level == 0) deletion->top = fd;
    long met;
    do {
        met = delete_entries(deletion, entries, level);
    } while (met > 0);
    int error = errno;
    closedir(entries);
    errno = error;
    return met < 0 ? -1 : unlink_name(deletion, directory, name, AT_REMOVEDIR);
}

int delete_tree(int directory, const char *name, uint64_t *inodes)
{
    struct deletion deletion = {.top = -1, .inodes = inodes};
    struct stat stat;
    if (fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : -1;
    return S_ISDIR(stat.st_mode) ? delete_directory(&deletion, directory, name, 0) : unlink_name(&deletion, directory, name, 0);
}
