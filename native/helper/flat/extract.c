#include "flat/extract.h"

#include "flat/flatten.h"
#include "flat/place-mark.h"
#include "tree/files/links.h"
#include "tree/files/whiteout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

struct comparison {
    const struct layers *layers;
    const struct timespec *since;
    const struct own_changes *own;
    const char *const *skipped;
    struct links *taken;
};

/*
 * A folder of the tree. Its counterpart among the changes is made when something is to go there; the layers have it too,
 * unless `below` is empty.
 */
struct place {
    const struct comparison *comparison;
    struct place *parent;
    const char *name;
    int tree;
    int upper; /* -1 until then */
    bool is_taken_whole;
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

/*
 * A folder that is not the one that was copied here hides what the layers have of its name. One that was copied
 * elsewhere was moved here with all that is in it; in one that was made, what is older was there before the process.
 */
static int begin_folder(struct place *place, const char *name, bool was_folder, bool changed)
{
    struct place *parent = place->parent;
    const struct layers *layers = place->comparison->layers;
    place->tree = openat(parent->tree, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (place->tree < 0) return -1;
    bool is_copied = has_place_mark(layers, parent->tree, place->tree, name);
    place->is_taken_whole = parent->is_taken_whole || (!is_copied && carries_place_mark(layers, place->tree));
    if (was_folder && is_copied && !parent->is_taken_whole) {
        place->below = open_merged(layers, &parent->below, name);
        return place->below.fds ? 0 : -1;
    }
    /* A mount point that was made for the process, unless something else is in it. */
    if (!was_folder && !changed) return 0;
    return make_upper(place) < 0 ? -1 : fsetxattr(place->upper, layers->opaque, "y", 1, 0);
}

static int compare_folder(struct place *parent, const char *name, const struct stat *stat, bool was_folder)
{
    struct place place = {.comparison = parent->comparison, .parent = parent, .name = name, .upper = -1};
    bool changed = parent->is_taken_whole || is_changed(parent->comparison, stat);
    int result = begin_folder(&place, name, was_folder, changed);
    /* Moving files out changes the folder's times, so what it is like is noted first. */
    if (result == 0 && changed) result = make_upper(&place);
    if (result == 0) result = compare(&place, changed);
    if (result == 0 && place.upper >= 0) {
        const struct timespec times[2] = {stat->st_atim, stat->st_mtim};
        result = copy_metadata(parent->comparison->layers, place.tree, place.upper, TO_LAYER) < 0 || futimens(place.upper, times) < 0 ? -1 : 0;
    }
    if (place.tree >= 0) close(place.tree);
    if (place.upper >= 0) close(place.upper);
    close_merged(&place.below);
    return result;
}

static int take(struct place *place, const char *name, const struct stat *stat)
{
    if (is_whiteout_mark(stat)) {
        /* Overlayfs refuses to make its own mark of a deleted name. */
        errno = EPERM;
        return -1;
    }
    if (make_upper(place) < 0 || renameat(place->tree, name, place->upper, name) < 0) return -1;
    bool is_escaped = stat->st_nlink > 1 && links_find_or_add(place->comparison->taken, stat->st_ino, "", 0);
    return is_escaped ? 0 : escape_attributes(place->comparison->layers, place->upper, name);
}

/* The copy has the times of what was copied: whatever the clock did, another size or time is a change. */
static bool is_other_file(const struct stat *now, const struct stat *before)
{
    return (now->st_mode != before->st_mode) || now->st_uid != before->st_uid || now->st_gid != before->st_gid || now->st_size != before->st_size ||
           now->st_mtim.tv_sec != before->st_mtim.tv_sec || now->st_mtim.tv_nsec != before->st_mtim.tv_nsec;
}

static int compare_entry(struct place *place, const char *name)
{
    struct stat now, before;
    if (fstatat(place->tree, name, &now, AT_SYMLINK_NOFOLLOW) < 0) return -1;
    int found = find_merged(place->comparison->layers, &place->below, name, &before);
    if (found < 0) return -1;
    if (S_ISDIR(now.st_mode)) return compare_folder(place, name, &now, found && S_ISDIR(before.st_mode));
    bool changed = place->is_taken_whole || is_changed(place->comparison, &now);
    /* Empty and older than the process: a mount point that was made for it. */
    if (!found && !changed && S_ISREG(now.st_mode) && now.st_size == 0) return 0;
    if (found && !changed && !is_other_file(&now, &before)) return 0;
    return take(place, name, &now);
}

static int mark_missing(void *context, const char *name, const struct stat *stat)
{
    struct place *place = context;
    struct stat now;
    (void)stat;
    if (is_skipped(place, name) || fstatat(place->tree, name, &now, AT_SYMLINK_NOFOLLOW) == 0) return 0;
    /* What was moved out a moment ago is not missing. */
    if (place->upper >= 0 && fstatat(place->upper, name, &now, AT_SYMLINK_NOFOLLOW) == 0) return 0;
    if (make_upper(place) < 0) return -1;
    return make_whiteout_mark(place->upper, name);
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
    struct links taken = {0};
    struct comparison comparison = {.layers = layers, .since = since, .own = own, .skipped = skipped, .taken = &taken};
    struct place root = {.comparison = &comparison, .name = "", .tree = tree_and_upper[0], .upper = tree_and_upper[1], .below = open_merged_root(layers)};
    int result = root.below.fds ? compare(&root, true) : -1;
    close_merged(&root.below);
    links_free(&taken);
    return result;
}
