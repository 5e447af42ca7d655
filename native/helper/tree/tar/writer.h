/*
 * The tar encoder of every changeset we make: POSIX ustar, a PAX header only where ustar cannot say it, numeric owners,
 * whole seconds. Equal entries give equal bytes on every machine, for ever: layers are known by their digest.
 */
#ifndef TSBUILD_TREE_TAR_WRITER_H
#define TSBUILD_TREE_TAR_WRITER_H

#include "tree/base/output.h"
#include "tree/tar/entry.h"

/* Writes the header; for a file the caller then writes `size` bytes and calls tar_pad. 0, or -1 with a report. */
int tar_write_entry(struct output *output, const struct entry *entry);
/* A file `.wh.NAME`, or with a NULL name the opaque marker, in `directory`; nothing of the host is in it. */
int tar_write_whiteout(struct output *output, const char *directory, size_t length, const char *name);
int tar_pad(struct output *output, uint64_t size);
/* The end marker, and the bytes on their way. */
int tar_finish(struct output *output);

#endif
