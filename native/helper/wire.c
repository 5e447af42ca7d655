#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_CAPACITY ((size_t)64 * 1024)

/* All that comes through a pipe, in memory of its own, of which `length` bytes are told. */
static void *read_pipe(int fd, size_t *length)
{
    size_t capacity = FIRST_CAPACITY;
    uint8_t *data = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (*length = 0; data != MAP_FAILED;) {
        ssize_t came = read(fd, data + *length, capacity - *length);
        if (came < 0 && errno == EINTR) continue;
        if (came < 0) return MAP_FAILED;
        if (came == 0) return *length == 0 ? data : mremap(data, capacity, *length, 0);
        *length += (size_t)came;
        if (*length == capacity) {
            data = mremap(data, capacity, 2 * capacity, MREMAP_MAYMOVE);
            capacity *= 2;
        }
    }
    return data;
}

int wire_open(int fd, struct wire *wire)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0) return -1;
    size_t length = (size_t)stat.st_size;
    bool is_pipe = S_ISFIFO(stat.st_mode);
    void *data = is_pipe ? read_pipe(fd, &length) : mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return -1;
    *wire = (struct wire){.start = data, .at = data, .end = (const uint8_t *)data + length};
    if (wire_u32(wire) == WIRE_MAGIC) return 0;
    errno = is_pipe && length == 0 ? ENODATA : EBADMSG;
    return -1;
}

void wire_close(const struct wire *wire)
{
    munmap((void *)wire->start, (size_t)(wire->end - wire->start));
}

static const uint8_t *take(struct wire *wire, size_t length)
{
    if (wire->broken || (size_t)(wire->end - wire->at) < length) {
        wire->broken = true;
        return NULL;
    }
    const uint8_t *taken = wire->at;
    wire->at += length;
    return taken;
}

uint8_t wire_u8(struct wire *wire)
{
    const uint8_t *bytes = take(wire, 1);
    return bytes ? bytes[0] : 0;
}

uint32_t wire_u32(struct wire *wire)
{
    const uint8_t *bytes = take(wire, 4);
    return bytes ? (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24 : 0;
}

uint64_t wire_u64(struct wire *wire)
{
    uint64_t low = wire_u32(wire);
    return low | (uint64_t)wire_u32(wire) << 32;
}

struct wire_bytes wire_get_bytes(struct wire *wire)
{
    uint32_t length = wire_u32(wire);
    const uint8_t *bytes = take(wire, (size_t)length + 1);
    if (bytes && bytes[length] == 0) return (struct wire_bytes){.data = (const char *)bytes, .length = length};
    wire->broken = true;
    return (struct wire_bytes){.data = "", .length = 0};
}

const char *wire_text(struct wire *wire)
{
    struct wire_bytes bytes = wire_get_bytes(wire);
    if (strlen(bytes.data) != bytes.length) wire->broken = true;
    return wire->broken ? "" : bytes.data;
}

uint32_t wire_count(struct wire *wire, size_t least)
{
    uint32_t count = wire_u32(wire);
    if (wire->broken || count > (size_t)(wire->end - wire->at) / (least ? least : 1)) {
        wire->broken = true;
        return 0;
    }
    return count;
}

bool wire_is_done(const struct wire *wire)
{
    return !wire->broken && wire->at == wire->end;
}
