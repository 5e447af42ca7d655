#include "tree/files/whiteout.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

int make_whiteout_mark(int folder, const char *name)
{
    static const struct timespec none[2];
    struct statfs filesystem;
    if (mknodat(folder, name, S_IFCHR, 0) == 0) return 0;
    if (errno != EPERM || fstatfs(folder, &filesystem) < 0 || filesystem.f_type != OVERLAYFS_SUPER_MAGIC) return -1;
    return mknodat(folder, name, S_IFSOCK, 0) < 0 ? -1 : utimensat(folder, name, none, AT_SYMLINK_NOFOLLOW);
}
