/*
 * The mode unpack: writes the changeset that comes as tar on stdin into an empty directory that is to be an overlay layer.
 *   request      text directory, u8 overlay namespace, u8 whether whiteouts are made, u64 most bytes of file content,
 *                u32 most seconds of processor time, u8 whether the layers below are given, list of them, top first
 *   done         {u64 entries, u64 inodes, u64 bytes on disk, u32 whether the root has an entry, u32 whether it is opaque}
 *   needs lowers when the archive refers to what lies below and that was not given
 */
#include "tree/unpack/unpack.h"

#include "report.h"
#include "tree/base/record.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"
#include "tree/modes.h"
#include "tree/tar/path.h"
#include "tree/unpack/confine.h"
#include "tree/unpack/time-limit.h"
#include "tree/upkeep/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int unpack_root(struct unpack *unpack, enum whiteout kind)
{
    static const struct buffer root = {.data = ""};
    if (kind == WHITEOUT_OPAQUE_MARKER) {
        unpack->is_root_opaque = true;
        return make_opaque(unpack, unpack->root, "");
    }
    if (unpack->reader.entry.type != ENTRY_DIRECTORY) return refuse(RULE_ROOT_TYPE, "", 0);
    unpack->has_root = true;
    return directories_add(&unpack->directories, &root, &unpack->reader.entry);
}

static int unpack_whiteout(struct unpack *unpack, enum whiteout kind, const char *name)
{
    const struct entry *entry = &unpack->reader.entry;
    if (entry->type != ENTRY_FILE || entry->size > 0) return refuse(RULE_WHITEOUT, entry->path.data, entry->path.length);
    if (kind == WHITEOUT_OPAQUE_MARKER && name == entry->path.data) return unpack_root(unpack, kind);
    int opened = parent_open(unpack, &unpack->parent, &entry->path);
    /* In what is no directory there is nothing to hide; umoci deletes what was in one before it became a file. */
    if (opened != 0) return opened < 0 ? -1 : 0;
    if (kind == WHITEOUT_OPAQUE_MARKER) return make_opaque(unpack, unpack->parent.fd, entry->path.data);
    return make_whiteout(unpack, name + strlen(WHITEOUT_PREFIX));
}

static int unpack_entry(struct unpack *unpack)
{
    const struct entry *entry = &unpack->reader.entry;
    enum whiteout kind = tar_whiteout_kind(entry->path.data, entry->path.length);
    const char *slash = entry->path.length ? memrchr(entry->path.data, '/', entry->path.length) : NULL;
    const char *name = slash ? slash + 1 : entry->path.data;
    switch (kind) {
    case WHITEOUT_IGNORED: return 0;
    case WHITEOUT_MALFORMED: return refuse(RULE_WHITEOUT, entry->path.data, entry->path.length);
    case WHITEOUT_BELOW: return refuse(RULE_BELOW_WHITEOUT, entry->path.data, entry->path.length);
    case WHITEOUT_NAME:
    case WHITEOUT_OPAQUE_MARKER: return unpack_whiteout(unpack, kind, name);
    case WHITEOUT_NONE: break;
    }
    if (entry->path.length == 0) return unpack_root(unpack, kind);
    int opened = parent_open(unpack, &unpack->parent, &entry->path);
    if (opened > 0) return refuse(RULE_NOT_A_DIRECTORY, entry->path.data, entry->path.length);
    return opened < 0 ? -1 : make_node(unpack, name);
}

static int unpack_all(struct unpack *unpack)
{
    int got;
    while ((got = tar_next(&unpack->reader)) > 0) {
        if (unpack_entry(unpack) < 0) return -1;
    }
    return got < 0 || tar_drain(&unpack->reader) < 0 ? -1 : directories_finish(unpack);
}

static int finish_totals(struct unpack *unpack)
{
    struct stat stat;
    if (unpack->has_replaced) return measure_tree(unpack->root, &unpack->totals);
    if (unpack->has_root) return 0;
    if (fstat(unpack->root, &stat) < 0) return report_failure(STAGE_READ_TREE, "");
    totals_add(&unpack->totals, &stat);
    return 0;
}

static void report_done(const struct unpack *unpack)
{
    struct record record = record_start();
    record_u64(&record, unpack->reader.count);
    record_u64(&record, unpack->totals.inodes);
    record_u64(&record, unpack->totals.bytes);
    record_u32(&record, unpack->has_root);
    record_u32(&record, unpack->is_root_opaque);
    record_send(&record, RECORD_DONE);
}

int run_unpack(struct wire *request)
{
    static struct unpack unpack = {.parent = {.fd = -1}};
    const char *directory = wire_text(request);
    unpack.space = wire_u8(request) ? OVERLAY_USER : OVERLAY_TRUSTED;
    unpack.makes_whiteouts = wire_u8(request) != 0;
    unpack.max_bytes = wire_u64(request);
    uint32_t max_seconds = wire_u32(request);
    unpack.has_lowers = wire_u8(request) != 0;
    if (lowers_open(&unpack.lowers, request, unpack.space) < 0) return 1;
    if (!wire_is_done(request)) {
        errno = EBADMSG;
        return report_failure(STAGE_TREE_REQUEST, "unpack"), 1;
    }
    if (limit_time(max_seconds) < 0 || confine_to(directory) < 0) return 1;
    unpack.root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (unpack.root < 0) return report_failure(STAGE_OPEN_TREE, directory), 1;
    tar_open(&unpack.reader, STDIN_FILENO);
    if (unpack_all(&unpack) < 0 || finish_totals(&unpack) < 0) return 1;
    report_done(&unpack);
    return 0;
}
