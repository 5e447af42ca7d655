#include "tree/tar/reader.h"

#include "tree/base/rule.h"
#include "tree/tar/header.h"
#include "tree/tar/number.h"
#include "tree/tar/path.h"

#include <string.h>

#define MAX_META ((uint64_t)4 << 20)
#define MAX_META_IN_A_ROW 16
#define MAX_ENTRIES ((uint64_t)1 << 25)
#define MAX_MAJOR 4095
#define MAX_MINOR 1048575
/* A star header keeps times behind a shorter prefix. */
#define STAR_PREFIX 131

void tar_open(struct tar_reader *reader, int fd)
{
    *reader = (struct tar_reader){0};
    input_open(&reader->input, fd);
}

static size_t field_length(const char *field, size_t size)
{
    return strnlen(field, size);
}

static int truncated(const struct tar_reader *reader)
{
    return refuse(RULE_TRUNCATED, reader->entry.path.data, reader->entry.path.length);
}

int tar_body(struct tar_reader *reader, const uint8_t **bytes, size_t *length)
{
    if (reader->unread == 0) return 0;
    size_t most = reader->unread < INPUT_MAX_TAKE ? (size_t)reader->unread : INPUT_MAX_TAKE;
    int got = input_some(&reader->input, most, bytes, length);
    if (got <= 0) return got < 0 ? -1 : truncated(reader);
    reader->unread -= *length;
    return 1;
}

static int skip_body(struct tar_reader *reader)
{
    int got = input_skip(&reader->input, reader->unread + reader->padding);
    reader->unread = reader->padding = 0;
    return got > 0 ? 0 : got < 0 ? -1 : truncated(reader);
}

static void begin_body(struct tar_reader *reader, uint64_t size)
{
    reader->unread = size;
    reader->padding = tar_padding(size);
}

static bool is_checksum_right(const struct tar_header *header)
{
    const uint8_t *bytes = (const uint8_t *)header;
    size_t start = offsetof(struct tar_header, checksum), end = start + sizeof header->checksum;
    int64_t stated, unsigned_sum = 0, signed_sum = 0;
    for (size_t i = 0; i < sizeof *header; i++) {
        uint8_t byte = i >= start && i < end ? ' ' : bytes[i];
        unsigned_sum += byte;
        signed_sum += (int8_t)byte;
    }
    /* Some old writers summed signed bytes. */
    return tar_read_number(header->checksum, sizeof header->checksum, &stated) && (stated == unsigned_sum || stated == signed_sum);
}

static bool is_zero(const struct tar_header *header)
{
    static const struct tar_header zero;
    return memcmp(header, &zero, sizeof zero) == 0;
}

/* 1 with a header, 0 at the end of the archive: two zero blocks, one and the end of the stream, or that end alone. */
static int next_header(struct tar_reader *reader, struct tar_header *header)
{
    const uint8_t *bytes;
    size_t length;
    for (int zeros = 0;; zeros++) {
        int got = input_take(&reader->input, TAR_BLOCK, &bytes);
        if (got < 0) return -1;
        if (got == 0) {
            bool has_begun = reader->input.taken > 0;
            got = input_some(&reader->input, 1, &bytes, &length);
            if (got != 0) return got > 0 ? truncated(reader) : -1;
            return has_begun ? 0 : refuse(RULE_EMPTY, NULL, 0);
        }
        memcpy(header, bytes, sizeof *header);
        if (!is_zero(header)) {
            if (zeros) return refuse(RULE_STRAY_ZEROS, NULL, 0);
            return is_checksum_right(header) ? 1 : refuse(RULE_CHECKSUM, header->name, field_length(header->name, sizeof header->name));
        }
        if (zeros == 1) return 0;
    }
}

/* The body of an extended header. Its size is the header's own: no PAX record ever changes that. */
static int read_meta(struct tar_reader *reader, const struct tar_header *header)
{
    int64_t size;
    const uint8_t *bytes;
    size_t length;
    int got;
    if (!tar_read_number(header->size, sizeof header->size, &size) || size < 0) return refuse(RULE_NUMBER, header->size, sizeof header->size);
    if ((uint64_t)size > MAX_META) return refuse(RULE_HEADER_SIZE, header->name, field_length(header->name, sizeof header->name));
    buffer_set(&reader->meta, "", 0);
    begin_body(reader, (uint64_t)size);
    while ((got = tar_body(reader, &bytes, &length)) > 0) buffer_append(&reader->meta, bytes, length);
    return got < 0 ? -1 : skip_body(reader);
}

