/*
 * A mark on each folder of a copied tree that says which folder it is: one that was made anew, or moved, under a name that
 * the layers have hides what they have there. It is an attribute under a name of overlayfs's own.
 */
#ifndef TSBUILD_FLAT_PLACE_MARK_H
#define TSBUILD_FLAT_PLACE_MARK_H

#include "container/layers.h"

/* 0, or -1 with errno. */
int set_place_mark(const struct layers *layers, int parent, int folder, const char *name);
/* Whether the folder is the one that was copied to this place. */
bool has_place_mark(const struct layers *layers, int parent, int folder, const char *name);
/* Whether it was copied to some place. */
bool carries_place_mark(const struct layers *layers, int folder);
bool is_place_mark(const struct layers *layers, const char *attribute);

#endif
