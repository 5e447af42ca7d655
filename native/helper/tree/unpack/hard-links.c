#include "tree/unpack/unpack.h"

#include "report.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"
#include "tree/files/whiteout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int refuse_link(const struct unpack *unpack, enum rule rule)
{
    return refuse(rule, unpack->reader.entry.link.data, unpack->reader.entry.link.length);
}

static int copy_bytes(int from, int to)
{
    for (;;) {
        ssize_t copied = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0);
        if (copied < 0 && errno == EINTR) continue;
        if (copied <= 0) return (int)copied;
    }
}

/* In the order that keeps setuid bits and capabilities. */
static int copy_metadata(const struct stat *stat, const struct xattrs *xattrs, int fd, enum overlay_namespace space)
{
    const struct timespec times[2] = {stat->st_mtim, stat->st_mtim};
    if (fchown(fd, stat->st_uid, stat->st_gid) < 0 || fchmod(fd, stat->st_mode & 07777) < 0) return -1;
    return xattrs_write(xattrs, fd, NULL, space) < 0 ? -1 : futimens(fd, times);
}

static int copy_file_up(struct unpack *unpack, const struct parent *parent, const char *name, int source)
{
    static struct xattrs xattrs;
    struct stat stat;
    if (fstat(source, &stat) < 0) return report_failure(STAGE_READ_TREE, name);
    if (xattrs_read(&xattrs, source, name, unpack->space, NULL) < 0) return -1;
    int fd = openat(parent->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return report_failure(STAGE_WRITE_TREE, name);
    int result = copy_bytes(source, fd);
    if (result == 0) result = copy_metadata(&stat, &xattrs, fd, unpack->space);
    if (result == 0) result = fstat(fd, &stat);
    if (result < 0) report_failure(STAGE_WRITE_TREE, name);
    else totals_add(&unpack->totals, &stat);
    close(fd);
    return result;
}

/* A name of a lower layer's file that gets a second name becomes a file of this layer, as it does through a mount. */
static int copy_up(struct unpack *unpack, const struct parent *parent, const char *name)
{
    static struct buffer path;
    struct stat stat;
    int directory;
    buffer_set(&path, parent->path.data, parent->path.length);
    path_push(&path, name, strlen(name));
    int hidden = is_hidden(unpack, path.data);
    int found = hidden != 0 ? -(hidden < 0) : find_below(unpack, path.data, &stat, &directory);
    if (found <= 0) return found < 0 ? -1 : refuse_link(unpack, RULE_LINK_MISSING);
    if (!S_ISREG(stat.st_mode)) return refuse_link(unpack, RULE_LINK_TYPE);
    int source = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (source < 0) return report_failure(STAGE_READ_TREE, path.data);
    int result = copy_file_up(unpack, parent, name, source);
    close(source);
    return result;
}

/* Makes sure that the target exists in this layer, and says what it is. */
static int find_target(struct unpack *unpack, const struct parent *parent, const char *name, struct stat *stat)
{
    if (fstatat(parent->fd, name, stat, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT) return report_failure(STAGE_READ_TREE, name);
        if (copy_up(unpack, parent, name) < 0) return -1;
        if (fstatat(parent->fd, name, stat, AT_SYMLINK_NOFOLLOW) < 0) return report_failure(STAGE_READ_TREE, name);
    }
    if (is_whiteout_mark(stat)) return refuse_link(unpack, RULE_LINK_MISSING);
    return S_ISDIR(stat->st_mode) ? refuse_link(unpack, RULE_LINK_TYPE) : 0;
}

static int link_to(struct unpack *unpack, const struct parent *parent, const char *target, const char *name)
{
    struct stat stat, there;
    int directory = unpack->parent.fd;
    if (find_target(unpack, parent, target, &stat) < 0) return -1;
    if (fstatat(directory, name, &there, AT_SYMLINK_NOFOLLOW) == 0) {
        if (there.st_ino == stat.st_ino && there.st_dev == stat.st_dev) return 0;
        if (remove_earlier(unpack, name) < 0) return -1;
    }
    if (linkat(parent->fd, target, directory, name, 0) == 0) return 0;
    if (errno == EMLINK) return refuse_link(unpack, RULE_LINK_COUNT);
    return errno == ENOENT ? refuse_link(unpack, RULE_LINK_MISSING) : report_failure(STAGE_WRITE_TREE, unpack->reader.entry.path.data);
}

int make_hard_link(struct unpack *unpack, const char *name)
{
    static struct parent other = {.fd = -1};
    const struct buffer *link = &unpack->reader.entry.link;
    const char *slash = link->length ? memrchr(link->data, '/', link->length) : NULL;
    if (link->length == 0) return refuse_link(unpack, RULE_LINK_MISSING);
    int opened = parent_open(unpack, &other, link);
    if (opened != 0) return opened < 0 ? -1 : refuse_link(unpack, RULE_LINK_MISSING);
    int result = link_to(unpack, &other, slash ? slash + 1 : link->data, name);
    /* Not kept: what other entries replace could lie on its way. */
    close(other.fd);
    other.fd = -1;
    return result;
}
