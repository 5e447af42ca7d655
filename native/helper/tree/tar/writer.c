#include "tree/tar/writer.h"

#include "tree/tar/header.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What a field of n octal digits holds. */
#define OCTAL_7 2097151u
#define OCTAL_11 8589934591

static const char zeros[TAR_BLOCK];

/* Leading zeros, and a NUL at the end, which is there already. */
static void put_octal(char *field, size_t size, uint64_t value)
{
    for (size_t i = size - 1; i-- > 0; value >>= 3) field[i] = (char)('0' + (value & 7));
}

static void put_checksum(struct tar_header *header)
{
    unsigned sum = 0;
    memset(header->checksum, ' ', sizeof header->checksum);
    for (size_t i = 0; i < sizeof *header; i++) sum += ((const uint8_t *)header)[i];
    put_octal(header->checksum, sizeof header->checksum - 1, sum);
    header->checksum[sizeof header->checksum - 2] = 0;
}

/* Whether name and prefix hold the path; the split is at the last slash that fits and leaves a name. */
static bool put_path(struct tar_header *header, const char *path, size_t length)
{
    if (length <= sizeof header->name) {
        memcpy(header->name, path, length);
        return true;
    }
    size_t split = length - 2 < sizeof header->prefix ? length - 2 : sizeof header->prefix;
    while (split > 0 && path[split] != '/') split--;
    size_t rest = length - split - 1;
    if (split == 0 || rest > sizeof header->name) return false;
    memcpy(header->prefix, path, split);
    memcpy(header->name, path + split + 1, rest);
    return true;
}

static bool is_utf8(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint8_t lead = (uint8_t)bytes[i];
        size_t more = lead < 0x80 ? 0 : lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xf0 && lead < 0xf5 ? 3 : 4;
        if (more > 3 || more >= length - i) return false;
        uint8_t second = more ? (uint8_t)bytes[i + 1] : 0;
        /* Overlong forms, surrogates, and what is above U+10FFFF. */
        if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return false;
        for (size_t j = 1; j <= more; j++) {
            if (((uint8_t)bytes[i + j] & 0xc0) != 0x80) return false;
        }
        i += more + 1;
    }
    return true;
}

/* A record's length counts itself: "17 path=somewhere\n". */
static void add_record(struct buffer *records, const char *key, const char *value, size_t length)
{
    size_t rest = strlen(key) + length + 3, total = rest;
    char digits[24];
    for (size_t before = 0; before != total;) {
        before = total;
        total = rest + (size_t)snprintf(digits, sizeof digits, "%zu", before);
    }
    buffer_append(records, digits, strlen(digits));
    buffer_append(records, " ", 1);
    buffer_append(records, key, strlen(key));
    buffer_append(records, "=", 1);
    buffer_append(records, value, length);
    buffer_append(records, "\n", 1);
}

static void add_number(struct buffer *records, const char *key, int64_t value)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRId64, value);
    add_record(records, key, digits, (size_t)length);
}

static void add_xattrs(struct buffer *records, const struct xattrs *xattrs)
{
    for (size_t i = 0; i < xattrs->count; i++) {
        char key[16 + 256];
        snprintf(key, sizeof key, "SCHILY.xattr.%s", xattr_name(xattrs, i));
        add_record(records, key, xattr_value(xattrs, i), xattrs->items[i].value_length);
    }
}

static void start_header(struct tar_header *header, char type)
{
    memset(header, 0, sizeof *header);
    header->type = type;
    memcpy(header->magic, "ustar", 6);
    memcpy(header->version, "00", 2);
}

static int put_pax(struct output *output, const struct buffer *records)
{
    struct tar_header header;
    start_header(&header, 'x');
    strcpy(header.name, "././@PaxHeader");
    put_octal(header.mode, sizeof header.mode, 0);
    put_octal(header.uid, sizeof header.uid, 0);
    put_octal(header.gid, sizeof header.gid, 0);
    put_octal(header.size, sizeof header.size, records->length);
    put_octal(header.mtime, sizeof header.mtime, 0);
    put_checksum(&header);
    if (output_put(output, &header, sizeof header) < 0) return -1;
    return output_put(output, records->data, records->length) < 0 ? -1 : tar_pad(output, records->length);
}

