/*
 * The mode settle: an upperdir of fuse-overlayfs in the form that overlayfs gives it, which a layer is made of.
 *   request   text upperdir, u8 overlay namespace
 * What fuse-overlayfs leaves: in an opaque folder the entries ".wh..opq" and ".wh..wh..opq", attributes
 * "user.fuseoverlayfs.", and, where it may not make devices, ".wh.NAME" for the deleted NAME.
 */
#include "fuse/modes.h"

#include "report.h"
#include "tree/base/stage.h"
#include "tree/files/walk.h"
#include "tree/files/whiteout.h"
#include "tree/files/xattrs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MARK ".wh."

static bool is_mark(const struct walk_entry *entry)
{
    const struct stat *stat = &entry->stat;
    if (strncmp(entry->name, MARK, strlen(MARK)) != 0 || !entry->name[strlen(MARK)]) return false;
    return (S_ISREG(stat->st_mode) && stat->st_size == 0) || is_whiteout_mark(stat);
}

static bool marks_folder(const char *name)
{
    return strcmp(name, MARK ".opq") == 0 || strcmp(name, MARK MARK ".opq") == 0;
}

/* The entry is in the working directory, whose times are those that the process sees. */
static int replace_mark(const char *name, enum overlay_namespace space)
{
    struct stat stat;
    int folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = folder >= 0 && fstat(folder, &stat) == 0 && unlinkat(folder, name, 0) == 0;
    if (done && marks_folder(name)) done = xattr_set_opaque(folder, space) == 0;
    /* What has the name again hides what was there as well. */
    else if (done) done = make_whiteout_mark(folder, name + strlen(MARK)) == 0 || errno == EEXIST;
    if (done) done = futimens(folder, (const struct timespec[2]){stat.st_atim, stat.st_mtim}) == 0;
    int error = errno;
    if (folder >= 0) close(folder);
    errno = error;
    return done ? 0 : -1;
}

static int drop_attribute(int fd, const char *attribute)
{
    return fremovexattr(fd, attribute) == 0 || errno == ENODATA || errno == ENOTSUP ? 0 : -1;
}

/* Files and directories alone have attributes of users. */
static int settle_node(const struct walk_entry *entry, enum overlay_namespace space)
{
    char value;
    int fd = open(entry->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return -1;
    bool is_opaque = S_ISDIR(entry->stat.st_mode) && fgetxattr(fd, "user.fuseoverlayfs.opaque", &value, 1) == 1 && value == 'y';
    int result = is_opaque ? xattr_set_opaque(fd, space) : 0;
    if (result == 0) result = drop_attribute(fd, "user.fuseoverlayfs.opaque");
    if (result == 0) result = drop_attribute(fd, "user.fuseoverlayfs.origin");
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

static int settle_entry(void *context, const struct walk_entry *entry)
{
    enum overlay_namespace space = *(const enum overlay_namespace *)context;
    int result = 0;
    if (is_mark(entry)) result = replace_mark(entry->name, space);
    else if (S_ISREG(entry->stat.st_mode) || S_ISDIR(entry->stat.st_mode)) result = settle_node(entry, space);
    return result < 0 ? report_failure(STAGE_WRITE_TREE, entry->path) : 0;
}

int run_settle(struct wire *request)
{
    const char *path = wire_text(request);
    enum overlay_namespace space = wire_u8(request) == 1 ? OVERLAY_USER : OVERLAY_TRUSTED;
    if (!wire_is_done(request)) return errno = EBADMSG, report_failure(STAGE_TREE_REQUEST, "settle"), 1;
    int root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0) return report_failure(STAGE_OPEN_TREE, path), 1;
    return walk_tree(root, settle_entry, &space) < 0 ? 1 : 0;
}
