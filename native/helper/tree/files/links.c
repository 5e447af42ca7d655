#include "tree/files/links.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct link_slot *find_slot(const struct links *links, ino_t inode)
{
    size_t index = (size_t)((uint64_t)inode * 0x9e3779b97f4a7c15u >> 20) & (links->size - 1);
    while (links->slots[index].inode && links->slots[index].inode != inode) index = (index + 1) & (links->size - 1);
    return &links->slots[index];
}

static void grow(struct links *links)
{
    struct links larger = {.size = links->size ? links->size * 2 : 256};
    larger.slots = checked_realloc(NULL, larger.size, sizeof *larger.slots);
    memset(larger.slots, 0, larger.size * sizeof *larger.slots);
    for (size_t i = 0; i < links->size; i++) {
        if (links->slots[i].inode) *find_slot(&larger, links->slots[i].inode) = links->slots[i];
    }
    free(links->slots);
    links->slots = larger.slots;
    links->size = larger.size;
}

const char *links_find_or_add(struct links *links, ino_t inode, const char *path, size_t length)
{
    if (links->used * 4 >= links->size * 3) grow(links);
    struct link_slot *slot = find_slot(links, inode);
    if (slot->inode) return links->paths.data + slot->path;
    *slot = (struct link_slot){.inode = inode, .path = links->paths.length};
    buffer_append(&links->paths, path, length);
    buffer_append(&links->paths, "", 1);
    links->used++;
    return NULL;
}

void links_free(struct links *links)
{
    free(links->slots);
    buffer_free(&links->paths);
    *links = (struct links){0};
}
