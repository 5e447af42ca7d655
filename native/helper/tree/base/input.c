#include "tree/base/input.h"

#include "report.h"
#include "tree/base/buffer.h"
#include "tree/base/stage.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CAPACITY (2 * INPUT_MAX_TAKE)

void input_open(struct input *input, int fd)
{
    *input = (struct input){.fd = fd, .bytes = checked_realloc(NULL, CAPACITY, 1)};
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
    for (;;) {
        ssize_t got = read(input->fd, input->bytes + input->end, CAPACITY - input->end);
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
