#ifndef TSBUILD_CONTAINER_CREATE_H
#define TSBUILD_CONTAINER_CREATE_H

#include "wire.h"

/*
 * The mode `create`: sets a container up, all but its program, and ends; the container outlives everybody here, unless it is to be
 * followed to its end. In the
 * folder that descriptor 5 is, it makes the fifo START_FIFO: whoever opens that for reading starts the program, and reads
 * there first REPORT_CREATED, then why it could not be executed, or nothing. There is no init: the
 * program is the container's first process.
 */
int create_container(struct wire *request);

#endif
