#include "tree/tar/pax.h"

#include "tree/base/rule.h"
#include "tree/tar/number.h"

#include <string.h>

#define XATTR_KEY "SCHILY.xattr."
#define SPARSE_KEY "GNU.sparse."

void pax_clear(struct pax *pax)
{
    pax->has_path = pax->has_link = pax->has_size = pax->has_uid = pax->has_gid = pax->has_mtime = false;
    xattrs_clear(&pax->xattrs);
}

static int malformed(const char *key, size_t length)
{
    return refuse(RULE_PAX, key, length);
}

static int take_text(struct buffer *text, bool *has, const char *value, size_t length)
{
    if (memchr(value, 0, length)) return refuse(RULE_PATH, value, length);
    *has = length > 0;
    buffer_set(text, value, length);
    return 0;
}

static int take_number(int64_t *number, bool *has, const char *value, size_t length)
{
    *has = length > 0;
    return length == 0 || tar_read_decimal(value, length, number) ? 0 : refuse(RULE_NUMBER, value, length);
}

static int take_xattr(struct xattrs *xattrs, const char *name, const char *value, size_t length)
{
    if (!xattr_is_portable(name)) return 0;
    if (!xattrs_fit(xattrs, name, length)) return refuse(RULE_XATTR, name, strlen(name));
    xattrs_add(xattrs, name, value, length);
    return 0;
}

static int take_record(struct pax *pax, const char *key, const char *value, size_t length)
{
    if (strcmp(key, "path") == 0) return take_text(&pax->path, &pax->has_path, value, length);
    if (strcmp(key, "linkpath") == 0) return take_text(&pax->link, &pax->has_link, value, length);
    if (strcmp(key, "size") == 0) return take_number(&pax->size, &pax->has_size, value, length);
    if (strcmp(key, "uid") == 0) return take_number(&pax->uid, &pax->has_uid, value, length);
    if (strcmp(key, "gid") == 0) return take_number(&pax->gid, &pax->has_gid, value, length);
    if (strcmp(key, "mtime") == 0) {
        pax->has_mtime = length > 0;
        return length == 0 || tar_read_time(value, length, &pax->mtime, &pax->mtime_ns) ? 0 : refuse(RULE_NUMBER, value, length);
    }
    if (strncmp(key, XATTR_KEY, strlen(XATTR_KEY)) == 0) return take_xattr(&pax->xattrs, key + strlen(XATTR_KEY), value, length);
    if (strncmp(key, SPARSE_KEY, strlen(SPARSE_KEY)) == 0) return refuse(RULE_SPARSE, key, strlen(key));
    return 0;
}

/* The length of the record at `at`, digits included, or 0 when there is none. */
static size_t record_length(const char *at, const char *end, const char **key)
{
    size_t total = 0;
    const char *digit = at;
    if (digit < end && *digit == '0') return 0;
    for (; digit < end && *digit >= '0' && *digit <= '9'; digit++) {
        if (total > (size_t)(end - at)) return 0;
        total = total * 10 + (size_t)(*digit - '0');
    }
    if (digit == at || digit == end || *digit != ' ' || total > (size_t)(end - at) || total < (size_t)(digit - at) + 4) return 0;
    *key = digit + 1;
    return total;
}

int pax_read(struct pax *pax, const char *records, size_t length)
{
    const char *end = records + length;
    static struct buffer key;
    for (const char *at = records; at < end;) {
        const char *start;
        size_t total = record_length(at, end, &start);
        if (!total || at[total - 1] != '\n') return malformed(at, (size_t)(end - at) < 32 ? (size_t)(end - at) : 32);
        const char *last = at + total - 1;
        const char *equals = memchr(start, '=', (size_t)(last - start));
        if (!equals || equals == start || memchr(start, 0, (size_t)(equals - start))) return malformed(start, (size_t)(last - start) < 32 ? (size_t)(last - start) : 32);
        buffer_set(&key, start, (size_t)(equals - start));
        if (take_record(pax, key.data, equals + 1, (size_t)(last - equals - 1)) < 0) return -1;
        at += total;
    }
    return 0;
}
