/* Files that a process is to see and no layer, where they cannot be mounted: written into its tree, and taken out again. */
#ifndef TSBUILD_CONTAINER_PLACED_FILES_H
#define TSBUILD_CONTAINER_PLACED_FILES_H

#include "flat/extract.h"
#include "request.h"

struct placed_files {
    int tree;
    int saved; /* where what the files hide is kept */
    uint32_t count;
    struct placed_file *items;
};

/* Writes the container's file mounts into the folder `tree`. 0, or -1 with the failure reported. */
int place_files(struct placed_files *files, const struct container *container, const int tree_and_saved[2]);

/* Puts everything back as it was; what a process did to their folders after `since` stays. `own` gets what was touched. */
int take_files(struct placed_files *files, const struct timespec *since, struct own_changes *own);

#endif
