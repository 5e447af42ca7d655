#ifndef TSBUILD_LAYER_LOOP_H
#define TSBUILD_LAYER_LOOP_H

#include <stddef.h>

/*
 * Makes a read-only loop device of a file, which goes when nothing uses it any more. Its descriptor and its path, or -1
 * with errno.
 */
int loop_open(const char *file, char *device, size_t size);

#endif
