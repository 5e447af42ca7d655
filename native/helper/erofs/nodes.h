/*
 * The tree of one layer in memory, while its changeset is read: inodes, the names under which they stand, and their
 * attributes, each kind in one array that grows.
 */
#ifndef TSBUILD_EROFS_NODES_H
#define TSBUILD_EROFS_NODES_H

#include "erofs/attributes.h"
#include "tree/base/buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define ROOT_NODE 0u
#define NO_NODE UINT32_MAX
#define NO_NAME UINT32_MAX

struct node {
    uint32_t mode; /* with the type; a whiteout is the character device 0:0 */
    uint32_t uid, gid;
    uint32_t device; /* as the kernel encodes it on disk */
    int64_t mtime;
    uint32_t mtime_ns;
    struct attribute_list attributes;
    uint32_t first_name; /* a directory's names, the latest first */
    uint32_t name;       /* a directory's own name; NO_NAME for the root */
    uint64_t size;       /* of a file or a symlink's target */
    uint64_t place;      /* of a file's bytes in the tar; of a target, or a copied file's path below, in `texts` */
    bool is_opaque;
    bool is_copied; /* a file of the layers below, whose bytes go into the index itself */
    /* What the layout decides. */
    uint32_t links;
    uint32_t child_count; /* a directory's names in order, in the layout's list from `place` on */
    uint64_t offset; /* of the inode in the index; 0 before */
    uint64_t data;   /* of what does not follow the inode */
};

struct name {
    uint32_t directory;
    uint32_t node; /* NO_NODE when what stood there was removed */
    uint32_t next; /* in the same directory */
    uint32_t length;
    size_t text; /* in `texts` */
};

struct nodes {
    struct node *nodes;
    size_t count, capacity;
    struct name *names;
    size_t name_count, name_capacity;
    uint32_t *slots; /* names by directory and bytes, open addressing, NO_NAME when free */
    size_t slot_count;
    uint64_t seed;
    struct buffer texts;
    struct attributes attributes;
};

void nodes_open(struct nodes *nodes);
/* A node of nothing but a type; NO_NODE when there are too many, with a report. */
uint32_t nodes_make(struct nodes *nodes, uint32_t mode);
/* What stands under a name; NO_NODE for nothing. */
uint32_t nodes_find(const struct nodes *nodes, uint32_t directory, const char *name, size_t length);
/* Puts a node, or NO_NODE, under a name in place of what stands there. 0, or -1 with a report. */
int nodes_put(struct nodes *nodes, uint32_t directory, const char *name, size_t length, uint32_t node);
/* Whether a directory can still be reached from the root. */
bool nodes_is_alive(const struct nodes *nodes, uint32_t directory);
uint32_t nodes_parent(const struct nodes *nodes, uint32_t directory);
/* Writes the path of a directory, without links. */
void nodes_path(const struct nodes *nodes, uint32_t directory, struct buffer *path);
/* Keeps bytes, with a NUL behind; their place in `texts`. */
size_t nodes_keep(struct nodes *nodes, const char *bytes, size_t length);

static inline bool node_is_whiteout(const struct node *node)
{
    return S_ISCHR(node->mode) && node->device == 0;
}

#endif
