/* The records of one PAX extended header, as far as a layer needs them. @see POSIX.1-2017 pax, "pax Extended Header" */
#ifndef TSBUILD_TREE_TAR_PAX_H
#define TSBUILD_TREE_TAR_PAX_H

#include "tree/files/xattrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pax {
    bool has_path, has_link, has_size, has_uid, has_gid, has_mtime;
    struct buffer path, link;
    int64_t size, uid, gid, mtime;
    uint32_t mtime_ns;
    struct xattrs xattrs;
};

void pax_clear(struct pax *pax);
/* Reads all records; later ones replace earlier ones, an empty value takes one back. 0, or -1 with a report. */
int pax_read(struct pax *pax, const char *records, size_t length);

#endif
