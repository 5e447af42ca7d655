/*
 * The mode index: reads the headers of a changeset and writes an EROFS image whose files lie in that tar.
 *   request      text tar, text index (made), bytes of 16 that name the image, u8 whether whiteouts are made, u64 most bytes
 *                of file content, u32 most seconds of processor time, u8 whether the layers below are given, list of layers,
 *                top first
 *   done         {u64 entries, u64 bytes of the index, u32 whether the root has an entry, u32 whether it is opaque}
 *   needs lowers when the archive refers to what lies below and that was not given
 * Equal tars of one name on equal layers give equal bytes. While the archive is read, nothing of the host is in reach but the files named.
 */
#include "erofs/index.h"

#include "report.h"
#include "tree/base/record.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"
#include "tree/modes.h"
#include "tree/tar/path.h"
#include "tree/unpack/confine.h"
#include "tree/unpack/time-limit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int refuse_entry(const struct index *index, enum rule rule)
{
    return refuse(rule, index->reader.entry.path.data, index->reader.entry.path.length);
}

static int index_root(struct index *index)
{
    if (index->reader.entry.type != ENTRY_DIRECTORY) return refuse(RULE_ROOT_TYPE, "", 0);
    index->has_root = true;
    return index_set_metadata(index, ROOT_NODE);
}

/* 1 when what lies in the way is no directory. */
static int enter_parent(struct index *index, uint32_t *directory)
{
    const struct buffer *path = &index->reader.entry.path;
    const char *slash = memrchr(path->data, '/', path->length);
    int found = index_find_parent(index, path, directory);
    index->near_directory = found == 0 ? *directory : NO_NODE;
    if (found == 0) buffer_set(&index->near, path->data, slash ? (size_t)(slash - path->data) : 0);
    return found;
}

static int index_whiteout(struct index *index, enum whiteout kind, const char *name)
{
    const struct entry *entry = &index->reader.entry;
    uint32_t directory;
    if (entry->type != ENTRY_FILE || entry->size > 0) return refuse_entry(index, RULE_WHITEOUT);
    if (kind == WHITEOUT_OPAQUE_MARKER && name == entry->path.data) {
        index->is_root_opaque = true;
        index->nodes.nodes[ROOT_NODE].is_opaque = true;
        return 0;
    }
    int found = enter_parent(index, &directory);
    /* In what is no directory there is nothing to hide; umoci deletes what was in one before it became a file. */
    if (found != 0) return found < 0 ? -1 : 0;
    if (kind == WHITEOUT_NAME) return index_make_whiteout(index, directory, name + strlen(WHITEOUT_PREFIX));
    index->nodes.nodes[directory].is_opaque = true;
    return 0;
}

static int index_entry(struct index *index)
{
    const struct entry *entry = &index->reader.entry;
    enum whiteout kind = tar_whiteout_kind(entry->path.data, entry->path.length);
    const char *slash = entry->path.length ? memrchr(entry->path.data, '/', entry->path.length) : NULL;
    const char *name = slash ? slash + 1 : entry->path.data;
    uint32_t directory;
    switch (kind) {
    case WHITEOUT_IGNORED: return 0;
    case WHITEOUT_MALFORMED: return refuse_entry(index, RULE_WHITEOUT);
    case WHITEOUT_BELOW: return refuse_entry(index, RULE_BELOW_WHITEOUT);
    case WHITEOUT_NAME:
    case WHITEOUT_OPAQUE_MARKER: return index_whiteout(index, kind, name);
    case WHITEOUT_NONE: break;
    }
    if (entry->path.length == 0) return index_root(index);
    int found = enter_parent(index, &directory);
    if (found > 0) return refuse_entry(index, RULE_NOT_A_DIRECTORY);
    return found < 0 ? -1 : index_make_node(index, directory, name);
}

static int index_all(struct index *index)
{
    int got;
    while ((got = tar_next(&index->reader)) > 0) {
        if (index_entry(index) < 0) return -1;
    }
    return got;
}

static int open_all(struct index *index, struct wire *request, struct output *output)
{
    const char *tar = wire_text(request), *path = wire_text(request);
    struct wire_bytes uuid = wire_get_bytes(request);
    index->makes_whiteouts = wire_u8(request) != 0;
    index->max_bytes = wire_u64(request);
    uint32_t max_seconds = wire_u32(request);
    index->has_lowers = wire_u8(request) != 0;
    if (lowers_open(&index->lowers, request, OVERLAY_TRUSTED) < 0) return -1;
    if (!wire_is_done(request) || uuid.length != sizeof index->uuid || index->max_bytes > UINT64_C(1) << EROFS_MAX_CHUNK_BITS) {
        errno = EBADMSG;
        return report_failure(STAGE_TREE_REQUEST, "index");
    }
    memcpy(index->uuid, uuid.data, sizeof index->uuid);
    int in = open(tar, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), out = -1;
    if (in < 0) return report_failure(STAGE_OPEN_TREE, tar);
    out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0) return report_failure(STAGE_WRITE_TREE, path);
    tar_open(&index->reader, in);
    output_open(output, out);
    return limit_time(max_seconds);
}

int run_index(struct wire *request)
{
    static struct index index = {.near_directory = NO_NODE};
    static struct layout layout;
    static struct output output;
    nodes_open(&index.nodes);
    if (open_all(&index, request, &output) < 0 || confine_to_descriptors() < 0 || index_all(&index) < 0) return 1;
    if (layout_make(&layout, &index.nodes) < 0 || index_write(&index, &layout, index.reader.input.size, &output) < 0) return 1;
    struct record record = record_start();
    record_u64(&record, index.reader.count);
    record_u64(&record, layout.end);
    record_u32(&record, index.has_root);
    record_u32(&record, index.is_root_opaque);
    record_send(&record, RECORD_DONE);
    return 0;
}
