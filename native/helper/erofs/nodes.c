#include "erofs/nodes.h"

#include "erofs/hash.h"
#include "tree/base/rule.h"

#include <string.h>

#define MAX_NODES ((size_t)1 << 25)

void nodes_open(struct nodes *nodes)
{
    *nodes = (struct nodes){.seed = hash_seed()};
    buffer_set(&nodes->texts, "", 0);
    nodes_make(nodes, S_IFDIR | 0755);
}

uint32_t nodes_make(struct nodes *nodes, uint32_t mode)
{
    if (nodes->count == MAX_NODES) return refuse(RULE_ENTRY_COUNT, NULL, 0), NO_NODE;
    if (nodes->count == nodes->capacity) {
        nodes->capacity = nodes->capacity ? nodes->capacity * 2 : 1024;
        nodes->nodes = checked_realloc(nodes->nodes, nodes->capacity, sizeof *nodes->nodes);
    }
    nodes->nodes[nodes->count] = (struct node){.mode = mode, .first_name = NO_NAME, .name = NO_NAME};
    return (uint32_t)nodes->count++;
}

static bool is_name(const struct nodes *nodes, const struct name *name, uint32_t directory, const char *bytes, size_t length)
{
    return name->directory == directory && name->length == length && memcmp(nodes->texts.data + name->text, bytes, length) == 0;
}

static uint32_t *find_slot(const struct nodes *nodes, uint32_t directory, const char *bytes, size_t length)
{
    size_t mask = nodes->slot_count - 1, at = hash_bytes(nodes->seed + directory, bytes, length) & mask;
    while (nodes->slots[at] != NO_NAME && !is_name(nodes, &nodes->names[nodes->slots[at]], directory, bytes, length)) at = (at + 1) & mask;
    return &nodes->slots[at];
}

uint32_t nodes_find(const struct nodes *nodes, uint32_t directory, const char *name, size_t length)
{
    if (!nodes->slot_count) return NO_NODE;
    uint32_t found = *find_slot(nodes, directory, name, length);
    return found == NO_NAME ? NO_NODE : nodes->names[found].node;
}

static void make_room_for_name(struct nodes *nodes)
{
    if (nodes->name_count < nodes->name_capacity) return;
    nodes->name_capacity = nodes->name_capacity ? nodes->name_capacity * 2 : 1024;
    nodes->names = checked_realloc(nodes->names, nodes->name_capacity, sizeof *nodes->names);
    nodes->slot_count = nodes->name_capacity * 2;
    nodes->slots = checked_realloc(nodes->slots, nodes->slot_count, sizeof *nodes->slots);
    memset(nodes->slots, 0xff, nodes->slot_count * sizeof *nodes->slots);
    for (size_t i = 0; i < nodes->name_count; i++) {
        const struct name *name = &nodes->names[i];
        *find_slot(nodes, name->directory, nodes->texts.data + name->text, name->length) = (uint32_t)i;
    }
}

int nodes_put(struct nodes *nodes, uint32_t directory, const char *name, size_t length, uint32_t node)
{
    make_room_for_name(nodes);
    uint32_t *slot = find_slot(nodes, directory, name, length);
    if (*slot == NO_NAME) {
        if (nodes->name_count == MAX_NODES) return refuse(RULE_ENTRY_COUNT, name, length);
        *slot = (uint32_t)nodes->name_count;
        nodes->names[nodes->name_count++] = (struct name){
            .directory = directory, .next = nodes->nodes[directory].first_name, .length = (uint32_t)length, .text = nodes_keep(nodes, name, length),
        };
        nodes->nodes[directory].first_name = *slot;
    }
    nodes->names[*slot].node = node;
    if (node != NO_NODE && S_ISDIR(nodes->nodes[node].mode)) nodes->nodes[node].name = *slot;
    return 0;
}

bool nodes_is_alive(const struct nodes *nodes, uint32_t directory)
{
    for (; directory != ROOT_NODE; directory = nodes_parent(nodes, directory)) {
        if (nodes->names[nodes->nodes[directory].name].node != directory) return false;
    }
    return true;
}

uint32_t nodes_parent(const struct nodes *nodes, uint32_t directory)
{
    return directory == ROOT_NODE ? ROOT_NODE : nodes->names[nodes->nodes[directory].name].directory;
}

void nodes_path(const struct nodes *nodes, uint32_t directory, struct buffer *path)
{
    size_t length = 0;
    for (uint32_t at = directory; at != ROOT_NODE; at = nodes_parent(nodes, at)) length += nodes->names[nodes->nodes[at].name].length + 1;
    buffer_set(path, "", 0);
    buffer_reserve(path, length);
    path->length = length ? length - 1 : 0;
    path->data[path->length] = 0;
    for (uint32_t at = directory; at != ROOT_NODE; at = nodes_parent(nodes, at)) {
        const struct name *name = &nodes->names[nodes->nodes[at].name];
        length -= name->length + 1;
        memcpy(path->data + length, nodes->texts.data + name->text, name->length);
        if (length > 0) path->data[length - 1] = '/';
    }
}

size_t nodes_keep(struct nodes *nodes, const char *bytes, size_t length)
{
    size_t place = nodes->texts.length;
    buffer_append(&nodes->texts, bytes, length);
    buffer_append(&nodes->texts, "", 1);
    return place;
}
