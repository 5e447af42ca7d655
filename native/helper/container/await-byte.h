#ifndef TSBUILD_CONTAINER_AWAIT_BYTE_H
#define TSBUILD_CONTAINER_AWAIT_BYTE_H

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

/* Waits for word from the other end of `fd`, of one byte. False when that end closes instead, as it does with its process. */
static inline bool await_byte(int fd)
{
    char byte;
    ssize_t got;
    while ((got = read(fd, &byte, 1)) < 0 && errno == EINTR) {}
    return got == 1;
}

#endif
