#include "erofs/index.h"

#include "report.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DIRENT_TYPES 7

static int pad_to(struct output *output, uint64_t offset)
{
    return output_zeros(output, offset - output->total);
}

/*
 * The superblock and the slot of the one device fill a block. There is no checksum: fsck.erofs 1.8 crashes on one with
 * blocks of this size, and the index can be made again from the tar at any time.
 */
static int write_super(const uint8_t *uuid, const struct layout *layout, uint64_t tar_size, struct output *output)
{
    struct {
        struct erofs_super super;
        struct erofs_device device;
        uint8_t rest[EROFS_BLOCK - sizeof(struct erofs_super) - sizeof(struct erofs_device)];
    } block = {
        .super = {
            .magic = htole32(EROFS_MAGIC),
            .feature_compat = htole32(EROFS_COMPAT_MTIME),
            .block_bits = EROFS_BLOCK_BITS,
            .root = htole16((EROFS_SUPER_OFFSET + EROFS_BLOCK) / EROFS_SLOT),
            .inodes = htole64(layout->count),
            .blocks = htole32((uint32_t)(layout->end / EROFS_BLOCK)),
            .xattr_block = htole32((uint32_t)(layout->xattrs / EROFS_BLOCK)),
            .feature_incompat = htole32(EROFS_INCOMPAT_CHUNKED_FILE | EROFS_INCOMPAT_DEVICE_TABLE),
            .extra_devices = htole16(1),
            .device_slot = htole16((EROFS_SUPER_OFFSET + sizeof(struct erofs_super)) / sizeof(struct erofs_device)),
        },
        .device = {.blocks = htole32((uint32_t)((tar_size + EROFS_BLOCK - 1) / EROFS_BLOCK))},
    };
    memcpy(block.super.uuid, uuid, sizeof block.super.uuid);
    _Static_assert(sizeof block == EROFS_BLOCK, "the superblock and its device fill a block");
    return output_zeros(output, EROFS_SUPER_OFFSET) < 0 ? -1 : output_put(output, &block, sizeof block);
}

static uint32_t chunk_bits(uint64_t size)
{
    uint32_t bits = EROFS_BLOCK_BITS;
    while (bits < EROFS_MAX_CHUNK_BITS && UINT64_C(1) << bits < size) bits++;
    return bits;
}

static uint32_t place_field(const struct node *node, enum erofs_layout form)
{
    if (S_ISCHR(node->mode) || S_ISBLK(node->mode)) return node->device;
    if (form == EROFS_CHUNKS) return (chunk_bits(node->size) - EROFS_BLOCK_BITS) | EROFS_CHUNK_INDEXES;
    return (uint32_t)(node->data / EROFS_BLOCK);
}

static int write_attribute(const struct attributes *attributes, const struct attribute *attribute, struct output *output)
{
    struct erofs_xattr head = {.name_length = attribute->name_length, .prefix = attribute->prefix, .value_length = htole16((uint16_t)attribute->value_length)};
    uint64_t size = attribute->name_length + attribute->value_length;
    if (output_put(output, &head, sizeof head) < 0 || output_put(output, attributes->texts.data + attribute->text, size) < 0) return -1;
    return output_zeros(output, attribute_size(attribute) - sizeof head - size);
}

/* The numbers of shared ones come first, so the list is gone through twice. */
static int write_attributes(const struct attributes *attributes, const struct attribute_list *list, struct output *output)
{
    struct erofs_xattrs head = {.shared_count = (uint8_t)attributes_measure(attributes, list).shared};
    if (list->count == 0) return 0;
    if (output_put(output, &head, sizeof head) < 0) return -1;
    for (int is_inside = 0; is_inside < 2; is_inside++) {
        uint32_t shared = 0;
        for (uint32_t i = 0; i < list->count; i++) {
            const struct attribute *attribute = attributes_get(attributes, list, i);
            bool is_outside = attribute_is_outside(attribute, shared);
            uint32_t number = htole32((uint32_t)(attribute->offset / sizeof number));
            shared += is_outside;
            if (is_outside && !is_inside && output_put(output, &number, sizeof number) < 0) return -1;
            if (!is_outside && is_inside && write_attribute(attributes, attribute, output) < 0) return -1;
        }
    }
    return 0;
}

static uint8_t dirent_type(mode_t mode)
{
    static const mode_t types[DIRENT_TYPES] = {S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK};
    uint8_t type = 0;
    while (type < DIRENT_TYPES && types[type] != (mode & S_IFMT)) type++;
    return (uint8_t)(type + 1);
}

static int write_block(const struct index *index, const struct layout *layout, uint32_t directory, const struct directory_block *block, struct output *output)
{
    const struct nodes *nodes = &index->nodes;
    const uint32_t *names = layout->names + nodes->nodes[directory].place + block->first;
    uint8_t bytes[EROFS_BLOCK];
    size_t text = block->count * sizeof(struct erofs_dirent);
    for (uint32_t i = 0; i < block->count; i++) {
        size_t length;
        const char *name = layout_name(nodes, names[i], &length);
        uint32_t node = names[i] == NAME_SELF ? directory : names[i] == NAME_PARENT ? nodes_parent(nodes, directory) : nodes->names[names[i]].node;
        struct erofs_dirent entry = {.inode = htole64(nodes->nodes[node].offset / EROFS_SLOT), .name = htole16((uint16_t)text), .type = dirent_type(nodes->nodes[node].mode)};
        memcpy(bytes + i * sizeof entry, &entry, sizeof entry);
        memcpy(bytes + text, name, length);
        text += length;
    }
    return output_put(output, bytes, block->size);
}

