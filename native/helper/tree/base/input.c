#include "tree/base/input.h"

#include "report.h"
#include "tree/base/buffer.h"
#include "tree/base/stage.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CAPACITY (2 * INPUT_MAX_TAKE)
/* Of a file whose content is passed over, not more than the next few headers is wanted. */
#define FILE_READ ((size_t)32 << 10)

void input_open(struct input *input, int fd)
{
    struct stat stat;
    *input = (struct input){.fd = fd, .bytes = checked_realloc(NULL, CAPACITY, 1)};
    input->can_seek = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
    if (input->can_seek) input->size = (uint64_t)stat.st_size;
}

/* Reads once. 1, 0 at the end of the stream, -1 with a report. */
static int fill(struct input *input)
{
    if (input->start == input->end) input->start = input->end = 0;
    if (input->end == CAPACITY) {
        memmove(input->bytes, input->bytes + input->start, input->end - input->start);
        input->end -= input->start;
        input->start = 0;
    }
    size_t room = CAPACITY - input->end;
    for (;;) {
        size_t wanted = input->can_seek && room > FILE_READ ? FILE_READ : room;
        uint64_t place = input->taken + (input->end - input->start);
        ssize_t got = input->can_seek ? pread(input->fd, input->bytes + input->end, wanted, (off_t)place) : read(input->fd, input->bytes + input->end, wanted);
        if (got > 0) {
            input->end += (size_t)got;
            return 1;
        }
        if (got == 0) return 0;
        if (errno != EINTR) return report_failure(STAGE_READ_INPUT, "stdin");
    }
}

static const uint8_t *hand_out(struct input *input, size_t length)
{
    const uint8_t *bytes = input->bytes + input->start;
    input->start += length;
    input->taken += length;
    return bytes;
}

int input_take(struct input *input, size_t length, const uint8_t **bytes)
{
    while (input->end - input->start < length) {
        int filled = fill(input);
        if (filled <= 0) return filled;
    }
    *bytes = hand_out(input, length);
    return 1;
}

int input_some(struct input *input, size_t most, const uint8_t **bytes, size_t *length)
{
    if (input->start == input->end) {
        int filled = fill(input);
        if (filled <= 0) return filled;
    }
    *length = input->end - input->start < most ? input->end - input->start : most;
    *bytes = hand_out(input, *length);
    return 1;
}

int input_skip(struct input *input, uint64_t length)
{
    const uint8_t *bytes;
    size_t skipped;
    while (length > 0) {
        if (input->can_seek && input->start == input->end) {
            if (length > input->size - input->taken) return 0;
            input->taken += length;
            return 1;
        }
        int got = input_some(input, length < INPUT_MAX_TAKE ? (size_t)length : INPUT_MAX_TAKE, &bytes, &skipped);
        if (got <= 0) return got;
        length -= skipped;
    }
    return 1;
}
