#ifndef TSBUILD_TREE_TIME_LIMIT_H
#define TSBUILD_TREE_TIME_LIMIT_H

#include <stdint.h>

/*
 * After so many seconds of processor time, 0 for no limit, the archive is refused at the entry at work, whatever is being
 * done. Waiting does not count: a slow disk or network is nobody's fault. 0, or -1 with a report.
 */
int limit_time(uint32_t seconds);

#endif