/* Either the blocks that lie in the data, or the last one where it follows the inode. */
static int write_directory(const struct index *index, const struct layout *layout, uint32_t directory, bool is_tail, struct output *output)
{
    const struct node *node = &index->nodes.nodes[directory];
    bool has_tail = layout_of(&index->nodes, node) == EROFS_INLINE;
    struct directory_block block = layout_block(layout, &index->nodes, node, 0);
    while (block.count > 0) {
        struct directory_block next = layout_block(layout, &index->nodes, node, block.first + block.count);
        bool is_wanted = is_tail == (has_tail && next.count == 0);
        if (is_wanted && write_block(index, layout, directory, &block, output) < 0) return -1;
        if (is_wanted && !is_tail && output_zeros(output, EROFS_BLOCK - block.size) < 0) return -1;
        block = next;
    }
    return 0;
}

static int write_inode(const struct index *index, const struct layout *layout, uint32_t number, struct output *output)
{
    const struct nodes *nodes = &index->nodes;
    const struct node *node = &nodes->nodes[layout->order[number]];
    enum erofs_layout form = layout_of(nodes, node);
    uint64_t attributes = attributes_measure(&nodes->attributes, &node->attributes).size;
    struct erofs_inode inode = {
        .format = htole16((uint16_t)(1 | form << 1)),
        .xattr_count = htole16(attributes ? (uint16_t)((attributes - sizeof(struct erofs_xattrs)) / 4 + 1) : 0),
        .mode = htole16((uint16_t)node->mode), .size = htole64(node->size), .place = htole32(place_field(node, form)), .number = htole32(number + 1),
        .uid = htole32(node->uid), .gid = htole32(node->gid), .mtime = htole64((uint64_t)node->mtime), .mtime_ns = htole32(node->mtime_ns),
        .links = htole32(node->links),
    };
    if (pad_to(output, node->offset) < 0 || output_put(output, &inode, sizeof inode) < 0) return -1;
    if (write_attributes(&nodes->attributes, &node->attributes, output) < 0) return -1;
    if (form == EROFS_CHUNKS) {
        uint64_t place = node->is_copied ? node->data : node->place;
        struct erofs_chunk chunk = {.device = htole16(node->is_copied ? 0 : 1), .block = htole32((uint32_t)(place / EROFS_BLOCK))};
        return output_zeros(output, -output->total % sizeof chunk) < 0 ? -1 : output_put(output, &chunk, sizeof chunk);
    }
    if (form != EROFS_INLINE) return 0;
    if (S_ISDIR(node->mode)) return write_directory(index, layout, layout->order[number], true, output);
    return output_put(output, nodes->texts.data + node->place, node->size);
}

static int write_copied(struct index *index, const struct node *node, struct output *output)
{
    const char *path = index->nodes.texts.data + node->place, *slash = strrchr(path, '/');
    struct stat stat;
    int folder, result = -1;
    if (lowers_find(&index->lowers, path, &stat, &folder) < 0) return -1;
    int fd = openat(folder, slash ? slash + 1 : path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return report_failure(STAGE_READ_TREE, path);
    result = output_file(output, fd, 0, node->size);
    if (result > 0) errno = EIO;
    if (result > 0) report_failure(STAGE_READ_TREE, path);
    close(fd);
    return result == 0 ? 0 : -1;
}

static int write_data(struct index *index, const struct layout *layout, uint32_t number, struct output *output)
{
    const struct node *node = &index->nodes.nodes[number];
    int result = 0;
    if (S_ISDIR(node->mode)) result = write_directory(index, layout, number, false, output);
    else if (S_ISREG(node->mode) && node->is_copied) result = write_copied(index, node, output);
    else if (S_ISLNK(node->mode) && layout_of(&index->nodes, node) == EROFS_PLAIN) result = output_put(output, index->nodes.texts.data + node->place, node->size);
    return result < 0 ? -1 : output_zeros(output, -output->total % EROFS_BLOCK);
}

int index_write(struct index *index, struct layout *layout, uint64_t tar_size, struct output *output)
{
    const struct attributes *attributes = &index->nodes.attributes;
    if (tar_size / EROFS_BLOCK >= UINT32_MAX || layout->end / EROFS_BLOCK >= UINT32_MAX) return refuse(RULE_SIZE, NULL, 0);
    if (write_super(index->uuid, layout, tar_size, output) < 0) return -1;
    for (uint32_t i = 0; i < layout->count; i++) {
        if (write_inode(index, layout, i, output) < 0) return -1;
    }
    if (pad_to(output, layout->xattrs) < 0) return -1;
    for (size_t i = 0; i < attributes->count; i++) {
        if (attributes->items[i].is_shared && write_attribute(attributes, &attributes->items[i], output) < 0) return -1;
    }
    if (pad_to(output, layout->data) < 0) return -1;
    for (size_t i = 0; i < layout->count; i++) {
        if (write_data(index, layout, layout->order[i], output) < 0) return -1;
    }
    return output_flush(output);
}
