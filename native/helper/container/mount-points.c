#include "mount-points.h"

#include "report.h"
#include "stages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_ATTRIBUTES 65536 /* XATTR_LIST_MAX and XATTR_SIZE_MAX */

struct stubs {
    struct layers *layers;
    int place; /* the folder that holds the stub layer */
    bool may_lose_attributes; /* those of users, which no changeset is made of */
    int root; /* the stub layer's folder, -1 until something is missing */
};

/* What overlay keeps for itself stays behind, but what a container wrote under such a name (stored escaped) belongs to the image. */
static bool is_copied(const struct layers *layers, const char *attribute)
{
    size_t length = strlen(layers->private);
    return strncmp(attribute, layers->private, length) != 0 || strncmp(attribute + length, "overlay.", 8) == 0;
}

static int copy_attributes(const struct stubs *stubs, int from, int to)
{
    static char names[MAX_ATTRIBUTES], value[MAX_ATTRIBUTES];
    ssize_t length = flistxattr(from, names, sizeof names);
    if (length < 0) return errno == EOPNOTSUPP ? 0 : -1;
    for (const char *name = names; name < names + length; name += strlen(name) + 1) {
        if (!is_copied(stubs->layers, name)) continue;
        ssize_t size = fgetxattr(from, name, value, sizeof value);
        if (size < 0) return -1;
        if (fsetxattr(to, name, value, (size_t)size, 0) < 0 && !(stubs->may_lose_attributes && errno == EOPNOTSUPP)) return -1;
    }
    return 0;
}

static int copy_times(int from, int to)
{
    struct stat stat;
    if (fstat(from, &stat) < 0) return -1;
    struct timespec times[2] = {stat.st_atim, stat.st_mtim};
    return futimens(to, times);
}

static int copy_metadata(const struct stubs *stubs, int from, int to)
{
    struct stat stat;
    if (fstat(from, &stat) < 0 || fchown(to, stat.st_uid, stat.st_gid) < 0 || fchmod(to, stat.st_mode & 07777) < 0) return -1;
    if (copy_attributes(stubs, from, to) < 0) return -1;
    return copy_times(from, to);
}

static int open_stub(struct stubs *stubs)
{
    if (stubs->root >= 0) return 0;
    char name[32];
    int number = 0;
    /* An earlier container of the same snapshot can have left one there. */
    do snprintf(name, sizeof name, "stub-%d", number++);
    while (mkdirat(stubs->place, name, 0755) < 0 && errno == EEXIST);
    stubs->root = openat(stubs->place, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (stubs->root < 0 || stubs->layers->count == 0) return stubs->root < 0 ? -1 : 0;
    int image = open_layer_folder(stubs->layers, "");
    if (image < 0) return -1;
    int result = copy_metadata(stubs, image, stubs->root);
    close(image);
    return result;
}

/* Opens the folder `path` (last component `name`) below `parent`, making it like the image's when the stub layer lacks it. */
static int enter_stub(struct stubs *stubs, int parent, const char *name, const char *path)
{
    bool is_new = mkdirat(parent, name, 0755) == 0;
    if (!is_new && errno != EEXIST) return -1;
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0 || !is_new) return folder;
    struct entry entry;
    if (stubs->layers->tree.look(&stubs->layers->tree, path, &entry) < 0) return -1;
    if (entry.kind != ENTRY_FOLDER) return folder;
    int image = open_layer_folder(stubs->layers, path);
    if (image < 0 || copy_metadata(stubs, image, folder) < 0) return -1;
    close(image);
    return folder;
}

/* Making an entry changed the times of its folder: gives back those of the image's. */
static int restore_times(struct stubs *stubs, const char *path, int folder)
{
    struct entry entry;
    if (stubs->layers->count == 0 || stubs->layers->tree.look(&stubs->layers->tree, path, &entry) < 0 || entry.kind != ENTRY_FOLDER) return 0;
    int image = open_layer_folder(stubs->layers, path);
    if (image < 0) return -1;
    int result = copy_times(image, folder);
    close(image);
    return result;
}

