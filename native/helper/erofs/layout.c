#include "erofs/layout.h"

#include "tree/base/rule.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_INODE (EROFS_SUPER_OFFSET + EROFS_BLOCK)
/* What ext4 allows: a layer has the same meaning however it is kept. */
#define MAX_LINKS 65000

static uint64_t align(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

const char *layout_name(const struct nodes *nodes, uint32_t name, size_t *length)
{
    if (name == NAME_SELF || name == NAME_PARENT) {
        *length = name == NAME_SELF ? 1 : 2;
        return "..";
    }
    *length = nodes->names[name].length;
    return nodes->texts.data + nodes->names[name].text;
}

static int compare_names(const void *one, const void *other, void *nodes)
{
    size_t a_length, b_length;
    const char *a = layout_name(nodes, *(const uint32_t *)one, &a_length), *b = layout_name(nodes, *(const uint32_t *)other, &b_length);
    int difference = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return difference ? difference : (a_length > b_length) - (a_length < b_length);
}

static void append_name(struct layout *layout, uint32_t name)
{
    if (layout->name_count == layout->name_capacity) {
        layout->name_capacity = layout->name_capacity ? layout->name_capacity * 2 : 1024;
        layout->names = checked_realloc(layout->names, layout->name_capacity, sizeof *layout->names);
    }
    layout->names[layout->name_count++] = name;
}

struct directory_block layout_block(const struct layout *layout, const struct nodes *nodes, const struct node *node, uint32_t first)
{
    struct directory_block block = {.first = first};
    for (uint32_t at = first; at < node->child_count; at++, block.count++) {
        size_t length;
        layout_name(nodes, layout->names[node->place + at], &length);
        if (block.size + sizeof(struct erofs_dirent) + length > EROFS_BLOCK) break;
        block.size += (uint32_t)(sizeof(struct erofs_dirent) + length);
    }
    return block;
}

static uint64_t measure_directory(const struct layout *layout, const struct nodes *nodes, const struct node *node)
{
    uint64_t size = 0;
    for (struct directory_block block = layout_block(layout, nodes, node, 0); block.count > 0;) {
        size = align(size, EROFS_BLOCK) + block.size;
        block = layout_block(layout, nodes, node, block.first + block.count);
    }
    return size;
}

/* Collects a directory's names in order, and puts in line what they lead to for the first time. */
static int list_directory(struct layout *layout, struct nodes *nodes, uint32_t directory)
{
    struct node *node = &nodes->nodes[directory];
    node->place = layout->name_count;
    append_name(layout, NAME_SELF);
    append_name(layout, NAME_PARENT);
    for (uint32_t name = node->first_name; name != NO_NAME; name = nodes->names[name].next) {
        if (nodes->names[name].node != NO_NODE) append_name(layout, name);
    }
    node->child_count = (uint32_t)(layout->name_count - node->place);
    uint32_t *names = layout->names + node->place;
    qsort_r(names, node->child_count, sizeof *names, compare_names, nodes);
    for (uint32_t i = 0; i < node->child_count; i++) {
        if (names[i] == NAME_SELF || names[i] == NAME_PARENT) continue;
        uint32_t child = nodes->names[names[i]].node;
        bool is_directory = S_ISDIR(nodes->nodes[child].mode);
        if (nodes->nodes[child].links == 0) layout->order[layout->count++] = child;
        nodes->nodes[child].links += is_directory ? 2 : 1;
        node->links += is_directory;
        if (!is_directory && nodes->nodes[child].links > MAX_LINKS) {
            return refuse(RULE_LINK_COUNT, nodes->texts.data + nodes->names[names[i]].text, nodes->names[names[i]].length);
        }
    }
    node->size = measure_directory(layout, nodes, node);
    return 0;
}

uint64_t layout_head(const struct nodes *nodes, const struct node *node)
{
    return sizeof(struct erofs_inode) + attributes_measure(&nodes->attributes, &node->attributes).size;
}

enum erofs_layout layout_of(const struct nodes *nodes, const struct node *node)
{
    if (S_ISREG(node->mode)) return node->size ? EROFS_CHUNKS : EROFS_PLAIN;
    uint64_t tail = node->size % EROFS_BLOCK;
    bool is_whole = S_ISLNK(node->mode) && node->size > tail;
    return tail && !is_whole && layout_head(nodes, node) + tail <= EROFS_BLOCK ? EROFS_INLINE : EROFS_PLAIN;
}

/* Places an inode at or behind `at`: what follows it inline must not cross the end of a block. Where it ends. */
static uint64_t place_inode(const struct nodes *nodes, struct node *node, uint64_t at)
{
    uint64_t head = layout_head(nodes, node), tail = node->size % EROFS_BLOCK;
    node->offset = align(at, EROFS_SLOT);
    switch (layout_of(nodes, node)) {
    case EROFS_CHUNKS: return align(node->offset + head, sizeof(struct erofs_chunk)) + sizeof(struct erofs_chunk);
    case EROFS_INLINE:
        if ((node->offset + head) / EROFS_BLOCK != (node->offset + head + tail - 1) / EROFS_BLOCK) {
            node->offset = align(align(node->offset + head, EROFS_BLOCK) - head, EROFS_SLOT);
        }
        return node->offset + head + tail;
    case EROFS_PLAIN: break;
    }
    return node->offset + head;
}

/* How many bytes of an inode's data lie in blocks of the index. */
static uint64_t measure_blocks(const struct nodes *nodes, const struct node *node)
{
    switch (layout_of(nodes, node)) {
    case EROFS_CHUNKS: return node->is_copied ? align(node->size, EROFS_BLOCK) : 0;
    case EROFS_INLINE: return node->size / EROFS_BLOCK * EROFS_BLOCK;
    case EROFS_PLAIN: break;
    }
    return align(node->size, EROFS_BLOCK);
}

int layout_make(struct layout *layout, struct nodes *nodes)
{
    *layout = (struct layout){.order = checked_realloc(NULL, nodes->count, sizeof *layout->order)};
    layout->order[layout->count++] = ROOT_NODE;
    nodes->nodes[ROOT_NODE].links = 2;
    for (size_t i = 0; i < layout->count; i++) {
        struct node *node = &nodes->nodes[layout->order[i]];
        if (S_ISDIR(node->mode) && list_directory(layout, nodes, layout->order[i]) < 0) return -1;
        if (node->is_opaque) attributes_add_opaque(&nodes->attributes, &node->attributes);
        attributes_count(&nodes->attributes, &node->attributes);
    }
    uint64_t shared = attributes_share(&nodes->attributes), at = FIRST_INODE;
    for (size_t i = 0; i < layout->count; i++) at = place_inode(nodes, &nodes->nodes[layout->order[i]], at);
    layout->xattrs = align(at, EROFS_BLOCK);
    layout->data = layout->end = align(layout->xattrs + shared, EROFS_BLOCK);
    for (size_t i = 0; i < layout->count; i++) {
        struct node *node = &nodes->nodes[layout->order[i]];
        node->data = layout->end;
        layout->end += measure_blocks(nodes, node);
    }
    return 0;
}