/* A GNU long name ends at its first NUL. */
static void take_long(const struct tar_reader *reader, struct buffer *text, bool *has)
{
    buffer_set(text, reader->meta.data, strlen(reader->meta.data));
    *has = true;
}

/* 1 when the header was an extended one, which then has been taken in; 0 when it is an entry's; -1. */
static int take_meta(struct tar_reader *reader, const struct tar_header *header)
{
    if (!header->type || !strchr("xgLK", header->type)) return 0;
    if (read_meta(reader, header) < 0) return -1;
    switch (header->type) {
    case 'x': return pax_read(&reader->pax, reader->meta.data, reader->meta.length) < 0 ? -1 : 1;
    case 'L': return take_long(reader, &reader->long_name, &reader->has_long_name), 1;
    case 'K': return take_long(reader, &reader->long_link, &reader->has_long_link), 1;
    default: {
        /* Global records are read for their form; like Docker's reader we let none of them say anything about a file. */
        static struct pax ignored;
        pax_clear(&ignored);
        return pax_read(&ignored, reader->meta.data, reader->meta.length) < 0 ? -1 : 1;
    }
    }
}

static bool is_same(const struct buffer *one, const struct buffer *other)
{
    return one->length == other->length && memcmp(one->data, other->data, one->length) == 0;
}

static int take_path(struct tar_reader *reader, const struct tar_header *header, bool *ends_in_slash)
{
    static struct buffer raw;
    if (reader->pax.has_path && reader->has_long_name && !is_same(&reader->pax.path, &reader->long_name)) {
        return refuse(RULE_AMBIGUOUS_NAME, reader->long_name.data, reader->long_name.length);
    }
    if (reader->pax.has_path) {
        buffer_set(&raw, reader->pax.path.data, reader->pax.path.length);
    } else if (reader->has_long_name) {
        buffer_set(&raw, reader->long_name.data, reader->long_name.length);
    } else {
        bool is_star = memcmp(header->unused + 8, "tar", 4) == 0;
        bool has_prefix = memcmp(header->magic, "ustar", 6) == 0;
        size_t prefix = has_prefix ? field_length(header->prefix, is_star ? STAR_PREFIX : sizeof header->prefix) : 0;
        buffer_set(&raw, header->prefix, prefix);
        if (prefix) buffer_append(&raw, "/", 1);
        buffer_append(&raw, header->name, field_length(header->name, sizeof header->name));
    }
    *ends_in_slash = raw.length > 0 && raw.data[raw.length - 1] == '/';
    return tar_normalize_path(&reader->entry.path, raw.data, raw.length);
}

static int take_link(struct tar_reader *reader, const struct tar_header *header)
{
    struct entry *entry = &reader->entry;
    const struct buffer *link = reader->pax.has_link ? &reader->pax.link : reader->has_long_link ? &reader->long_link : NULL;
    if (reader->pax.has_link && reader->has_long_link && !is_same(&reader->pax.link, &reader->long_link)) {
        return refuse(RULE_AMBIGUOUS_NAME, reader->long_link.data, reader->long_link.length);
    }
    const char *target = link ? link->data : header->link;
    size_t length = link ? link->length : field_length(header->link, sizeof header->link);
    if (entry->type == ENTRY_HARD_LINK) return tar_normalize_path(&entry->link, target, length);
    buffer_set(&entry->link, target, entry->type == ENTRY_SYMLINK ? length : 0);
    bool is_wrong = entry->type == ENTRY_SYMLINK && (length == 0 || length > MAX_LINK_TARGET);
    return is_wrong ? refuse(RULE_LINK_TARGET, entry->path.data, entry->path.length) : 0;
}

static int take_type(struct entry *entry, char type, bool ends_in_slash)
{
    if (type == 'S') return refuse(RULE_SPARSE, entry->path.data, entry->path.length);
    if (type == 0 || type == '7') {
        /* Before ustar a directory was a file whose name ended in a slash. */
        entry->type = type == 0 && ends_in_slash ? ENTRY_DIRECTORY : ENTRY_FILE;
        return 0;
    }
    if (type < '0' || type > '6') return refuse(RULE_TYPE, entry->path.data, entry->path.length);
    entry->type = (enum entry_type)type;
    return 0;
}

static bool in_range(int64_t value, int64_t most)
{
    return value >= 0 && value <= most;
}

