#include "tree/files/xattrs.h"

#include "report.h"
#include "tree/base/stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define INFIX "overlay."
#define LIST_SIZE ((size_t)64 << 10)  /* XATTR_LIST_MAX */
#define VALUE_SIZE ((size_t)64 << 10) /* XATTR_SIZE_MAX */
#define NAME_SIZE 256
#define MAX_COUNT 256

static const char *const prefixes[] = {[OVERLAY_TRUSTED] = "trusted." INFIX, [OVERLAY_USER] = "user." INFIX};

void xattrs_clear(struct xattrs *list)
{
    buffer_truncate(&list->bytes, 0);
    list->count = 0;
}

const char *xattr_name(const struct xattrs *list, size_t index)
{
    return list->bytes.data + list->items[index].name;
}

const char *xattr_value(const struct xattrs *list, size_t index)
{
    return list->bytes.data + list->items[index].value;
}

void xattrs_add(struct xattrs *list, const char *name, const void *value, size_t length)
{
    size_t index = 0;
    while (index < list->count && strcmp(xattr_name(list, index), name) != 0) index++;
    if (index == list->count && list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 8;
        list->items = checked_realloc(list->items, list->capacity, sizeof *list->items);
    }
    struct xattr_item *item = &list->items[index];
    item->name = list->bytes.length;
    buffer_append(&list->bytes, name, strlen(name) + 1);
    item->value = list->bytes.length;
    item->value_length = length;
    buffer_append(&list->bytes, value, length);
    if (index == list->count) list->count++;
}

static int compare_names(const void *one, const void *other, void *bytes)
{
    const struct xattr_item *a = one, *b = other;
    return strcmp((char *)bytes + a->name, (char *)bytes + b->name);
}

void xattrs_sort(struct xattrs *list)
{
    if (list->count > 1) qsort_r(list->items, list->count, sizeof *list->items, compare_names, list->bytes.data);
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool xattr_is_portable(const char *name)
{
    return starts_with(name, "user.") || starts_with(name, "trusted.") || strcmp(name, "security.capability") == 0 ||
           strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}

bool xattrs_fit(const struct xattrs *list, const char *name, size_t length)
{
    return list->count < MAX_COUNT && length <= VALUE_SIZE && strlen(name) + strlen(INFIX) < NAME_SIZE;
}

static ssize_t list_names(int fd, const char *name, char *names)
{
    return fd >= 0 ? flistxattr(fd, names, LIST_SIZE) : llistxattr(name, names, LIST_SIZE);
}

static ssize_t get_value(int fd, const char *name, const char *xattr, char *value)
{
    return fd >= 0 ? fgetxattr(fd, xattr, value, VALUE_SIZE) : lgetxattr(name, xattr, value, VALUE_SIZE);
}

static void note_mark(struct overlay_marks *marks, const char *mark, const char *value, size_t length)
{
    if (!marks) return;
    if (strcmp(mark, "opaque") == 0 && length == 1 && *value == 'y') marks->opaque = true;
    if (strcmp(mark, "redirect") == 0 || strcmp(mark, "metacopy") == 0) marks->refers = true;
}

int xattrs_read(struct xattrs *list, int fd, const char *name, enum overlay_namespace space, struct overlay_marks *marks)
{
    static char names[LIST_SIZE], value[VALUE_SIZE];
    xattrs_clear(list);
    if (marks) *marks = (struct overlay_marks){0};
    ssize_t total = list_names(fd, name, names);
    if (total < 0) return errno == ENOTSUP ? 0 : report_failure(STAGE_READ_TREE, name);
    size_t prefix = strlen(prefixes[space]);
    for (const char *at = names; at < names + total; at += strlen(at) + 1) {
        bool is_overlay = starts_with(at, prefixes[space]);
        if (!is_overlay && !xattr_is_portable(at)) continue;
        ssize_t length = get_value(fd, name, at, value);
        if (length < 0) return report_failure(STAGE_READ_TREE, name);
        if (!is_overlay) {
            xattrs_add(list, at, value, (size_t)length);
        } else if (starts_with(at + prefix, INFIX)) {
            char unescaped[NAME_SIZE];
            size_t stem = prefix - strlen(INFIX);
            memcpy(unescaped, at, stem);
            strcpy(unescaped + stem, at + prefix);
            xattrs_add(list, unescaped, value, (size_t)length);
        } else {
            note_mark(marks, at + prefix, value, (size_t)length);
        }
    }
    xattrs_sort(list);
    return 0;
}

int xattrs_write(const struct xattrs *list, int fd, const char *name, enum overlay_namespace space)
{
    size_t prefix = strlen(prefixes[space]);
    for (size_t i = 0; i < list->count; i++) {
        const char *xattr = xattr_name(list, i);
        char escaped[NAME_SIZE + sizeof INFIX];
        if (starts_with(xattr, prefixes[space])) {
            memcpy(escaped, xattr, prefix);
            strcpy(escaped + prefix, INFIX);
            strncat(escaped, xattr + prefix, NAME_SIZE - prefix);
            xattr = escaped;
        }
        const char *value = xattr_value(list, i);
        size_t length = list->items[i].value_length;
        if ((fd >= 0 ? fsetxattr(fd, xattr, value, length, 0) : lsetxattr(name, xattr, value, length, 0)) < 0) return -1;
    }
    return 0;
}

static void overlay_name(char *name, enum overlay_namespace space, const char *mark)
{
    strcpy(name, prefixes[space]);
    strcat(name, mark);
}

int xattr_set_opaque(int fd, enum overlay_namespace space)
{
    char name[NAME_SIZE];
    overlay_name(name, space, "opaque");
    return fsetxattr(fd, name, "y", 1, 0);
}

bool xattr_is_opaque(int fd, enum overlay_namespace space)
{
    char name[NAME_SIZE], value[2];
    overlay_name(name, space, "opaque");
    return fgetxattr(fd, name, value, sizeof value) == 1 && value[0] == 'y';
}
