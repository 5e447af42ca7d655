#include "mounted-tree.h"

#include "kernel.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int look_in_root(struct tree *tree, const char *path, struct entry *entry)
{
    struct stat stat;
    int fd = kernel_open_in_root(((struct mounted_tree *)tree)->root, path, O_PATH | O_NOFOLLOW, 0);
    entry->kind = ENTRY_MISSING;
    if (fd < 0) return errno == ENOENT ? 0 : -1;
    int result = fstat(fd, &stat);
    entry->kind = S_ISDIR(stat.st_mode) ? ENTRY_FOLDER : S_ISLNK(stat.st_mode) ? ENTRY_LINK : ENTRY_OTHER;
    if (result == 0 && entry->kind == ENTRY_LINK) {
        ssize_t length = readlinkat(fd, "", entry->link, sizeof entry->link - 1);
        entry->link[length < 0 ? 0 : length] = 0;
        result = length < 0 ? -1 : 0;
    }
    close(fd);
    return result;
}

struct mounted_tree open_mounted_tree(int root)
{
    struct stat stat;
    struct mounted_tree tree = {.tree.look = look_in_root, .root = root};
    if (fstat(root, &stat) == 0) tree.device = stat.st_dev;
    return tree;
}

static int make_entry(const struct mounted_tree *tree, int parent, const char *name, bool is_folder)
{
    struct stat stat;
    if (fstat(parent, &stat) < 0) return -1;
    if (!tree->may_write_root && stat.st_dev == tree->device) {
        errno = ENOENT;
        return -1;
    }
    if ((is_folder ? mkdirat(parent, name, 0755) : mknodat(parent, name, S_IFREG | 0644, 0)) < 0) return -1;
    if (tree->keeps_times && utimensat(parent, ".", (const struct timespec[2]){stat.st_atim, stat.st_mtim}, 0) < 0) return -1;
    return fchownat(parent, name, tree->uid, tree->gid, AT_SYMLINK_NOFOLLOW);
}

int make_in_tree(struct mounted_tree *tree, const char *path, bool is_folder)
{
    char resolved[PATH_MAX], name[NAME_MAX + 1];
    enum entry_kind kind;
    if (resolve_in_tree(&tree->tree, path, resolved, &kind) < 0) return -1;
    const char *rest = resolved;
    int at = openat(tree->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int length; at >= 0 && (length = next_component(&rest, name)) > 0;) {
        int next = kernel_open_in_root(at, name, O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
        if (next < 0 && errno == ENOENT && make_entry(tree, at, name, *rest || is_folder) == 0) next = kernel_open_in_root(at, name, O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
        close(at);
        at = next;
    }
    return at;
}
