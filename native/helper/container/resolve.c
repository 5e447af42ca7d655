#include "resolve.h"

#include <errno.h>
#include <string.h>

#define MAX_LINKS 40

int next_component(const char **path, char *name)
{
    const char *start = *path + strspn(*path, "/");
    size_t length = strcspn(start, "/");
    if (length > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, start, length);
    name[length] = 0;
    *path = start + length;
    return (int)length;
}

static void drop_last(char *resolved)
{
    char *slash = strrchr(resolved, '/');
    *(slash ? slash : resolved) = 0;
}

static int append(char *resolved, const char *name)
{
    size_t length = strlen(resolved), more = strlen(name);
    if (length + more + 2 > PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (length) resolved[length++] = '/';
    memcpy(resolved + length, name, more + 1);
    return 0;
}

/* Puts the link's target in front of what is left of the path. */
static int follow(const char *link, const char *rest, char *todo)
{
    char joined[PATH_MAX];
    size_t length = strlen(link);
    if (length + strlen(rest) + 2 > sizeof joined) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(joined, link, length);
    joined[length] = '/';
    strcpy(joined + length + 1, rest);
    strcpy(todo, joined);
    return 0;
}

int resolve_in_tree(struct tree *tree, const char *path, char *resolved, enum entry_kind *kind)
{
    char todo[PATH_MAX], name[NAME_MAX + 1];
    static struct entry entry; /* 4 KiB that need not be cleared for each component */
    int links = 0, length;
    if (follow(path, "", todo) < 0) return -1;
    *resolved = 0;
    *kind = ENTRY_FOLDER;
    for (const char *rest = todo; (length = next_component(&rest, name)) != 0;) {
        if (length < 0) return -1;
        if (strcmp(name, ".") == 0) continue;
        if (*kind == ENTRY_OTHER) {
            errno = ENOTDIR;
            return -1;
        }
        if (strcmp(name, "..") == 0) {
            drop_last(resolved);
            if (*kind == ENTRY_FOLDER) continue;
            if (tree->look(tree, resolved, &entry) < 0) return -1;
            *kind = entry.kind;
            continue;
        }
        if (append(resolved, name) < 0) return -1;
        if (*kind != ENTRY_FOLDER) continue;
        if (tree->look(tree, resolved, &entry) < 0) return -1;
        *kind = entry.kind;
        if (*kind != ENTRY_LINK) continue;
        if (++links > MAX_LINKS) {
            errno = ELOOP;
            return -1;
        }
        drop_last(resolved);
        if (*entry.link == '/') *resolved = 0;
        if (follow(entry.link, rest, todo) < 0) return -1;
        rest = todo;
        *kind = ENTRY_FOLDER;
    }
    return 0;
}
