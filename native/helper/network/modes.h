/* The helper's modes for the network that containers share. */
#ifndef TSBUILD_NETWORK_MODES_H
#define TSBUILD_NETWORK_MODES_H

#include "wire.h"

/* Makes the bridge, its address and the translation where they are missing. */
int run_make_bridge(struct wire *request);
int run_remove_bridge(struct wire *request);

/*
 * Runs a program that connects the network namespace of a process from outside, and kills it at SIGTERM and when this process ends. The program finds the
 * namespace at ATTENDED_NETWORK. Request: u32 pid, program, arguments, environment. The exit code is the program's.
 */
int run_attend(struct wire *request);

#define ATTENDED_NETWORK "/proc/version"

#endif
