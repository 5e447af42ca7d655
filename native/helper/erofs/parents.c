#include "erofs/index.h"

#include "report.h"
#include "tree/base/record.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINKS 40
#define BLOCKED 1

/* A path on its way from the root: `directory` is found, what follows `at` in `pending` is to come. */
struct resolution {
    uint32_t directory;
    struct buffer pending;
    size_t at;
    int links;
};

static bool is_hidden(const struct index *index, uint32_t directory)
{
    if (index->is_root_opaque) return true;
    while (directory != ROOT_NODE && !index->nodes.nodes[directory].is_opaque) directory = nodes_parent(&index->nodes, directory);
    return directory != ROOT_NODE;
}

int index_find_below(struct index *index, uint32_t directory, const char *path, struct stat *stat, int *folder)
{
    if (is_hidden(index, directory)) return 0;
    if (index->has_lowers) return index->lowers.count > 0 ? lowers_find(&index->lowers, path, stat, folder) : 0;
    struct record record = record_start();
    record_bytes(&record, path, strlen(path));
    record_send(&record, RECORD_NEEDS_LOWERS);
    return -1;
}

int index_copy_metadata(struct index *index, uint32_t node, int folder, const char *name)
{
    static struct xattrs xattrs;
    struct stat stat;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) < 0) return report_failure(STAGE_READ_TREE, name);
    int result = xattrs_read(&xattrs, fd, name, OVERLAY_TRUSTED, NULL);
    close(fd);
    struct node *made = &index->nodes.nodes[node];
    made->mode = stat.st_mode;
    made->uid = stat.st_uid;
    made->gid = stat.st_gid;
    made->mtime = stat.st_mtim.tv_sec;
    made->mtime_ns = (uint32_t)stat.st_mtim.tv_nsec;
    made->size = S_ISREG(stat.st_mode) ? (uint64_t)stat.st_size : 0;
    return result < 0 ? -1 : attributes_add(&index->nodes.attributes, &xattrs, &made->attributes);
}

/* Makes a directory that the archive only implies; one of the layers below lies in `folder`, unless that is -1. */
static int make_implied(struct index *index, struct resolution *resolution, const char *name, int folder)
{
    uint32_t made = nodes_make(&index->nodes, S_IFDIR | 0755);
    if (made == NO_NODE) return -1;
    index->nodes.nodes[made].mtime = index->reader.entry.mtime;
    index->nodes.nodes[made].mtime_ns = index->reader.entry.mtime_ns;
    if (folder >= 0 && index_copy_metadata(index, made, folder, name) < 0) return -1;
    if (nodes_put(&index->nodes, resolution->directory, name, strlen(name), made) < 0) return -1;
    resolution->directory = made;
    return 0;
}

static int follow(const struct index *index, struct resolution *resolution, const char *target, size_t length)
{
    static struct buffer rest;
    if (++resolution->links > MAX_LINKS) return refuse(RULE_LINK_LOOP, index->reader.entry.path.data, index->reader.entry.path.length);
    buffer_set(&rest, resolution->pending.data + resolution->at, resolution->pending.length - resolution->at);
    buffer_set(&resolution->pending, target, length);
    path_push(&resolution->pending, rest.data, rest.length);
    resolution->at = 0;
    if (target[0] == '/') resolution->directory = ROOT_NODE;
    return 0;
}

/* The component exists below or nowhere. */
static int step_below(struct index *index, struct resolution *resolution, const char *name)
{
    static struct buffer path;
    struct stat stat;
    int folder = -1;
    nodes_path(&index->nodes, resolution->directory, &path);
    path_push(&path, name, strlen(name));
    if (path.length > MAX_PATH_BYTES) return refuse(RULE_PATH_LENGTH, path.data, path.length);
    int found = index_find_below(index, resolution->directory, path.data, &stat, &folder);
    if (found < 0) return -1;
    if (found == 0) return make_implied(index, resolution, name, -1);
    if (S_ISDIR(stat.st_mode)) return make_implied(index, resolution, name, folder);
    if (!S_ISLNK(stat.st_mode)) return BLOCKED;
    char target[MAX_LINK_TARGET + 2];
    ssize_t length = readlinkat(folder, name, target, sizeof target);
    return length < 0 ? report_failure(STAGE_READ_TREE, name) : follow(index, resolution, target, (size_t)length);
}

static int step(struct index *index, struct resolution *resolution, const char *name)
{
    struct nodes *nodes = &index->nodes;
    if (strcmp(name, "..") == 0) {
        resolution->directory = nodes_parent(nodes, resolution->directory);
        return 0;
    }
    uint32_t found = nodes_find(nodes, resolution->directory, name, strlen(name));
    if (found == NO_NODE) return step_below(index, resolution, name);
    const struct node *node = &nodes->nodes[found];
    if (S_ISLNK(node->mode)) return follow(index, resolution, nodes->texts.data + node->place, node->size);
    if (S_ISDIR(node->mode)) {
        resolution->directory = found;
        return 0;
    }
    if (!node_is_whiteout(node)) return BLOCKED;
    /* This layer deletes what lies below under this name, and yet has something in it: a new directory that hides the old. */
    if (make_implied(index, resolution, name, -1) < 0) return -1;
    nodes->nodes[resolution->directory].is_opaque = true;
    return 0;
}

/* Takes the next component off the pending path; "" when there was only a slash or a dot. */
static int take_component(struct resolution *resolution, char *name)
{
    const char *start = resolution->pending.data + resolution->at;
    size_t length = strcspn(start, "/");
    if (length > MAX_NAME) return refuse(RULE_NAME_LENGTH, start, length);
    memcpy(name, start, length);
    name[length] = 0;
    resolution->at += length + (start[length] == '/');
    if (strcmp(name, ".") == 0) name[0] = 0;
    return 0;
}

int index_find_parent(struct index *index, const struct buffer *path, uint32_t *directory)
{
    static struct resolution resolution;
    const char *slash = memrchr(path->data, '/', path->length);
    size_t length = slash ? (size_t)(slash - path->data) : 0;
    if (index->near_directory != NO_NODE && index->near.length == length && memcmp(index->near.data, path->data, length) == 0) {
        *directory = index->near_directory;
        return 0;
    }
    resolution.directory = ROOT_NODE;
    resolution.at = 0;
    resolution.links = 0;
    buffer_set(&resolution.pending, path->data, length);
    while (resolution.at < resolution.pending.length) {
        char name[MAX_NAME + 1];
        int result = take_component(&resolution, name);
        if (result == 0 && name[0]) result = step(index, &resolution, name);
        if (result != 0) return result;
    }
    *directory = resolution.directory;
    return 0;
}
