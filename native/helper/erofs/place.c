#include "erofs/index.h"

#include "report.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"

#include <string.h>

/* As the kernel's new_encode_dev. */
static uint32_t encode_device(uint32_t major, uint32_t minor)
{
    return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

int index_set_metadata(struct index *index, uint32_t node)
{
    const struct entry *entry = &index->reader.entry;
    struct node *made = &index->nodes.nodes[node];
    made->mode = (made->mode & S_IFMT) | entry->mode;
    made->uid = entry->uid;
    made->gid = entry->gid;
    made->mtime = entry->mtime;
    made->mtime_ns = entry->mtime_ns;
    return attributes_add(&index->nodes.attributes, &entry->xattrs, &made->attributes);
}

static int put(struct index *index, uint32_t directory, const char *name, uint32_t node)
{
    return nodes_put(&index->nodes, directory, name, strlen(name), node);
}

static int refuse_entry(const struct index *index, enum rule rule)
{
    return refuse(rule, index->reader.entry.path.data, index->reader.entry.path.length);
}

static int make_file(struct index *index, uint32_t directory, const char *name)
{
    const struct entry *entry = &index->reader.entry;
    if (entry->size > index->max_bytes - index->body_bytes) return refuse_entry(index, RULE_SIZE);
    index->body_bytes += entry->size;
    uint32_t node = nodes_make(&index->nodes, S_IFREG);
    if (node == NO_NODE) return -1;
    index->nodes.nodes[node].size = entry->size;
    index->nodes.nodes[node].place = index->reader.input.taken;
    return index_set_metadata(index, node) < 0 ? -1 : put(index, directory, name, node);
}

/* A directory in the place of something else that this layer had there does not merge with one below. */
static int make_directory(struct index *index, uint32_t directory, const char *name)
{
    struct nodes *nodes = &index->nodes;
    uint32_t there = nodes_find(nodes, directory, name, strlen(name)), node = there;
    if (there == NO_NODE || !S_ISDIR(nodes->nodes[there].mode)) {
        node = nodes_make(nodes, S_IFDIR);
        if (node == NO_NODE || put(index, directory, name, node) < 0) return -1;
        nodes->nodes[node].is_opaque = there != NO_NODE;
    }
    buffer_set(&index->near, index->reader.entry.path.data, index->reader.entry.path.length);
    index->near_directory = node;
    return index_set_metadata(index, node);
}

static int make_special(struct index *index, uint32_t directory, const char *name)
{
    const struct entry *entry = &index->reader.entry;
    bool is_link = entry->type == ENTRY_SYMLINK;
    if (is_link && strlen(entry->link.data) != entry->link.length) return refuse_entry(index, RULE_LINK_TARGET);
    uint32_t node = nodes_make(&index->nodes, is_link ? S_IFLNK : entry->type == ENTRY_CHAR ? S_IFCHR : entry->type == ENTRY_BLOCK ? S_IFBLK : S_IFIFO);
    if (node == NO_NODE || index_set_metadata(index, node) < 0) return -1;
    struct node *made = &index->nodes.nodes[node];
    made->device = encode_device(entry->major, entry->minor);
    if (is_link) {
        made->mode = S_IFLNK | 0777;
        made->size = entry->link.length;
        made->place = nodes_keep(&index->nodes, entry->link.data, entry->link.length);
    }
    return put(index, directory, name, node);
}

static int refuse_link(const struct index *index, enum rule rule)
{
    return refuse(rule, index->reader.entry.link.data, index->reader.entry.link.length);
}

/* A name of a lower layer's file that gets a second name becomes a file of this layer, as it does through a mount. */
static int copy_up(struct index *index, uint32_t directory, const char *name, uint32_t *node)
{
    static struct buffer path;
    struct stat stat;
    int folder;
    nodes_path(&index->nodes, directory, &path);
    path_push(&path, name, strlen(name));
    int found = index_find_below(index, directory, path.data, &stat, &folder);
    if (found <= 0) return found < 0 ? -1 : refuse_link(index, RULE_LINK_MISSING);
    if (!S_ISREG(stat.st_mode)) return refuse_link(index, RULE_LINK_TYPE);
    *node = nodes_make(&index->nodes, S_IFREG);
    if (*node == NO_NODE || index_copy_metadata(index, *node, folder, name) < 0) return -1;
    index->nodes.nodes[*node].is_copied = true;
    index->nodes.nodes[*node].place = nodes_keep(&index->nodes, path.data, path.length);
    return put(index, directory, name, *node);
}

static int make_hard_link(struct index *index, uint32_t directory, const char *name)
{
    const struct nodes *nodes = &index->nodes;
    const struct buffer *link = &index->reader.entry.link;
    const char *slash = link->length ? memrchr(link->data, '/', link->length) : NULL, *target = slash ? slash + 1 : link->data;
    uint32_t other, node;
    if (link->length == 0) return refuse_link(index, RULE_LINK_MISSING);
    int found = index_find_parent(index, link, &other);
    if (found != 0) return found < 0 ? -1 : refuse_link(index, RULE_LINK_MISSING);
    node = nodes_find(nodes, other, target, strlen(target));
    if (node == NO_NODE && copy_up(index, other, target, &node) < 0) return -1;
    if (node_is_whiteout(&nodes->nodes[node])) return refuse_link(index, RULE_LINK_MISSING);
    if (S_ISDIR(nodes->nodes[node].mode)) return refuse_link(index, RULE_LINK_TYPE);
    if (put(index, directory, name, node) < 0) return -1;
    /* What stood under the name may have been a directory with the target in it. */
    return nodes_is_alive(nodes, other) ? 0 : refuse_link(index, RULE_LINK_MISSING);
}

int index_make_node(struct index *index, uint32_t directory, const char *name)
{
    switch (index->reader.entry.type) {
    case ENTRY_FILE: return make_file(index, directory, name);
    case ENTRY_DIRECTORY: return make_directory(index, directory, name);
    case ENTRY_HARD_LINK: return make_hard_link(index, directory, name);
    default: return make_special(index, directory, name);
    }
}

/* Whiteouts hide what lies below, never what this layer itself has: the order of entries does not matter. */
int index_make_whiteout(struct index *index, uint32_t directory, const char *name)
{
    struct nodes *nodes = &index->nodes;
    uint32_t there = nodes_find(nodes, directory, name, strlen(name));
    if (there != NO_NODE) {
        if (S_ISDIR(nodes->nodes[there].mode)) nodes->nodes[there].is_opaque = true;
        return 0;
    }
    if (!index->makes_whiteouts) return 0;
    uint32_t node = nodes_make(nodes, S_IFCHR);
    return node == NO_NODE ? -1 : put(index, directory, name, node);
}
