/*
 * The layers of an overlay root, read without mounting them: what the merged root will hold decides which mount points
 * are missing. A view by a second, read-only overlay mount would cost 120 µs at 3 layers and 250 at 20.
 */
#ifndef TSBUILD_CONTAINER_LAYERS_H
#define TSBUILD_CONTAINER_LAYERS_H

#include "request.h"
#include "resolve.h"

#include <sys/stat.h>

struct layers {
    struct tree tree;
    uint32_t count;
    int *roots; /* O_PATH, top layer first: the upperdir if there is one, then the lowers */
    bool has_upper;
    bool has_images; /* some layers are filesystems of their own */
    int workdir; /* O_PATH; -1 without an upperdir */
    const char *opaque;
    const char *other_opaque; /* the same of a program that serves the root, NULL for none */
    const char *whiteout;  /* the attribute that makes an empty file a whiteout */
    const char *private;   /* prefix of the attributes that overlay keeps for itself */
    struct texts *covered; /* resolved targets of earlier mounts */
    /* Scratch space of a walk. */
    int *folders;
    bool *is_open;
};

/* Opens the layers of an overlay root. 0, or -1 with the failure reported. */
int open_layers(const struct container_root *root, struct layers *layers);

/* The same without mounting anything: layers that are filesystems of their own are in no mount namespace, and cannot be an overlay's. */
int open_layers_to_read(const struct container_root *root, struct layers *layers);

/* A merged folder: a descriptor of the topmost layer's instance, which has its metadata. -1 with errno. */
int open_layer_folder(struct layers *layers, const char *path);

/* Whether `name` in a layer's `folder`, of which `stat` is, hides what lies below. */
bool is_whiteout(const struct layers *layers, int folder, const char *name, const struct stat *stat);
/* The same of a folder and what its name has below. */
bool is_opaque(const struct layers *layers, int folder);

#endif
