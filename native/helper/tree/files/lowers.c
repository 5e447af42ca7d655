#include "tree/files/lowers.h"

#include "report.h"
#include "tree/base/stage.h"
#include "tree/files/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* One descriptor a layer: more layers than the usual limit of 1024 descriptors are allowed. */
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
    size_t count = wire_count(request, 5);
    raise_descriptor_limit(count);
    lowers->roots = checked_realloc(NULL, count + 1, sizeof *lowers->roots);
    lowers->active = checked_realloc(NULL, count + 1, sizeof *lowers->active);
    for (size_t i = 0; i < count; i++) {
        const char *path = wire_text(request);
        lowers->roots[i] = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (lowers->roots[i] < 0) return report_failure(STAGE_OPEN_TREE, path);
        lowers->count++;
    }
    return 0;
}

static bool is_absent(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG;
}

/* What layer `layer` has at `path`. 1, 0 for nothing, -1 with a report. */
static int look(const struct lowers *lowers, size_t layer, const char *path, struct stat *stat)
{
    if (stat_beneath(lowers->roots[layer], path, stat) == 0) return 1;
    return is_absent(errno) ? 0 : report_failure(STAGE_READ_TREE, path);
}

/* 1, 0, or -1 with a report. */
static int is_opaque(const struct lowers *lowers, size_t layer, const char *path)
{
    int fd = open_beneath(lowers->roots[layer], path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return report_failure(STAGE_READ_TREE, path);
    bool opaque = xattr_is_opaque(fd, lowers->space);
    close(fd);
    return opaque;
}

/* Keeps those active layers that also have `path` as a directory which layers above do not hide. */
static int narrow(struct lowers *lowers, const char *path)
{
    size_t kept = 0;
    for (size_t i = 0; i < lowers->active_count; i++) {
        size_t layer = lowers->active[i];
        struct stat stat;
        int found = look(lowers, layer, path, &stat);
        if (found < 0) return -1;
        if (!found) continue;
        if (!S_ISDIR(stat.st_mode)) break;
        lowers->active[kept++] = layer;
        int opaque = is_opaque(lowers, layer, path);
        if (opaque < 0) return -1;
        if (opaque) break;
    }
    lowers->active_count = kept;
    return 0;
}

/* How much of `directory`, whose length is given, the remembered one covers: whole components from the start. */
static size_t covered(const struct lowers *lowers, const char *directory, size_t length)
{
    size_t known = lowers->directory.length;
    if (!lowers->is_known || known > length || memcmp(lowers->directory.data, directory, known) != 0) return 0;
    return known == length || known == 0 || directory[known] == '/' ? known : 0;
}

static int activate(struct lowers *lowers, const char *directory, size_t length)
{
    size_t at = covered(lowers, directory, length);
    if (at == 0) {
        for (size_t i = 0; i < lowers->count; i++) lowers->active[i] = i;
        lowers->active_count = lowers->count;
    }
    while (at < length) {
        size_t start = directory[at] == '/' ? at + 1 : at;
        at = start + strcspn(directory + start, "/");
        if (at > length) at = length;
        buffer_set(&lowers->directory, directory, at);
        lowers->is_known = false;
        if (narrow(lowers, lowers->directory.data) < 0) return -1;
    }
    buffer_set(&lowers->directory, directory, length);
    lowers->is_known = true;
    return 0;
}

int lowers_find(struct lowers *lowers, const char *path, struct stat *stat, size_t *layer)
{
    const char *slash = strrchr(path, '/');
    if (activate(lowers, path, slash ? (size_t)(slash - path) : 0) < 0) return -1;
    for (size_t i = 0; i < lowers->active_count; i++) {
        int found = look(lowers, lowers->active[i], path, stat);
        if (found < 0) return -1;
        if (!found) continue;
        if (is_whiteout(stat)) return 0;
        *layer = lowers->active[i];
        return 1;
    }
    return 0;
}
