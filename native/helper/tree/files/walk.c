#include "tree/files/walk.h"

#include "report.h"
#include "tree/base/buffer.h"
#include "tree/base/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A directory that is being walked. Names of all levels lie in one stack of bytes, their places in another. */
struct level {
    dev_t device;
    ino_t inode;
    size_t path_length;
    size_t names_length; /* of both stacks, before this level's names were pushed */
    size_t first;
    size_t next;
    size_t count;
};

struct walker {
    struct buffer path;
    struct buffer names;
    size_t *places;
    size_t places_capacity;
    struct level *levels;
    size_t depth;
    size_t levels_capacity;
};

static int compare_places(const void *one, const void *other, void *names)
{
    return strcmp((char *)names + *(const size_t *)one, (char *)names + *(const size_t *)other);
}

static void push_name(struct walker *walker, struct level *level, const char *name)
{
    size_t index = level->first + level->count++;
    if (index == walker->places_capacity) {
        walker->places_capacity = index ? index * 2 : 256;
        walker->places = checked_realloc(walker->places, walker->places_capacity, sizeof *walker->places);
    }
    walker->places[index] = walker->names.length;
    buffer_append(&walker->names, name, strlen(name) + 1);
}

static int read_names(struct walker *walker, struct level *level)
{
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) return report_failure(STAGE_READ_TREE, walker->path.data);
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) push_name(walker, level, entry->d_name);
    }
    int error = errno;
    closedir(directory);
    errno = error;
    if (error) return report_failure(STAGE_READ_TREE, walker->path.data);
    if (level->count > 1) qsort_r(walker->places + level->first, level->count, sizeof *walker->places, compare_places, walker->names.data);
    return 0;
}

/* Begins the working directory as a new level. */
static int enter(struct walker *walker)
{
    if (walker->depth == walker->levels_capacity) {
        walker->levels_capacity = walker->depth ? walker->depth * 2 : 64;
        walker->levels = checked_realloc(walker->levels, walker->levels_capacity, sizeof *walker->levels);
    }
    const struct level *above = walker->depth ? &walker->levels[walker->depth - 1] : NULL;
    struct stat stat;
    if (lstat(".", &stat) < 0) return report_failure(STAGE_READ_TREE, walker->path.data);
    struct level *level = &walker->levels[walker->depth++];
    *level = (struct level){
        .device = stat.st_dev,
        .inode = stat.st_ino,
        .path_length = walker->path.length,
        .names_length = walker->names.length,
        .first = above ? above->first + above->count : 0,
    };
    return read_names(walker, level);
}

/* Goes back up; that ".." is where we came from is checked, since a tree must not move under the walk. */
static int leave(struct walker *walker)
{
    buffer_truncate(&walker->names, walker->levels[--walker->depth].names_length);
    if (walker->depth == 0) return 0;
    const struct level *level = &walker->levels[walker->depth - 1];
    struct stat stat;
    if (chdir("..") < 0 || lstat(".", &stat) < 0) return report_failure(STAGE_READ_TREE, walker->path.data);
    buffer_truncate(&walker->path, level->path_length);
    if (stat.st_dev == level->device && stat.st_ino == level->inode) return 0;
    errno = ESTALE;
    return report_failure(STAGE_READ_TREE, walker->path.data);
}

static int descend(struct walker *walker, const char *name)
{
    int fd = open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result = fd < 0 ? -1 : fchdir(fd);
    int error = errno;
    if (fd >= 0) close(fd);
    errno = error;
    return result < 0 ? report_failure(STAGE_READ_TREE, walker->path.data) : enter(walker);
}

static int walk_levels(struct walker *walker, walk_visit *visit, void *context)
{
    while (walker->depth > 0) {
        struct level *level = &walker->levels[walker->depth - 1];
        if (level->next == level->count) {
            if (leave(walker) < 0) return -1;
            continue;
        }
        const char *name = walker->names.data + walker->places[level->first + level->next++];
        struct walk_entry entry = {.name = name, .depth = walker->depth};
        path_push(&walker->path, name, strlen(name));
        entry.path = walker->path.data;
        entry.path_length = walker->path.length;
        if (lstat(name, &entry.stat) < 0) return report_failure(STAGE_READ_TREE, entry.path);
        if (visit(context, &entry) < 0) return -1;
        if (S_ISDIR(entry.stat.st_mode)) {
            if (descend(walker, name) < 0) return -1;
        } else {
            buffer_truncate(&walker->path, level->path_length);
        }
    }
    return 0;
}

int walk_tree(int root, walk_visit *visit, void *context)
{
    struct walker walker = {0};
    buffer_set(&walker.path, "", 0);
    int result = fchdir(root) < 0 ? report_failure(STAGE_OPEN_TREE, "") : enter(&walker);
    if (result == 0) result = walk_levels(&walker, visit, context);
    buffer_free(&walker.path);
    buffer_free(&walker.names);
    free(walker.places);
    free(walker.levels);
    return result;
}