/* Names that are not UTF-8 are marked binary, for readers that would convert them otherwise. */
static void add_names(struct buffer *records, struct tar_header *header, const struct entry *entry, const struct buffer *path)
{
    bool fits = put_path(header, path->data, path->length);
    bool link_fits = entry->link.length <= sizeof header->link;
    bool is_binary = (!fits && !is_utf8(path->data, path->length)) || (!link_fits && !is_utf8(entry->link.data, entry->link.length));
    if (is_binary) add_record(records, "hdrcharset", "BINARY", 6);
    if (!fits) {
        add_record(records, "path", path->data, path->length);
        memcpy(header->name, path->data, sizeof header->name);
    }
    if (!link_fits) add_record(records, "linkpath", entry->link.data, entry->link.length);
    if (entry->link.length) memcpy(header->link, entry->link.data, link_fits ? entry->link.length : sizeof header->link);
}

/* Numbers beyond their field are 0 there. */
static void add_numbers(struct buffer *records, struct tar_header *header, const struct entry *entry)
{
    uint64_t size = entry->type == ENTRY_FILE ? entry->size : 0;
    bool is_device = entry->type == ENTRY_CHAR || entry->type == ENTRY_BLOCK;
    if (size > OCTAL_11) add_number(records, "size", (int64_t)size);
    if (entry->uid > OCTAL_7) add_number(records, "uid", entry->uid);
    if (entry->gid > OCTAL_7) add_number(records, "gid", entry->gid);
    if (entry->mtime < 0 || entry->mtime > OCTAL_11) add_number(records, "mtime", entry->mtime);
    put_octal(header->mode, sizeof header->mode, entry->mode);
    put_octal(header->uid, sizeof header->uid, entry->uid > OCTAL_7 ? 0 : entry->uid);
    put_octal(header->gid, sizeof header->gid, entry->gid > OCTAL_7 ? 0 : entry->gid);
    put_octal(header->size, sizeof header->size, size > OCTAL_11 ? 0 : size);
    put_octal(header->mtime, sizeof header->mtime, entry->mtime < 0 || entry->mtime > OCTAL_11 ? 0 : (uint64_t)entry->mtime);
    put_octal(header->major, sizeof header->major, is_device ? entry->major : 0);
    put_octal(header->minor, sizeof header->minor, is_device ? entry->minor : 0);
}

int tar_write_entry(struct output *output, const struct entry *entry)
{
    static struct buffer records, path;
    struct tar_header header;
    start_header(&header, (char)entry->type);
    buffer_truncate(&records, 0);
    buffer_set(&path, entry->path.data, entry->path.length);
    if (path.length == 0) buffer_append(&path, ".", 1);
    if (entry->type == ENTRY_DIRECTORY) buffer_append(&path, "/", 1);
    add_names(&records, &header, entry, &path);
    add_numbers(&records, &header, entry);
    add_xattrs(&records, &entry->xattrs);
    if (records.length > 0 && put_pax(output, &records) < 0) return -1;
    put_checksum(&header);
    return output_put(output, &header, sizeof header);
}

int tar_write_whiteout(struct output *output, const char *directory, size_t length, const char *name)
{
    static struct entry whiteout = {.type = ENTRY_FILE};
    buffer_set(&whiteout.path, directory, length);
    if (name) {
        path_push(&whiteout.path, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX));
        buffer_append(&whiteout.path, name, strlen(name));
    } else {
        path_push(&whiteout.path, WHITEOUT_OPAQUE, strlen(WHITEOUT_OPAQUE));
    }
    return tar_write_entry(output, &whiteout);
}

int tar_pad(struct output *output, uint64_t size)
{
    return output_put(output, zeros, (size_t)tar_padding(size));
}

int tar_finish(struct output *output)
{
    if (output_put(output, zeros, sizeof zeros) < 0 || output_put(output, zeros, sizeof zeros) < 0) return -1;
    return output_flush(output);
}
