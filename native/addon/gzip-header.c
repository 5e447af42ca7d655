#include "gzip-header.h"

/* RFC 1952, section 2.3. */
#define FIXED_BYTES 10
#define HAS_CHECKSUM 0x02
#define HAS_EXTRA 0x04
#define HAS_NAME 0x08
#define HAS_COMMENT 0x10
#define RESERVED 0xe0

static bool take_fixed(struct gzip_header *header, uint8_t byte)
{
    static const uint8_t magic[3] = {0x1f, 0x8b, 8};
    if (header->fixed < sizeof magic && byte != magic[header->fixed]) return false;
    if (header->fixed == 3) {
        if (byte & RESERVED) return false;
        header->flags = byte;
    }
    header->fixed++;
    return true;
}

static void take_extra(struct gzip_header *header, uint8_t byte)
{
    if (header->length < 2) {
        header->extra = (uint16_t)(header->extra | byte << (8 * header->length));
        header->length++;
    } else {
        header->extra--;
    }
    if (header->length == 2 && header->extra == 0) header->flags &= (uint8_t)~HAS_EXTRA;
}

/* A text ends with a zero. */
static void take_text(struct gzip_header *header, uint8_t byte, uint8_t flag)
{
    if (byte == 0) header->flags &= (uint8_t)~flag;
}

static void take_checksum(struct gzip_header *header)
{
    if (++header->checksum == 2) header->flags &= (uint8_t)~HAS_CHECKSUM;
}

static bool take(struct gzip_header *header, uint8_t byte)
{
    if (header->fixed < FIXED_BYTES) return take_fixed(header, byte);
    if (header->flags & HAS_EXTRA) take_extra(header, byte);
    else if (header->flags & HAS_NAME) take_text(header, byte, HAS_NAME);
    else if (header->flags & HAS_COMMENT) take_text(header, byte, HAS_COMMENT);
    else take_checksum(header);
    return true;
}

long read_gzip_header(struct gzip_header *header, const uint8_t *bytes, size_t length)
{
    const uint8_t optional = HAS_CHECKSUM | HAS_EXTRA | HAS_NAME | HAS_COMMENT;
    size_t at = 0;
    while (header->fixed < FIXED_BYTES || header->flags & optional) {
        if (at == length) return (long)at;
        if (!take(header, bytes[at++])) return -1;
    }
    header->is_read = true;
    return (long)at;
}
