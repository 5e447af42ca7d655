/* Numbers of tar headers: octal text, or GNU's base-256 for what does not fit. */
#ifndef TSBUILD_TREE_TAR_NUMBER_H
#define TSBUILD_TREE_TAR_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the field is a number, which an empty one (0) is. */
bool tar_read_number(const char *field, size_t size, int64_t *value);
/* Whether the text is one decimal number, possibly negative, and nothing else. */
bool tar_read_decimal(const char *text, size_t length, int64_t *value);
/* A time in seconds with an optional fraction; the seconds are rounded down, so that nanoseconds are never negative. */
bool tar_read_time(const char *text, size_t length, int64_t *seconds, uint32_t *nanoseconds);

#endif
