/*
 * Where setting up a container can fail, and what the mode `run` reports besides failures. runtime/helper-protocol.ts
 * has the same numbers.
 */
#ifndef TSBUILD_CONTAINER_STAGES_H
#define TSBUILD_CONTAINER_STAGES_H

enum container_stage {
    STAGE_REQUEST = 1,
    STAGE_NAMESPACES,
    STAGE_LAYERS,
    STAGE_MOUNT_POINTS,
    STAGE_ROOT,
    STAGE_MOUNT,
    STAGE_MASK,
    STAGE_SYSCTL,
    STAGE_NETWORK,
    STAGE_HOSTNAME,
    STAGE_TERMINAL,
    STAGE_CGROUP,
    STAGE_STDIO,
    STAGE_LIMITS,
    STAGE_CWD,
    STAGE_CAPABILITIES,
    STAGE_USER,
    STAGE_SECCOMP,
    STAGE_INIT,
    STAGE_LABEL,
    STAGE_IDS,
};

enum container_report {
    REPORT_EXITED = 1,   /* u32: wait status of the user's process */
    REPORT_NOT_EXECUTED, /* i32 errno, u8 whether the file exists, bytes: the file, or the name that PATH does not have */
    REPORT_NAMESPACED = 6, /* the container is in its namespaces, and waits to be told to go on with its tree */
    REPORT_CREATED = 5, /* everything is there but the program, which waits for its start; once more when that comes */
    REPORT_STARTED = 4, /* u32: pid of init, as the helper sees it */
    REPORT_ENDED = 3,        /* u32: wait status of init; u64: microseconds of processor time of everything in the container, u64 and u64: 512-byte blocks it had read and written */
};

#endif
