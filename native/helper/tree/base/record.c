#include "tree/base/record.h"

#include "report.h"

#include <string.h>

#define MAX_BYTES 1024

struct record record_start(void)
{
    return (struct record){.length = 0};
}

void record_u32(struct record *record, uint32_t value)
{
    for (int i = 0; i < 4; i++) record->payload[record->length++] = (uint8_t)(value >> (8 * i));
}

void record_u64(struct record *record, uint64_t value)
{
    record_u32(record, (uint32_t)value);
    record_u32(record, (uint32_t)(value >> 32));
}

void record_bytes(struct record *record, const char *bytes, size_t length)
{
    if (length > MAX_BYTES) length = MAX_BYTES;
    record_u32(record, (uint32_t)length);
    if (length) memcpy(record->payload + record->length, bytes, length);
    record->length += length;
}

void record_send(const struct record *record, uint8_t kind)
{
    report_record(kind, record->payload, record->length);
}
