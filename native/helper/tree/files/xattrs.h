/*
 * Extended attributes as a changeset carries them, and overlayfs's own, which it does not carry. The attributes that
 * belong to overlayfs start with "trusted.overlay." ("user.overlay." in a user namespace); it stores what a process sets
 * under that name through a mount with one more "overlay." inside, and so do we.
 */
#ifndef TSBUILD_TREE_XATTRS_H
#define TSBUILD_TREE_XATTRS_H

#include "tree/base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

enum overlay_namespace {
    OVERLAY_TRUSTED = 0,
    OVERLAY_USER = 1,
};

struct xattrs {
    struct buffer bytes; /* for each: name, NUL, value */
    struct xattr_item {
        size_t name, value, value_length;
    } *items;
    size_t count, capacity;
};

/* What overlayfs itself says about an inode of an upperdir or lowerdir. */
struct overlay_marks {
    bool opaque;
    bool refers; /* redirect or metacopy: part of the inode lies in another layer */
};

void xattrs_clear(struct xattrs *list);
/* A later value of the same name replaces the earlier one. */
void xattrs_add(struct xattrs *list, const char *name, const void *value, size_t length);
void xattrs_sort(struct xattrs *list);
const char *xattr_name(const struct xattrs *list, size_t index);
const char *xattr_value(const struct xattrs *list, size_t index);

/*
 * Whether a layer carries an attribute of this name: user.*, trusted.*, file capabilities and POSIX ACLs. Labels of the
 * host's security modules and attributes of one filesystem mean nothing elsewhere.
 */
bool xattr_is_portable(const char *name);
/* Whether the kernel, and our own limit of 256 attributes, allow one more of this name and length, escaping included. */
bool xattrs_fit(const struct xattrs *list, const char *name, size_t length);

/*
 * Reads the portable attributes, unescaped and sorted, of the file open as `fd`, or, when `fd` is -1, of `name` in the
 * working directory without following it. `marks` may be NULL. 0, or -1 with a report.
 */
int xattrs_read(struct xattrs *list, int fd, const char *name, enum overlay_namespace space, struct overlay_marks *marks);
/* Sets them, escaped, in the same way. 0, or -1 with errno and no report. */
int xattrs_write(const struct xattrs *list, int fd, const char *name, enum overlay_namespace space);
/* Marks an open directory opaque. 0, or -1 with errno and no report. */
int xattr_set_opaque(int fd, enum overlay_namespace space);
/* Whether an open directory hides what lower layers have; not having the attribute is no failure. */
bool xattr_is_opaque(int fd, enum overlay_namespace space);

#endif
