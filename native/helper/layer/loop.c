#include "layer/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Others take free devices at the same time. */
#define TRIES 64

static int configure(int control, int backing, char *device, size_t size)
{
    const struct loop_config config = {.fd = (__u32)backing, .block_size = 512, .info = {.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR}};
    for (int tries = 0; tries < TRIES; tries++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) return -1;
        snprintf(device, size, "/dev/loop%d", number);
        int fd = open(device, O_RDONLY | O_CLOEXEC);
        if (fd < 0) return -1;
        if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) return fd;
        int error = errno;
        close(fd);
        errno = error;
        if (error != EBUSY) return -1;
    }
    return -1;
}

int loop_open(const char *file, char *device, size_t size)
{
    int backing = open(file, O_RDONLY | O_CLOEXEC), control = backing < 0 ? -1 : open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int fd = control < 0 ? -1 : configure(control, backing, device, size), error = errno;
    if (control >= 0) close(control);
    if (backing >= 0) close(backing);
    errno = error;
    return fd;
}
