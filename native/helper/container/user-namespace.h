#ifndef TSBUILD_CONTAINER_USER_NAMESPACE_H
#define TSBUILD_CONTAINER_USER_NAMESPACE_H

#include "wire.h"

/*
 * The mode `enter`: becomes another program in a new user namespace, or that of a process, as its root. Once it is there it
 * reports ENTER_READY and waits for a byte on descriptor 5, by when the ids of a new one have been mapped from outside; the end
 * of the file instead means that they cannot be. Request: pid or 0, program, arguments, environment.
 */
int run_enter(struct wire *request);

enum enter_report { ENTER_READY = 1 };

enum enter_stage {
    ENTER_STAGE_REQUEST = 1,
    ENTER_STAGE_NAMESPACE,
    ENTER_STAGE_IDS,
    ENTER_STAGE_PARENT,
    ENTER_STAGE_PROGRAM,
};

#endif