/* `resolved` becomes a folder or an empty file of the stub layer. */
static int add_stub(struct stubs *stubs, const char *resolved, bool is_folder)
{
    char name[NAME_MAX + 1], path[PATH_MAX];
    const char *rest = resolved;
    if (open_stub(stubs) < 0) return -1;
    int parent = dup(stubs->root);
    for (int length; parent >= 0 && (length = next_component(&rest, name)) > 0;) {
        size_t above = (size_t)(rest - resolved) - (size_t)length, below = (size_t)(rest - resolved);
        memcpy(path, resolved, below);
        path[below] = 0;
        int child = -1, made = 0;
        if (*rest) child = enter_stub(stubs, parent, name, path);
        else if (is_folder) made = mkdirat(parent, name, 0755);
        else made = mknodat(parent, name, S_IFREG | 0644, 0);
        path[above ? above - 1 : 0] = 0;
        bool has_failed = (*rest ? child < 0 : made < 0 && errno != EEXIST) || restore_times(stubs, path, parent) < 0;
        close(parent);
        if (has_failed) return -1;
        if (!*rest) return 0;
        parent = child;
    }
    return -1;
}

/*
 * A pinned target is looked at without following anything: what is no folder is replaced by one. It cannot be where the
 * upperdir has something else, because that lies above the stub layer.
 */
static int pin(struct stubs *stubs, const char *target, char *resolved)
{
    struct layers *layers = stubs->layers;
    const char *whole = target + strspn(target, "/");
    for (size_t length = strcspn(whole, "/"); length <= strlen(whole); length += 1 + strcspn(whole + length + 1, "/")) {
        struct entry entry;
        snprintf(resolved, PATH_MAX, "%.*s", (int)length, whole);
        if (layers->tree.look(&layers->tree, resolved, &entry) < 0) return -1;
        if (entry.kind == ENTRY_FOLDER && whole[length]) continue;
        strcpy(resolved, whole);
        return entry.kind == ENTRY_COVERED || entry.kind == ENTRY_FOLDER ? 0 : add_stub(stubs, whole, true);
    }
    return 0;
}

static int find_mount_point(struct stubs *stubs, const struct container_mount *mount, char *resolved)
{
    enum entry_kind kind;
    if (mount->is_pinned) return pin(stubs, mount->target, resolved);
    if (resolve_in_tree(&stubs->layers->tree, mount->target, resolved, &kind) < 0) return -1;
    return kind == ENTRY_MISSING ? add_stub(stubs, resolved, mount->is_folder) : 0;
}

/* Beside the workdir, which goes with the snapshot: it keeps every attribute that the image's layers do. */
static int open_beside_workdir(const struct container_root *root)
{
    char path[PATH_MAX];
    const char *slash = strrchr(root->workdir, '/');
    snprintf(path, sizeof path, "%.*s", (int)(slash - root->workdir), root->workdir);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int make_mount_points(const struct container *container, struct layers *layers, int scratch, int *stub)
{
    bool is_on_disk = !container->has_tmpfs_attributes && layers->has_upper;
    struct stubs stubs = {.layers = layers, .place = is_on_disk ? open_beside_workdir(&container->root) : scratch, .root = -1, .may_lose_attributes = !layers->has_upper};
    if (stubs.place < 0) return report_failure(STAGE_MOUNT_POINTS, container->root.workdir);
    struct texts covered = {.items = calloc(container->mount_count + 1, sizeof *covered.items)};
    if (!covered.items) return report_failure(STAGE_MOUNT_POINTS, "mounts");
    layers->covered = &covered;
    for (uint32_t i = 0; i < container->mount_count; i++) {
        char resolved[PATH_MAX];
        if (find_mount_point(&stubs, &container->mounts[i], resolved) < 0) return report_failure(STAGE_MOUNT_POINTS, container->mounts[i].target);
        covered.items[covered.count] = strdup(resolved);
        if (!covered.items[covered.count++]) return report_failure(STAGE_MOUNT_POINTS, "mounts");
    }
    layers->covered = NULL;
    *stub = stubs.root;
    return 0;
}
