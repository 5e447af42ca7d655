/* Where a tree mode failed, for the message and for whoever reads a report: nothing is decided by these numbers. */
#ifndef TSBUILD_TREE_STAGE_H
#define TSBUILD_TREE_STAGE_H

enum tree_stage {
    STAGE_TREE_REQUEST = 1,
    STAGE_MEMORY = 2,
    STAGE_CONFINE = 3,
    STAGE_OPEN_TREE = 4,
    STAGE_READ_TREE = 5,
    STAGE_WRITE_TREE = 6,
    STAGE_READ_INPUT = 7,
    STAGE_WRITE_OUTPUT = 8,
    STAGE_READ_SOURCE = 9,
    STAGE_SYNC = 10,
    STAGE_REMOVE = 11,
};

#endif
