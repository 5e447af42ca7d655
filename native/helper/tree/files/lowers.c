#include "tree/files/lowers.h"

#include "layer/lower.h"
#include "report.h"
#include "tree/base/stage.h"
#include "tree/files/whiteout.h"
#include "tree/tar/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Two descriptors a layer: more layers than the usual limit of 1024 descriptors allows. */
static void raise_descriptor_limit(size_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted + 64) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int lowers_open(struct lowers *lowers, struct wire *request, enum overlay_namespace space)
{
    *lowers = (struct lowers){.space = space};
    size_t count = wire_count(request, LOWER_LEAST);
    raise_descriptor_limit(2 * count);
    lowers->roots = checked_realloc(NULL, count + 1, sizeof *lowers->roots);
    lowers->parts = checked_realloc(NULL, count + 1, sizeof *lowers->parts);
    for (size_t i = 0; i < count; i++) {
        struct lower lower = lower_read(request);
        lowers->roots[i] = lower_open_alone(&lower);
        if (lowers->roots[i] < 0) return report_failure(STAGE_OPEN_TREE, lower.path);
        lowers->count++;
    }
    return 0;
}

static void close_parts(struct lowers *lowers, size_t from)
{
    for (size_t i = from; i < lowers->part_count; i++) close(lowers->parts[i]);
    lowers->part_count = from;
}

static int return_to_root(struct lowers *lowers)
{
    close_parts(lowers, 0);
    buffer_set(&lowers->directory, "", 0);
    for (size_t i = 0; i < lowers->count; i++) {
        int fd = openat(lowers->roots[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return report_failure(STAGE_READ_TREE, "");
        lowers->parts[lowers->part_count++] = fd;
    }
    return 0;
}

/* Goes one directory down, in those parts that have it as a directory which the layers above do not hide. */
static int descend(struct lowers *lowers, const char *name)
{
    size_t kept = 0, i = 0;
    for (bool hides = false; i < lowers->part_count && !hides; i++) {
        int fd = openat(lowers->parts[i], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) return report_failure(STAGE_READ_TREE, name);
        /* Anything but a directory, a whiteout too, ends what can be seen. */
        hides = fd < 0 ? errno != ENOENT : xattr_is_opaque(fd, lowers->space);
        close(lowers->parts[i]);
        if (fd >= 0) lowers->parts[kept++] = fd;
    }
    for (; i < lowers->part_count; i++) close(lowers->parts[i]);
    lowers->part_count = kept;
    return 0;
}

/* Whether the directory at hand is `directory`, of that length, or one above it. */
static bool is_on_the_way(const struct lowers *lowers, const char *directory, size_t length)
{
    size_t known = lowers->directory.length;
    if (!lowers->directory.data || known > length || memcmp(lowers->directory.data, directory, known) != 0) return false;
    return known == 0 || known == length || directory[known] == '/';
}

static int go_to(struct lowers *lowers, const char *directory, size_t length)
{
    if (!is_on_the_way(lowers, directory, length) && return_to_root(lowers) < 0) return -1;
    while (lowers->directory.length < length) {
        size_t known = lowers->directory.length;
        const char *start = directory + known + (known > 0);
        size_t size = strcspn(start, "/");
        path_push(&lowers->directory, start, size);
        if (descend(lowers, lowers->directory.data + lowers->directory.length - size) < 0) return -1;
    }
    return 0;
}

int lowers_find(struct lowers *lowers, const char *path, struct stat *stat, int *directory)
{
    const char *slash = strrchr(path, '/');
    if (go_to(lowers, path, slash ? (size_t)(slash - path) : 0) < 0) return -1;
    for (size_t i = 0; i < lowers->part_count; i++) {
        if (fstatat(lowers->parts[i], slash ? slash + 1 : path, stat, AT_SYMLINK_NOFOLLOW) == 0) {
            *directory = lowers->parts[i];
            return !is_whiteout_mark(stat);
        }
        if (errno != ENOENT) return report_failure(STAGE_READ_TREE, path);
    }
    return 0;
}
