/* Growing bytes: paths, names, records. Running out of memory ends the helper with a report. */
#ifndef TSBUILD_TREE_BUFFER_H
#define TSBUILD_TREE_BUFFER_H

#include <stddef.h>

struct buffer {
    char *data; /* ends in a NUL that is not counted; NULL while nothing was ever put in */
    size_t length;
    size_t capacity;
};

void buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, const void *bytes, size_t length);
void buffer_set(struct buffer *buffer, const void *bytes, size_t length);
void buffer_truncate(struct buffer *buffer, size_t length);
void buffer_free(struct buffer *buffer);
/* Appends `name` to a path, with a slash between them unless the path is empty. */
void path_push(struct buffer *path, const char *name, size_t length);

void *checked_realloc(void *memory, size_t count, size_t size);

#endif
