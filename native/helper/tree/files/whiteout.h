/* How a layer in a directory says that a name is deleted. */
#ifndef TSBUILD_TREE_FILES_WHITEOUT_H
#define TSBUILD_TREE_FILES_WHITEOUT_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * Overlayfs's own mark; or, where the store lies on an overlayfs, which lets nobody make that, a socket without mode and time. No other
 * socket is ever in a layer: a tar has none, and one that a container made is left out when its layer is packed.
 */
static inline bool is_whiteout_mark(const struct stat *stat)
{
    if (S_ISCHR(stat->st_mode)) return stat->st_rdev == 0;
    return S_ISSOCK(stat->st_mode) && (stat->st_mode & 07777) == 0 && stat->st_mtim.tv_sec == 0 && stat->st_mtim.tv_nsec == 0;
}

/* 0, or -1 with errno. */
int make_whiteout_mark(int folder, const char *name);

#endif
