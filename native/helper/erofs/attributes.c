#include "erofs/attributes.h"

#include "erofs/format.h"
#include "erofs/hash.h"
#include "tree/base/rule.h"

#include <string.h>

#define OVERLAY "overlay."
#define MAX_SHARED 255
/* Larger ones are shared even by nobody, so that those of one inode always fit behind it. */
#define MAX_INSIDE 256
#define FREE UINT32_MAX

static const struct prefix {
    const char *text;
    enum erofs_prefix number;
    bool is_whole;
} prefixes[] = {
    {"user.", EROFS_XATTR_USER, false},
    {"trusted.", EROFS_XATTR_TRUSTED, false},
    {"security.", EROFS_XATTR_SECURITY, false},
    {"system.posix_acl_access", EROFS_XATTR_ACL_ACCESS, true},
    {"system.posix_acl_default", EROFS_XATTR_ACL_DEFAULT, true},
};

static const struct prefix *find_prefix(const char *name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t length = strlen(prefixes[i].text);
        if (strncmp(name, prefixes[i].text, length) == 0 && prefixes[i].is_whole == (name[length] == 0)) return &prefixes[i];
    }
    return NULL;
}

static bool is_equal(const struct attributes *attributes, const struct attribute *one, const struct attribute *other)
{
    return one->prefix == other->prefix && one->name_length == other->name_length && one->value_length == other->value_length &&
           memcmp(attributes->texts.data + one->text, attributes->texts.data + other->text, one->name_length + one->value_length) == 0;
}

static uint64_t hash_of(const struct attributes *attributes, const struct attribute *attribute)
{
    uint64_t seed = attributes->seed + ((uint64_t)attribute->prefix << 8) + attribute->name_length;
    return hash_bytes(seed, attributes->texts.data + attribute->text, attribute->name_length + attribute->value_length);
}

/* The slot of an equal one, or a free one. */
static uint32_t *find_slot(const struct attributes *attributes, const struct attribute *wanted)
{
    size_t at = hash_of(attributes, wanted) & (attributes->slot_count - 1);
    while (attributes->slots[at] != FREE && !is_equal(attributes, &attributes->items[attributes->slots[at]], wanted)) at = (at + 1) & (attributes->slot_count - 1);
    return &attributes->slots[at];
}

static void make_room(struct attributes *attributes)
{
    if (attributes->count < attributes->capacity) return;
    if (!attributes->capacity) attributes->seed = hash_seed();
    attributes->capacity = attributes->capacity ? attributes->capacity * 2 : 64;
    attributes->items = checked_realloc(attributes->items, attributes->capacity, sizeof *attributes->items);
    attributes->slot_count = attributes->capacity * 2;
    attributes->slots = checked_realloc(attributes->slots, attributes->slot_count, sizeof *attributes->slots);
    memset(attributes->slots, 0xff, attributes->slot_count * sizeof *attributes->slots);
    for (size_t i = 0; i < attributes->count; i++) *find_slot(attributes, &attributes->items[i]) = (uint32_t)i;
}

static void append(struct attributes *attributes, uint32_t item)
{
    if (attributes->list_length == attributes->list_capacity) {
        attributes->list_capacity = attributes->list_capacity ? attributes->list_capacity * 2 : 256;
        attributes->lists = checked_realloc(attributes->lists, attributes->list_capacity, sizeof *attributes->lists);
    }
    attributes->lists[attributes->list_length++] = item;
}

/* The text, put last in `texts`, is taken back when there is an equal one. */
static void take(struct attributes *attributes, const struct attribute *attribute)
{
    make_room(attributes);
    uint32_t *slot = find_slot(attributes, attribute);
    if (*slot == FREE) {
        *slot = (uint32_t)attributes->count;
        attributes->items[attributes->count++] = *attribute;
    } else {
        buffer_truncate(&attributes->texts, attribute->text);
    }
    append(attributes, *slot);
}

int attributes_add(struct attributes *attributes, const struct xattrs *xattrs, struct attribute_list *list)
{
    *list = (struct attribute_list){.start = attributes->list_length, .count = (uint32_t)xattrs->count};
    for (size_t i = 0; i < xattrs->count; i++) {
        const char *name = xattr_name(xattrs, i);
        const struct prefix *prefix = find_prefix(name);
        const char *rest = prefix ? name + strlen(prefix->text) : "";
        size_t length = strlen(rest), value = xattrs->items[i].value_length;
        struct attribute attribute = {.text = attributes->texts.length, .value_length = (uint32_t)value, .prefix = prefix ? (uint8_t)prefix->number : 0};
        bool is_escaped = attribute.prefix == EROFS_XATTR_TRUSTED && strncmp(rest, OVERLAY, strlen(OVERLAY)) == 0;
        bool is_nameless = length == 0 && prefix && !prefix->is_whole;
        if (is_escaped) buffer_append(&attributes->texts, OVERLAY, strlen(OVERLAY));
        if (!prefix || is_nameless || length + (is_escaped ? strlen(OVERLAY) : 0) > UINT8_MAX || value > UINT16_MAX) return refuse(RULE_XATTR, name, strlen(name));
        buffer_append(&attributes->texts, rest, length);
        attribute.name_length = (uint8_t)(attributes->texts.length - attribute.text);
        buffer_append(&attributes->texts, xattr_value(xattrs, i), value);
        take(attributes, &attribute);
    }
    return 0;
}

void attributes_add_opaque(struct attributes *attributes, struct attribute_list *list)
{
    struct attribute attribute = {.text = attributes->texts.length, .value_length = 1, .name_length = sizeof OVERLAY "opaque" - 1, .prefix = EROFS_XATTR_TRUSTED};
    size_t start = attributes->list_length;
    for (uint32_t i = 0; i < list->count; i++) append(attributes, attributes->lists[list->start + i]);
    buffer_append(&attributes->texts, OVERLAY "opaquey", sizeof OVERLAY "opaquey" - 1);
    take(attributes, &attribute);
    *list = (struct attribute_list){.start = start, .count = list->count + 1};
}

void attributes_count(struct attributes *attributes, const struct attribute_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) attributes->items[attributes->lists[list->start + i]].users++;
}

uint64_t attribute_size(const struct attribute *attribute)
{
    return (sizeof(struct erofs_xattr) + attribute->name_length + attribute->value_length + 3) & ~UINT64_C(3);
}

uint64_t attributes_share(struct attributes *attributes)
{
    uint64_t total = 0;
    for (size_t i = 0; i < attributes->count; i++) {
        struct attribute *attribute = &attributes->items[i];
        attribute->is_shared = attribute->users > 1 || (attribute->users == 1 && attribute_size(attribute) > MAX_INSIDE);
        if (!attribute->is_shared) continue;
        attribute->offset = total;
        total += attribute_size(attribute);
    }
    return total;
}

bool attribute_is_outside(const struct attribute *attribute, uint32_t before)
{
    return attribute->is_shared && before < MAX_SHARED;
}

struct attribute_space attributes_measure(const struct attributes *attributes, const struct attribute_list *list)
{
    struct attribute_space space = {.size = list->count ? sizeof(struct erofs_xattrs) : 0};
    for (uint32_t i = 0; i < list->count; i++) {
        const struct attribute *attribute = attributes_get(attributes, list, i);
        bool is_outside = attribute_is_outside(attribute, space.shared);
        space.size += is_outside ? sizeof(uint32_t) : attribute_size(attribute);
        space.shared += is_outside;
    }
    return space;
}
