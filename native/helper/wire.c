#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int wire_open(int fd, struct wire *wire)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0) return -1;
    if (stat.st_size < 4) {
        errno = EBADMSG;
        return -1;
    }
    void *data = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return -1;
    *wire = (struct wire){.start = data, .at = data, .end = (const uint8_t *)data + stat.st_size};
    if (wire_u32(wire) == WIRE_MAGIC) return 0;
    errno = EBADMSG;
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
