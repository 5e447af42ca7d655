/* What the files of the mode index share: the meaning is that of native/helper/tree/unpack/, in memory. */
#ifndef TSBUILD_EROFS_INDEX_H
#define TSBUILD_EROFS_INDEX_H

#include "erofs/layout.h"
#include "erofs/nodes.h"
#include "tree/base/output.h"
#include "tree/files/lowers.h"
#include "tree/tar/reader.h"

#include <stdbool.h>

struct index {
    struct nodes nodes;
    struct tar_reader reader;
    struct lowers lowers;
    bool has_lowers;      /* whether `lowers` is what lies below; otherwise that is not known yet */
    bool makes_whiteouts; /* not in a bottom layer, where there is nothing to hide */
    uint8_t uuid[16];
    uint64_t max_bytes, body_bytes;
    bool has_root, is_root_opaque;
    /* The directory that the last entry lay in, or was. Whatever an entry replaces is inside it. */
    struct buffer near;
    uint32_t near_directory; /* NO_NODE at first */
};

/* Each 0, or -1 with a report. */

/*
 * The directory that `path` lies in, as a process in the merged tree would find it, made where it is missing. 1,
 * without a report, when something that is no directory is in the way.
 */
int index_find_parent(struct index *index, const struct buffer *path, uint32_t *directory);
/* What the layers below have at a path of this layer, unless one of its directories hides them. 1, 0 for nothing, -1. */
int index_find_below(struct index *index, uint32_t directory, const char *path, struct stat *stat, int *folder);

/* Makes the current entry in its directory under `name`. */
int index_make_node(struct index *index, uint32_t directory, const char *name);
int index_make_whiteout(struct index *index, uint32_t directory, const char *name);
/* Takes over what the current entry says of a node. */
int index_set_metadata(struct index *index, uint32_t node);
/* What an inode of the layers below says, given where it lies. */
int index_copy_metadata(struct index *index, uint32_t node, int folder, const char *name);
/* Writes the index of a tar of that size. */
int index_write(struct index *index, struct layout *layout, uint64_t tar_size, struct output *output);

#endif
