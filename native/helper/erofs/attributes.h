/* Extended attributes of a layer, each kept once however many inodes have it. */
#ifndef TSBUILD_EROFS_ATTRIBUTES_H
#define TSBUILD_EROFS_ATTRIBUTES_H

#include "tree/base/buffer.h"
#include "tree/files/xattrs.h"

#include <stdbool.h>
#include <stdint.h>

struct attribute {
    size_t text; /* the name without its prefix, then the value, in `texts` */
    uint32_t value_length;
    uint8_t name_length, prefix;
    bool is_shared;
    uint32_t users;
    uint64_t offset; /* among the shared ones */
};

struct attributes {
    struct attribute *items;
    size_t count, capacity;
    uint32_t *slots;
    size_t slot_count;
    uint64_t seed;
    struct buffer texts;
    uint32_t *lists; /* the attributes of all inodes, one list after the other */
    size_t list_length, list_capacity;
};

struct attribute_list {
    size_t start;
    uint32_t count;
};

/* What the attributes of one inode take behind it. */
struct attribute_space {
    uint32_t shared;
    uint64_t size; /* 0 without attributes */
};

/* Takes over the attributes of an entry, escaped as overlayfs wants those under its own prefix. 0, or -1 with a report. */
int attributes_add(struct attributes *attributes, const struct xattrs *xattrs, struct attribute_list *list);
/* Appends overlayfs's mark of a directory that hides what is below. */
void attributes_add_opaque(struct attributes *attributes, struct attribute_list *list);
/* Counts one inode that stays. */
void attributes_count(struct attributes *attributes, const struct attribute_list *list);
/* Decides what is shared, in the order of appearance: what several inodes have, and what is large. Its size all together. */
uint64_t attributes_share(struct attributes *attributes);
struct attribute_space attributes_measure(const struct attributes *attributes, const struct attribute_list *list);
static inline const struct attribute *attributes_get(const struct attributes *attributes, const struct attribute_list *list, uint32_t index)
{
    return &attributes->items[attributes->lists[list->start + index]];
}
/* Of one attribute, padding included. */
uint64_t attribute_size(const struct attribute *attribute);
/* Whether the attribute is found among the shared ones when `before` others of its inode are. */
bool attribute_is_outside(const struct attribute *attribute, uint32_t before);

#endif
