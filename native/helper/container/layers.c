#include "layers.h"

#include "id-maps.h"
#include "kernel.h"
#include "report.h"
#include "root.h"
#include "stages.h"
#include "tree/files/whiteout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A mount of its own, with the container's ids, where the container has its own. */
static int open_folder(const char *path, int id_map)
{
    int fd = id_map < 0 ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : kernel_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE);
    if (fd < 0) return report_failure(STAGE_LAYERS, path);
    if (id_map < 0) return fd;
    if (map_mount(fd, id_map, 0) < 0) return report_failure(STAGE_IDS, path);
    return attach_layer(fd) < 0 ? report_failure(STAGE_LAYERS, path) : fd;
}

/* Nothing is mounted, so that ids cannot be mapped. */
static int open_lower(const struct lower *lower, int id_map)
{
    (void)id_map;
    int fd = lower_open(lower, O_RDONLY);
    return fd < 0 ? report_failure(STAGE_LAYERS, lower->path) : fd;
}

static int attach_lower(const struct lower *lower, int id_map)
{
    if (lower->kind == LOWER_DIRECTORY) return open_folder(lower->path, id_map);
    int fd = lower_open(lower, O_PATH);
    if (fd >= 0 && id_map >= 0 && map_mount(fd, id_map, 0) < 0) return report_failure(STAGE_IDS, lower->path);
    return fd < 0 || attach_layer(fd) < 0 ? report_failure(STAGE_LAYERS, lower->path) : fd;
}

static int open_child(int parent, const char *path)
{
    int fd = openat(parent, strrchr(path, '/') + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? report_failure(STAGE_LAYERS, path) : fd;
}

/* Overlay wants the two on one mount: with ids of the container's own that is one of the folder that holds both. */
static int open_upper(const struct container_root *root, int *upperdir, int *workdir)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(root->upperdir, '/');
    size_t length = slash ? (size_t)(slash - root->upperdir) : 0;
    if (root->id_map < 0) {
        *upperdir = open_folder(root->upperdir, -1);
        *workdir = *upperdir < 0 ? -1 : open_folder(root->workdir, -1);
        return *workdir < 0 ? -1 : 0;
    }
    if (length == 0 || length >= sizeof parent || strncmp(root->upperdir, root->workdir, length + 1) != 0 || strchr(root->workdir + length + 1, '/')) {
        errno = EXDEV;
        return report_failure(STAGE_LAYERS, root->workdir);
    }
    memcpy(parent, root->upperdir, length);
    parent[length] = 0;
    int folder = open_folder(parent, root->id_map);
    *upperdir = folder < 0 ? -1 : open_child(folder, root->upperdir);
    *workdir = *upperdir < 0 ? -1 : open_child(folder, root->workdir);
    return *workdir < 0 ? -1 : 0;
}

static int look_in_layers(struct tree *tree, const char *path, struct entry *entry);

static int prepare_layers(const struct container_root *root, struct layers *layers)
{
    bool is_user = root->has_user_xattrs;
    memset(layers, 0, sizeof *layers);
    layers->tree.look = look_in_layers;
    layers->has_upper = *root->upperdir;
    layers->count = root->lowers.count + (layers->has_upper ? 1 : 0);
    layers->roots = calloc(layers->count + 1, sizeof *layers->roots);
    layers->folders = calloc(layers->count + 1, sizeof *layers->folders);
    layers->is_open = calloc(layers->count + 1, sizeof *layers->is_open);
    layers->opaque = is_user ? "user.overlay.opaque" : "trusted.overlay.opaque";
    layers->other_opaque = root->kind == ROOT_FUSE ? "user.fuseoverlayfs.opaque" : NULL;
    layers->whiteout = is_user ? "user.overlay.whiteout" : "trusted.overlay.whiteout";
    layers->private = is_user ? "user.overlay." : "trusted.overlay.";
    layers->workdir = -1;
    return layers->roots && layers->folders && layers->is_open ? 0 : report_failure(STAGE_LAYERS, "layers");
}

static int open_each(const struct container_root *root, struct layers *layers, int (*open_one)(const struct lower *lower, int id_map))
{
    uint32_t at = 0;
    if (prepare_layers(root, layers) < 0 || (layers->has_upper && open_upper(root, &layers->roots[at++], &layers->workdir) < 0)) return -1;
    for (uint32_t i = 0; i < root->lowers.count; i++) {
        if ((layers->roots[at++] = open_one(&root->lowers.items[i], root->id_map)) < 0) return -1;
        if (root->lowers.items[i].kind != LOWER_DIRECTORY) layers->has_images = true;
    }
    return 0;
}

int open_layers(const struct container_root *root, struct layers *layers)
{
    return open_each(root, layers, attach_lower);
}

int open_layers_to_read(const struct container_root *root, struct layers *layers)
{
    return open_each(root, layers, open_lower);
}

