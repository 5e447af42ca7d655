/*
 * Where nothing can be mounted: layers merged by copying them into one plain tree, and what a process changed there
 * moved out again as an upper directory of overlayfs.
 */
#ifndef TSBUILD_FLAT_FLATTEN_H
#define TSBUILD_FLAT_FLATTEN_H

#include "container/layers.h"

#include <sys/stat.h>

/* A folder as the layers have it: its instances, top first, as far as they merge. Owned by the caller. */
struct merged_folder {
    int count;
    int *fds;
};

/*
 * Copies everything that the layers show, but for an upper directory, into the folder `tree`, each name of a file for
 * itself: so does overlayfs when one is written to. 0, or -1 with errno.
 */
int flatten(const struct layers *layers, int tree);

/* The instances of the layers' root. NULL fds with errno when they cannot be had. */
struct merged_folder open_merged_root(const struct layers *layers);
/* Those of a subfolder, or none. NULL fds with errno as above. */
struct merged_folder open_merged(const struct layers *layers, const struct merged_folder *folder, const char *name);
void close_merged(struct merged_folder *folder);
/* Whether the name is visible, and how. -1 with errno. */
int find_merged(const struct layers *layers, const struct merged_folder *folder, const char *name, struct stat *stat);
/* Calls back for each visible name. 0, or -1 from the callback or with errno. */
int each_merged(const struct layers *layers, const struct merged_folder *folder, int (*visit)(void *context, const char *name, const struct stat *stat), void *context);

/* Overlayfs keeps what a process sets under the names of its own attributes with one more "overlay." inside. */
enum direction { TO_TREE, TO_LAYER };

/* Owner, mode, attributes and times of one open folder or file for another. */
int copy_metadata(const struct layers *layers, int from, int to, enum direction direction);
/* The attributes of what was moved from a tree to a layer. 0, or -1 with errno. */
int escape_attributes(const struct layers *layers, int folder, const char *name);

#endif
