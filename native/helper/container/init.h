#ifndef TSBUILD_CONTAINER_INIT_H
#define TSBUILD_CONTAINER_INIT_H

#include "request.h"
#include "setup.h"

#include <signal.h>

/* What init and the helper outside wait for; blocked in both from before init is cloned, so that none is lost. */
void fill_awaited_signals(sigset_t *signals);

/* What init has from the helper outside. */
struct outside {
    int life;    /* ends when the helper does; of what outlives it: the console, or -1 */
    int network; /* a socket of the host's network namespace, or -1: the helper has made the link already */
    int state;   /* the folder of the fifo that the process waits for before it executes, or -1 */
    int go;      /* gives a byte when the container may be set up further; -1: at once */
    const struct console *console; /* who gets the master of its terminal, by `life`; NULL: the helper */
    struct setup *setup; /* prepared outside; NULL: init does that */
    int *cgroups;        /* opened outside, or NULL */
};

/*
 * PID 1 of the container: sets it up, starts the user's process, forwards signals to it and reaps everybody. When that
 * process ends, so does init, and the kernel kills whatever else lives in the pid namespace. `request` is what `container`
 * points into. Returns the exit code.
 */
int run_init(struct container *container, const struct wire *request, const struct outside *outside);

/*
 * The same without an init: the container's first process sets it up, waits for its start and becomes the user's program.
 * Returns only the exit code after a reported failure.
 */
int run_first(struct container *container, const struct outside *outside);

#endif
