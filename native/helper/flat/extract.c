#include "flat/extract.h"

#include "flat/flatten.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct comparison {
    const struct layers *layers;
    const struct timespec *since;
    const struct own_changes *own;
    const char *const *skipped;
};

/* A folder that both have. Its counterpart among the changes is made when something is to go there. */
struct place {
    const struct comparison *comparison;
    struct place *parent;
    const char *name;
    int tree;
    int upper; /* -1 until then */
    struct merged_folder below;
};

static bool is_changed(const struct comparison *comparison, const struct stat *stat)
{
    for (int i = 0; i < comparison->own->count; i++) {
        if (comparison->own->items[i].device == stat->st_dev && comparison->own->items[i].inode == stat->st_ino) return false;
    }
    const struct timespec *since = comparison->since;
    return stat->st_ctim.tv_sec > since->tv_sec || (stat->st_ctim.tv_sec == since->tv_sec && stat->st_ctim.tv_nsec > since->tv_nsec);
}

static bool is_skipped(const struct place *place, const char *name)
{
    for (const char *const *skipped = place->comparison->skipped; !place->parent && *skipped; skipped++) {
        if (strcmp(*skipped, name) == 0) return true;
    }
    return false;
}

static int make_upper(struct place *place)
{
    if (place->upper >= 0) return 0;
    if (make_upper(place->parent) < 0 || mkdirat(place->parent->upper, place->name, 0700) < 0) return -1;
    place->upper = openat(place->parent->upper, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return place->upper < 0 ? -1 : 0;
}

static int compare(struct place *place, bool is_folder_changed);

static int compare_folder(struct place *parent, const char *name, const struct stat *stat)
{
    struct place place = {.comparison = parent->comparison, .parent = parent, .name = name, .upper = -1};
    place.below = open_merged(parent->comparison->layers, &parent->below, name);
    place.tree = openat(parent->tree, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool changed = is_changed(parent->comparison, stat);
    int result = !place.below.fds || place.tree < 0 ? -1 : 0;
    /* Moving files out changes the folder's times, so what it is like is noted first. */
    if (result == 0 && changed) result = make_upper(&place);
    if (result == 0) result = compare(&place, changed);
    if (result == 0 && place.upper >= 0) {
        const struct timespec times[2] = {stat->st_atim, stat->st_mtim};
        result = copy_metadata(parent->comparison->layers, place.tree, place.upper) < 0 || futimens(place.upper, times) < 0 ? -1 : 0;
    }
    if (place.tree >= 0) close(place.tree);
    if (place.upper >= 0) close(place.upper);
    close_merged(&place.below);
    return result;
}

static int compare_entry(struct place *place, const char *name)
{
    struct stat now, before;
    if (fstatat(place->tree, name, &now, AT_SYMLINK_NOFOLLOW) < 0) return -1;
    int found = find_merged(place->comparison->layers, &place->below, name, &before);
    if (found < 0) return -1;
    bool was_folder = found && S_ISDIR(before.st_mode);
    if (S_ISDIR(now.st_mode) && was_folder) return compare_folder(place, name, &now);
    bool is_same_kind = found && (now.st_mode & S_IFMT) == (before.st_mode & S_IFMT);
    if (is_same_kind && !is_changed(place->comparison, &now)) return 0;
    return make_upper(place) < 0 ? -1 : renameat(place->tree, name, place->upper, name);
}

static int mark_missing(void *context, const char *name, const struct stat *stat)
{
    struct place *place = context;
    struct stat now;
    (void)stat;
    if (is_skipped(place, name) || fstatat(place->tree, name, &now, AT_SYMLINK_NOFOLLOW) == 0) return 0;
    /* What was moved out a moment ago is not missing. */
    if (place->upper >= 0 && fstatat(place->upper, name, &now, AT_SYMLINK_NOFOLLOW) == 0) return 0;
    return make_upper(place) < 0 ? -1 : mknodat(place->upper, name, S_IFCHR, 0);
}

/* The names are read before anything is moved. */
static int list_names(int folder, char ***names, size_t *count)
{
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = again < 0 ? NULL : fdopendir(again);
    if (!listing) return -1;
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(listing));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char **longer = realloc(*names, (*count + 1) * sizeof *longer);
        if (longer) *names = longer;
        if (!longer || !(longer[*count] = strdup(entry->d_name))) result = -1;
        else ++*count;
    }
    closedir(listing);
    return result;
}

static int compare(struct place *place, bool is_folder_changed)
{
    char **names = NULL;
    size_t count = 0;
    int result = list_names(place->tree, &names, &count);
    for (size_t i = 0; i < count; i++) {
        if (result == 0 && !is_skipped(place, names[i])) result = compare_entry(place, names[i]);
        free(names[i]);
    }
    free(names);
    if (result < 0 || !is_folder_changed) return result;
    return each_merged(place->comparison->layers, &place->below, mark_missing, place);
}

int extract_changes(const struct layers *layers, const struct timespec *since, const struct own_changes *own, const char *const *skipped, const int tree_and_upper[2])
{
    struct comparison comparison = {.layers = layers, .since = since, .own = own, .skipped = skipped};
    struct place root = {.comparison = &comparison, .name = "", .tree = tree_and_upper[0], .upper = tree_and_upper[1], .below = open_merged_root(layers)};
    int result = root.below.fds ? compare(&root, true) : -1;
    close_merged(&root.below);
    return result;
}
