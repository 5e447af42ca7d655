#include "tree/tar/number.h"

#include <string.h>

static bool read_base256(const uint8_t *field, size_t size, int64_t *value)
{
    bool is_negative = field[0] & 0x40;
    uint64_t number = is_negative ? ~UINT64_C(0) : 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = i ? field[i] : (uint8_t)(is_negative ? field[0] | 0x80 : field[0] & 0x7f);
        /* What is shifted out must be sign only, and so must the bit that becomes the sign. */
        uint64_t top = number >> 55;
        if (top != (is_negative ? 0x1ff : 0)) return false;
        number = number << 8 | byte;
    }
    *value = (int64_t)number;
    return (*value < 0) == is_negative;
}

bool tar_read_number(const char *field, size_t size, int64_t *value)
{
    if ((uint8_t)field[0] & 0x80) return read_base256((const uint8_t *)field, size, value);
    size_t i = 0;
    uint64_t number = 0;
    while (i < size && field[i] == ' ') i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) number = number << 3 | (uint64_t)(field[i] - '0');
    for (; i < size; i++) {
        if (field[i] != ' ' && field[i] != 0) return false;
        if (field[i] == 0) break;
    }
    *value = (int64_t)number;
    return true;
}

bool tar_read_decimal(const char *text, size_t length, int64_t *value)
{
    bool is_negative = length > 0 && text[0] == '-';
    size_t i = is_negative;
    int64_t number = 0;
    if (i == length) return false;
    for (; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_sub_overflow(number, text[i] - '0', &number)) return false;
    }
    if (!is_negative && number == INT64_MIN) return false;
    *value = is_negative ? number : -number;
    return true;
}

bool tar_read_time(const char *text, size_t length, int64_t *seconds, uint32_t *nanoseconds)
{
    const char *point = memchr(text, '.', length);
    size_t whole = point ? (size_t)(point - text) : length;
    uint32_t fraction = 0, scale = 100000000;
    if (!tar_read_decimal(text, whole, seconds)) return false;
    for (size_t i = whole + 1; i < length; i++, scale /= 10) {
        if (text[i] < '0' || text[i] > '9') return false;
        fraction += (uint32_t)(text[i] - '0') * scale;
    }
    if (text[0] == '-' && fraction > 0) {
        if (__builtin_sub_overflow(*seconds, 1, seconds)) return false;
        fraction = 1000000000 - fraction;
    }
    *nanoseconds = fraction;
    return true;
}
