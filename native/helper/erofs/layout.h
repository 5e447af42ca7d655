/* Where everything of an index comes to lie: superblock and device, inodes, shared attributes, blocks of data. */
#ifndef TSBUILD_EROFS_LAYOUT_H
#define TSBUILD_EROFS_LAYOUT_H

#include "erofs/format.h"
#include "erofs/nodes.h"

#include <stddef.h>
#include <stdint.h>

/* Names that every directory has. */
#define NAME_SELF (UINT32_MAX - 1)
#define NAME_PARENT (UINT32_MAX - 2)

struct layout {
    uint32_t *order; /* inodes as they come: those of one directory together, by name */
    size_t count;
    uint32_t *names; /* of each directory, in the order that lookups want */
    size_t name_count, name_capacity;
    uint64_t xattrs, data, end; /* offsets */
};

/* A directory's bytes are its blocks without what the last one does not need. */
struct directory_block {
    uint32_t first, count; /* of the directory's names */
    uint32_t size;
};

/* Gives every inode that is still there its place. 0, or -1 with a report. */
int layout_make(struct layout *layout, struct nodes *nodes);
enum erofs_layout layout_of(const struct nodes *nodes, const struct node *node);
/* How much precedes an inode's data or table: itself and its attributes. */
uint64_t layout_head(const struct nodes *nodes, const struct node *node);
/* The block of names that begins with the directory's name number `first`; count 0 behind the last. */
struct directory_block layout_block(const struct layout *layout, const struct nodes *nodes, const struct node *node, uint32_t first);
/* A name of a directory's list. */
const char *layout_name(const struct nodes *nodes, uint32_t name, size_t *length);

#endif
