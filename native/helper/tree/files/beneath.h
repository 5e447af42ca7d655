/*
 * Reaching files below a directory: never through a link, never out of it, and at any depth. `path` is relative to
 * `root`, without "." and ".." and empty components; the empty path is the root itself.
 */
#ifndef TSBUILD_TREE_BENEATH_H
#define TSBUILD_TREE_BENEATH_H

/* Returns what openat returns, without a report. A link on the way is ELOOP or ENOTDIR. */
int open_beneath(int root, const char *path, int flags);

#endif
