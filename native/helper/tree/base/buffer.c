#include "tree/base/buffer.h"

#include "report.h"
#include "tree/base/stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *checked_realloc(void *memory, size_t count, size_t size)
{
    void *larger = reallocarray(memory, count, size);
    if (larger) return larger;
    errno = ENOMEM;
    report_failure(STAGE_MEMORY, NULL);
    _exit(1);
}

void buffer_reserve(struct buffer *buffer, size_t more)
{
    size_t wanted = buffer->length + more + 1;
    if (wanted <= buffer->capacity) return;
    size_t capacity = buffer->capacity * 2 > wanted ? buffer->capacity * 2 : wanted;
    buffer->data = checked_realloc(buffer->data, capacity, 1);
    buffer->capacity = capacity;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    buffer_reserve(buffer, length);
    if (length) memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
    buffer->data[buffer->length] = 0;
}

void buffer_set(struct buffer *buffer, const void *bytes, size_t length)
{
    buffer->length = 0;
    buffer_append(buffer, bytes, length);
}

void buffer_truncate(struct buffer *buffer, size_t length)
{
    buffer->length = length;
    if (buffer->data) buffer->data[length] = 0;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void path_push(struct buffer *path, const char *name, size_t length)
{
    if (path->length) buffer_append(path, "/", 1);
    buffer_append(path, name, length);
}
