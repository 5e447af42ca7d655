#include "tree/base/output.h"

#include "report.h"
#include "tree/base/buffer.h"
#include "tree/base/stage.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CAPACITY ((size_t)1 << 20)
/* A read below this is not worth the call: the buffer is flushed first. */
#define LEAST_READ ((size_t)64 << 10)

void output_open(struct output *output, int fd)
{
    *output = (struct output){.fd = fd, .bytes = checked_realloc(NULL, CAPACITY, 1)};
}

int output_flush(struct output *output)
{
    for (size_t done = 0; done < output->length;) {
        ssize_t written = write(output->fd, output->bytes + done, output->length - done);
        if (written >= 0) done += (size_t)written;
        else if (errno != EINTR) return report_failure(STAGE_WRITE_OUTPUT, "stdout");
    }
    output->length = 0;
    return 0;
}

/* Room for at least one byte, at most `wanted`; 0 after a report. */
static size_t make_room(struct output *output, uint64_t wanted)
{
    size_t room = CAPACITY - output->length;
    if (room < wanted && room < LEAST_READ) {
        if (output_flush(output) < 0) return 0;
        room = CAPACITY;
    }
    return room < wanted ? room : (size_t)wanted;
}

static void advance(struct output *output, size_t length)
{
    output->length += length;
    output->total += length;
}

int output_put(struct output *output, const void *bytes, size_t length)
{
    for (const uint8_t *at = bytes; length > 0;) {
        size_t room = make_room(output, length);
        if (!room) return -1;
        memcpy(output->bytes + output->length, at, room);
        advance(output, room);
        at += room;
        length -= room;
    }
    return 0;
}

int output_zeros(struct output *output, uint64_t length)
{
    while (length > 0) {
        size_t room = make_room(output, length);
        if (!room) return -1;
        memset(output->bytes + output->length, 0, room);
        advance(output, room);
        length -= room;
    }
    return 0;
}

int output_file(struct output *output, int fd, uint64_t offset, uint64_t length)
{
    while (length > 0) {
        size_t room = make_room(output, length);
        if (!room) return -1;
        ssize_t got = pread(fd, output->bytes + output->length, room, (off_t)offset);
        if (got < 0) {
            if (errno == EINTR) continue;
            return report_failure(STAGE_READ_SOURCE, NULL);
        }
        if (got == 0) return 1;
        advance(output, (size_t)got);
        offset += (size_t)got;
        length -= (size_t)got;
    }
    return 0;
}