bool is_whiteout(const struct layers *layers, int folder, const char *name, const struct stat *stat)
{
    if (is_whiteout_mark(stat)) return true;
    if (!S_ISREG(stat->st_mode) || stat->st_size) return false;
    int file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return false;
    bool found = fgetxattr(file, layers->whiteout, NULL, 0) >= 0;
    close(file);
    return found;
}

bool is_opaque(const struct layers *layers, int folder)
{
    char value;
    if (fgetxattr(folder, layers->opaque, &value, 1) == 1 && value == 'y') return true;
    return layers->other_opaque && fgetxattr(folder, layers->other_opaque, &value, 1) == 1 && value == 'y';
}

/*
 * Finds `name` in the topmost of the `count` folders that has it. Its index with *stat filled; `count` when there is
 * none or a whiteout hides it; -1 with errno.
 */
static int find_topmost(const struct layers *layers, int count, const char *name, struct stat *stat)
{
    for (int i = 0; i < count; i++) {
        if (fstatat(layers->folders[i], name, stat, AT_SYMLINK_NOFOLLOW) == 0) return is_whiteout(layers, layers->folders[i], name, stat) ? count : i;
        if (errno != ENOENT) return -1;
    }
    return count;
}

static void close_folders(struct layers *layers, int count)
{
    for (int i = 0; i < count; i++) {
        if (layers->is_open[i]) close(layers->folders[i]);
        layers->is_open[i] = false;
    }
}

/*
 * Replaces the `count` folders that make up a merged folder by those that make up its subfolder `name`, which starts
 * at `first`. How many there are, or -1 with errno; layers->folders holds only open ones either way.
 */
static int enter(struct layers *layers, int count, int first, const char *name)
{
    int found = 0;
    struct stat stat;
    for (int i = first; i < count; i++) {
        int folder = openat(layers->folders[i], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder < 0 && errno == ENOENT) continue;
        if (folder < 0) {
            /* A whiteout, file or link here ends the merging: what lies below is hidden. */
            if (fstatat(layers->folders[i], name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(stat.st_mode)) break;
            close_folders(layers, count);
            return -1;
        }
        if (layers->is_open[found]) close(layers->folders[found]);
        layers->folders[found] = folder;
        layers->is_open[found++] = true;
        if (is_opaque(layers, folder)) break;
    }
    for (int i = found; i < count; i++) {
        if (layers->is_open[i]) close(layers->folders[i]);
        layers->is_open[i] = false;
    }
    return found;
}

static int start_walk(struct layers *layers)
{
    memcpy(layers->folders, layers->roots, layers->count * sizeof *layers->roots);
    return (int)layers->count;
}

static int fill_entry(const struct layers *layers, int folder, const char *name, const struct stat *stat, struct entry *entry)
{
    entry->kind = S_ISDIR(stat->st_mode) ? ENTRY_FOLDER : S_ISLNK(stat->st_mode) ? ENTRY_LINK : ENTRY_OTHER;
    if (entry->kind != ENTRY_LINK) return 0;
    ssize_t length = readlinkat(layers->folders[folder], name, entry->link, sizeof entry->link - 1);
    if (length < 0) return -1;
    entry->link[length] = 0;
    return 0;
}

static bool is_covered(const struct layers *layers, const char *path)
{
    for (uint32_t i = 0; layers->covered && i < layers->covered->count; i++) {
        if (strcmp(layers->covered->items[i], path) == 0) return true;
    }
    return false;
}

static int look_in_layers(struct tree *tree, const char *path, struct entry *entry)
{
    struct layers *layers = (struct layers *)tree;
    char name[NAME_MAX + 1];
    int count = start_walk(layers), length, result = 0;
    entry->kind = ENTRY_FOLDER;
    if (is_covered(layers, path)) {
        entry->kind = ENTRY_COVERED;
        return 0;
    }
    while ((length = next_component(&path, name)) > 0) {
        struct stat stat;
        int found = entry->kind == ENTRY_FOLDER ? find_topmost(layers, count, name, &stat) : count;
        if (found < 0) result = -1;
        if (found == count) entry->kind = ENTRY_MISSING;
        if (found < 0 || found == count) break;
        if ((result = fill_entry(layers, found, name, &stat, entry)) < 0) break;
        if (!*path || entry->kind != ENTRY_FOLDER) continue;
        if ((count = enter(layers, count, found, name)) < 0) return -1;
    }
    close_folders(layers, count);
    return length < 0 ? -1 : result;
}

int open_layer_folder(struct layers *layers, const char *path)
{
    char name[NAME_MAX + 1];
    int count = start_walk(layers), length;
    while ((length = next_component(&path, name)) > 0) {
        if ((count = enter(layers, count, 0, name)) < 0) return -1;
        if (count == 0) errno = ENOENT;
        if (count == 0) return -1;
    }
    int folder = count && length == 0 ? openat(layers->folders[0], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    close_folders(layers, count);
    return folder;
}
