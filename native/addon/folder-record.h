/*
 * What a directory holds, as readFolder of native/addon.ts answers and as the store keeps it: records one after the other,
 * names in byte order. storage/tree/folder-listing.ts reads and fills the same bytes. Stores hold them, so another layout
 * takes another version of the database, which forgets them.
 */
#ifndef TSBUILD_FOLDER_RECORD_H
#define TSBUILD_FOLDER_RECORD_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define FOLDER_DIGEST_BYTES 32

/* A digest may be believed as long as the fields before it are what they were. The name follows, then the target of a link. */
struct folder_record {
    uint64_t device, inode, size;
    int64_t modified_s, changed_s;
    uint32_t modified_ns, changed_ns;
    uint8_t digest[FOLDER_DIGEST_BYTES];
    uint32_t mode, links, major, minor;
    /* Why it could not be examined; the fields above are zero then. */
    uint32_t error;
    uint32_t flags;
    uint16_t name_bytes, target_bytes;
    /* Of all of it, a multiple of eight. */
    uint32_t record_bytes;
};
static_assert(sizeof(struct folder_record) == 112, "storage/tree/folder-listing.ts counts on this");

#define FOLDER_STAMP_BYTES offsetof(struct folder_record, digest)

/* Of the content: kept from an earlier build, or to be kept for the next. */
#define FOLDER_DIGEST_KEPT 1u
/* Taken just now. */
#define FOLDER_DIGEST_TAKEN 2u
#define FOLDER_HAS_CAPABILITY 4u

/* The record at an offset; NULL at the end and where there is no complete one. */
static inline const struct folder_record *folder_record_at(const uint8_t *bytes, size_t length, size_t at)
{
    if (at > length || length - at < sizeof(struct folder_record) || at % 8 != 0) return NULL;
    const struct folder_record *record = (const struct folder_record *)(const void *)(bytes + at);
    size_t needed = sizeof *record + (size_t)record->name_bytes + record->target_bytes;
    return record->record_bytes % 8 == 0 && record->record_bytes >= needed && record->record_bytes <= length - at ? record : NULL;
}

static inline const char *folder_record_name(const struct folder_record *record)
{
    return (const char *)(record + 1);
}

#endif
