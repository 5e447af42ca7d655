#ifndef TSBUILD_FLAT_START_TIME_H
#define TSBUILD_FLAT_START_TIME_H

#include <time.h>

/*
 * A moment after everything that was done to files before the call, and before all that is done to them after it, by
 * the kernel's coarse time stamps too.
 */
struct timespec let_clock_advance(void);

/* Makes it the modification time of the open file. 0, or -1 with errno. */
int stamp_start(int file);

#endif