static int take_owner(struct entry *entry, const struct pax *pax, const struct tar_header *header)
{
    int64_t uid, gid, mode;
    bool are_numbers = tar_read_number(header->uid, sizeof header->uid, &uid) && tar_read_number(header->gid, sizeof header->gid, &gid) &&
                       tar_read_number(header->mode, sizeof header->mode, &mode);
    if (!are_numbers || mode < 0) return refuse(RULE_NUMBER, entry->path.data, entry->path.length);
    if (pax->has_uid) uid = pax->uid;
    if (pax->has_gid) gid = pax->gid;
    if (!in_range(uid, (int64_t)UINT32_MAX - 1) || !in_range(gid, (int64_t)UINT32_MAX - 1)) return refuse(RULE_OWNER, entry->path.data, entry->path.length);
    entry->uid = (uint32_t)uid;
    entry->gid = (uint32_t)gid;
    entry->mode = (uint32_t)mode & 07777;
    return 0;
}

static int take_device(struct entry *entry, const struct tar_header *header)
{
    int64_t major, minor;
    entry->major = entry->minor = 0;
    if (entry->type != ENTRY_CHAR && entry->type != ENTRY_BLOCK) return 0;
    bool are_numbers = tar_read_number(header->major, sizeof header->major, &major) && tar_read_number(header->minor, sizeof header->minor, &minor);
    if (!are_numbers || !in_range(major, MAX_MAJOR) || !in_range(minor, MAX_MINOR)) return refuse(RULE_DEVICE, entry->path.data, entry->path.length);
    if (entry->type == ENTRY_CHAR && major == 0 && minor == 0) return refuse(RULE_DEVICE, entry->path.data, entry->path.length);
    entry->major = (uint32_t)major;
    entry->minor = (uint32_t)minor;
    return 0;
}

static int take_size_and_time(struct tar_reader *reader, const struct tar_header *header)
{
    struct entry *entry = &reader->entry;
    int64_t size;
    if (!tar_read_number(header->size, sizeof header->size, &size) || !tar_read_number(header->mtime, sizeof header->mtime, &entry->mtime)) {
        return refuse(RULE_NUMBER, entry->path.data, entry->path.length);
    }
    entry->mtime_ns = reader->pax.has_mtime ? reader->pax.mtime_ns : 0;
    if (reader->pax.has_mtime) entry->mtime = reader->pax.mtime;
    if (reader->pax.has_size) size = reader->pax.size;
    if (!in_range(size, INT64_MAX - TAR_BLOCK)) return refuse(RULE_NUMBER, entry->path.data, entry->path.length);
    /* Only files have bodies: some writers put a size on directories and links, and every Go reader passes over it. */
    entry->size = entry->type == ENTRY_FILE ? (uint64_t)size : 0;
    begin_body(reader, entry->size);
    return 0;
}

static int take_entry(struct tar_reader *reader, const struct tar_header *header)
{
    struct entry *entry = &reader->entry;
    bool ends_in_slash = false;
    if (take_path(reader, header, &ends_in_slash) < 0 || take_type(entry, header->type, ends_in_slash) < 0) return -1;
    if (take_link(reader, header) < 0 || take_owner(entry, &reader->pax, header) < 0) return -1;
    if (take_device(entry, header) < 0 || take_size_and_time(reader, header) < 0) return -1;
    struct xattrs taken = entry->xattrs;
    entry->xattrs = reader->pax.xattrs;
    reader->pax.xattrs = taken;
    return 1;
}

int tar_next(struct tar_reader *reader)
{
    struct tar_header header;
    if (skip_body(reader) < 0) return -1;
    pax_clear(&reader->pax);
    reader->has_long_name = reader->has_long_link = false;
    rule_entry = reader->count;
    bool is_pending = false;
    for (int meta = 0;; meta++) {
        int got = next_header(reader, &header);
        if (got < 0) return -1;
        if (got == 0) return is_pending ? truncated(reader) : 0;
        int taken = take_meta(reader, &header);
        if (taken < 0) return -1;
        if (taken > 0) {
            is_pending = is_pending || header.type != 'g';
            if (meta == MAX_META_IN_A_ROW) return refuse(RULE_HEADER_COUNT, NULL, 0);
            continue;
        }
        if (++reader->count > MAX_ENTRIES) return refuse(RULE_ENTRY_COUNT, NULL, 0);
        return take_entry(reader, &header);
    }
}

int tar_drain(struct tar_reader *reader)
{
    const uint8_t *bytes;
    size_t length;
    int got;
    while ((got = input_some(&reader->input, INPUT_MAX_TAKE, &bytes, &length)) > 0) {}
    return got;
}
