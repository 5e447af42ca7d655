/*
 * The mode pack-list: the changeset of the entries that come as frames on stdin, as tar on stdout.
 *   stdin     u32 magic, then frames {u32 length, payload}; the first byte of a payload says what it is:
 *             1 source: text path. Sources are numbered from 0; they are directories, or files for ranges.
 *             2 entry: u8 type (as in tar; 'w' whiteout and 'o' opaque marker of a path), bytes path, u32 mode, u32 uid,
 *               u32 gid, u64 mtime in seconds, u32 major, u32 minor, bytes link, list of xattrs {text name, bytes value},
 *               u8 content: 0 none | 1 file: u32 source, text path, u64 size | 2 range: u32 source, u64 offset, u64 size |
 *               3 chunks: u64 size, which as many frames of kind 3 follow as it takes
 *             3 chunk: the rest of the payload
 *             4 end
 *   done      {u64 entries, u64 tar bytes, u32 whether the root has an entry}
 */
#include "tree/modes.h"

#include "report.h"
#include "tree/base/input.h"
#include "tree/base/record.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"
#include "tree/files/beneath.h"
#include "tree/tar/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHITEOUT 'w'
#define OPAQUE 'o'
#define MAX_SOURCES 4096
#define MAX_MAJOR 4095
#define MAX_MINOR 1048575

enum frame { FRAME_SOURCE = 1, FRAME_ENTRY = 2, FRAME_CHUNK = 3, FRAME_END = 4 };
enum content { CONTENT_NONE = 0, CONTENT_FILE = 1, CONTENT_RANGE = 2, CONTENT_CHUNKS = 3 };

struct pack {
    struct input input;
    struct output output;
    struct entry entry;
    int sources[MAX_SOURCES];
    size_t source_count;
    struct buffer directory; /* the innermost directory written that the last entry lies in or is */
    struct buffer previous;
    bool has_entries, has_root, ended;
    uint64_t entries;
};

static int fail_request(void)
{
    errno = EBADMSG;
    return report_failure(STAGE_TREE_REQUEST, "pack-list");
}

/* Byte order, a slash before every other byte: the order in which a walk meets sorted names. */
static int compare_paths(const struct buffer *one, const struct buffer *other)
{
    size_t i = 0, shorter = one->length < other->length ? one->length : other->length;
    while (i < shorter && one->data[i] == other->data[i]) i++;
    int a = i == one->length ? -1 : one->data[i] == '/' ? 0 : (uint8_t)one->data[i];
    int b = i == other->length ? -1 : other->data[i] == '/' ? 0 : (uint8_t)other->data[i];
    return a - b;
}

static size_t parent_length(const struct buffer *path)
{
    const char *slash = path->length ? memrchr(path->data, '/', path->length) : NULL;
    return slash ? (size_t)(slash - path->data) : 0;
}

/* Checks that every directory above was written and that the order is kept, then moves on. */
static int take_place(struct pack *pack, const struct buffer *path, bool is_directory)
{
    size_t parent = parent_length(path);
    if (pack->has_entries && compare_paths(&pack->previous, path) >= 0) return refuse(RULE_ORDER, path->data, path->length);
    bool is_inside = parent == 0 || (parent <= pack->directory.length && memcmp(pack->directory.data, path->data, parent) == 0 &&
                                     (parent == pack->directory.length || pack->directory.data[parent] == '/'));
    if (!is_inside) return refuse(RULE_ORDER, path->data, path->length);
    buffer_truncate(&pack->directory, parent);
    if (is_directory) buffer_set(&pack->directory, path->data, path->length);
    buffer_set(&pack->previous, path->data, path->length);
    pack->has_entries = true;
    return 0;
}

static int check_path(const struct buffer *path)
{
    size_t depth = 0;
    if (path->length > MAX_PATH_BYTES) return refuse(RULE_PATH_LENGTH, path->data, path->length);
    if (strlen(path->data) != path->length) return refuse(RULE_PATH, path->data, path->length);
    for (const char *at = path->data; *at; depth++) {
        size_t length = strcspn(at, "/");
        bool is_dots = (length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.');
        if (length == 0 || is_dots || (at[length] == '/' && !at[length + 1])) return refuse(RULE_PATH, path->data, path->length);
        if (length > MAX_NAME) return refuse(RULE_NAME_LENGTH, path->data, path->length);
        if (strncmp(at, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0) return refuse(RULE_WHITEOUT_NAME, path->data, path->length);
        at += length + (at[length] == '/');
    }
    return depth > MAX_DEPTH ? refuse(RULE_DEPTH, path->data, path->length) : 0;
}

static int check_entry(const struct entry *entry)
{
    const struct buffer *path = &entry->path;
    if (path->length == 0 && entry->type != ENTRY_DIRECTORY) return refuse(RULE_ROOT_TYPE, "", 0);
    if (entry->major > MAX_MAJOR || entry->minor > MAX_MINOR) return refuse(RULE_DEVICE, path->data, path->length);
    if (entry->type == ENTRY_CHAR && entry->major == 0 && entry->minor == 0) return refuse(RULE_DEVICE, path->data, path->length);
    if (entry->uid == UINT32_MAX || entry->gid == UINT32_MAX) return refuse(RULE_OWNER, path->data, path->length);
    if (entry->type == ENTRY_SYMLINK && (entry->link.length == 0 || entry->link.length > MAX_LINK_TARGET)) return refuse(RULE_LINK_TARGET, path->data, path->length);
    return 0;
}

static int read_xattrs(struct wire *frame, struct entry *entry)
{
    xattrs_clear(&entry->xattrs);
    for (uint32_t left = wire_count(frame, 10); left > 0 && !frame->broken; left--) {
        const char *name = wire_text(frame);
        struct wire_bytes value = wire_get_bytes(frame);
        if (!xattr_is_portable(name)) continue;
        if (!xattrs_fit(&entry->xattrs, name, value.length)) return refuse(RULE_XATTR, entry->path.data, entry->path.length);
        xattrs_add(&entry->xattrs, name, value.data, value.length);
    }
    xattrs_sort(&entry->xattrs);
    return 0;
}

static int open_content(const struct pack *pack, enum content kind, struct wire *frame)
{
    uint32_t source = wire_u32(frame);
    const char *path = kind == CONTENT_FILE ? wire_text(frame) : "";
    if (frame->broken || source >= pack->source_count) return fail_request();
    int fd = kind == CONTENT_FILE ? open_beneath(pack->sources[source], path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) : dup(pack->sources[source]);
    if (fd >= 0) return fd;
    /* It was there when it was listed. */
    bool is_gone = errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV;
    return is_gone ? refuse(RULE_SOURCE_TYPE, pack->entry.path.data, pack->entry.path.length) : report_failure(STAGE_READ_SOURCE, path);
}

/* Copies the body and makes sure that it was the same file of the same size all the while. */
static int write_source(struct pack *pack, int fd, uint64_t offset, bool is_whole)
{
    const struct buffer *path = &pack->entry.path;
    struct stat before, after;
    if (fstat(fd, &before) < 0) return report_failure(STAGE_READ_SOURCE, path->data);
    if (!S_ISREG(before.st_mode)) return refuse(RULE_SOURCE_TYPE, path->data, path->length);
    if (is_whole && (uint64_t)before.st_size != pack->entry.size) return refuse(RULE_SOURCE_SIZE, path->data, path->length);
    if (tar_write_entry(&pack->output, &pack->entry) < 0) return -1;
    int result = output_file(&pack->output, fd, offset, pack->entry.size);
    if (result < 0) return -1;
    if (fstat(fd, &after) < 0) return report_failure(STAGE_READ_SOURCE, path->data);
    bool changed = result > 0 || after.st_size != before.st_size || after.st_mtim.tv_sec != before.st_mtim.tv_sec || after.st_mtim.tv_nsec != before.st_mtim.tv_nsec;
    return changed ? refuse(RULE_SOURCE_SIZE, path->data, path->length) : 0;
}

/* The next frame. 0, or -1 with a report, also at the end of the stream: the last frame says that it is the last. */
static int next_frame(struct pack *pack, struct wire *frame)
{
    const uint8_t *bytes;
    int taken = input_take(&pack->input, 4, &bytes);
    if (taken <= 0) return taken < 0 ? -1 : fail_request();
    struct wire length = {.at = bytes, .end = bytes + 4};
    uint32_t size = wire_u32(&length);
    if (size == 0 || size > INPUT_MAX_TAKE) return fail_request();
    taken = input_take(&pack->input, size, &bytes);
    if (taken <= 0) return taken < 0 ? -1 : fail_request();
    *frame = (struct wire){.at = bytes, .end = bytes + size};
    return 0;
}

static int write_chunks(struct pack *pack)
{
    for (uint64_t left = pack->entry.size; left > 0;) {
        struct wire frame;
        if (next_frame(pack, &frame) < 0) return -1;
        uint8_t kind = wire_u8(&frame);
        size_t length = (size_t)(frame.end - frame.at);
        if (kind != FRAME_CHUNK || length == 0 || length > left) return fail_request();
        if (output_put(&pack->output, frame.at, length) < 0) return -1;
        left -= length;
    }
    return 0;
}

static int write_file(struct pack *pack, struct wire *frame)
{
    enum content kind = (enum content)wire_u8(frame);
    if (kind == CONTENT_NONE || kind == CONTENT_CHUNKS) {
        pack->entry.size = kind == CONTENT_CHUNKS ? wire_u64(frame) : 0;
        if (!wire_is_done(frame)) return fail_request();
        if (tar_write_entry(&pack->output, &pack->entry) < 0 || write_chunks(pack) < 0) return -1;
        return tar_pad(&pack->output, pack->entry.size);
    }
    int fd = open_content(pack, kind, frame);
    if (fd < 0) return -1;
    uint64_t offset = kind == CONTENT_RANGE ? wire_u64(frame) : 0;
    pack->entry.size = wire_u64(frame);
    int result = wire_is_done(frame) ? write_source(pack, fd, offset, kind == CONTENT_FILE) : fail_request();
    close(fd);
    return result < 0 ? -1 : tar_pad(&pack->output, pack->entry.size);
}

static int write_marker(struct pack *pack, uint8_t type)
{
    const struct buffer *path = &pack->entry.path;
    size_t parent = parent_length(path);
    if (type == WHITEOUT) {
        if (path->length == 0) return refuse(RULE_WHITEOUT, "", 0);
        if (take_place(pack, path, false) < 0) return -1;
        return tar_write_whiteout(&pack->output, path->data, parent, path->data + (parent ? parent + 1 : 0));
    }
    bool follows_its_directory = path->length > 0 && path->length == pack->previous.length && path->length == pack->directory.length &&
                                 memcmp(path->data, pack->previous.data, path->length) == 0;
    if (!follows_its_directory) return refuse(RULE_ORDER, path->data, path->length);
    return tar_write_whiteout(&pack->output, path->data, path->length, NULL);
}

static int write_entry(struct pack *pack, struct wire *frame)
{
    struct entry *entry = &pack->entry;
    uint8_t type = wire_u8(frame);
    struct wire_bytes path = wire_get_bytes(frame);
    buffer_set(&entry->path, path.data, path.length);
    entry->type = (enum entry_type)type;
    entry->mode = wire_u32(frame) & 07777;
    entry->uid = wire_u32(frame);
    entry->gid = wire_u32(frame);
    entry->mtime = (int64_t)wire_u64(frame);
    entry->major = wire_u32(frame);
    entry->minor = wire_u32(frame);
    struct wire_bytes link = wire_get_bytes(frame);
    buffer_set(&entry->link, link.data, link.length);
    entry->size = 0;
    rule_entry = pack->entries++;
    if (read_xattrs(frame, entry) < 0) return -1;
    if (frame->broken) return fail_request();
    if (check_path(&entry->path) < 0) return -1;
    if (type == WHITEOUT || type == OPAQUE) return write_marker(pack, type);
    if (check_entry(entry) < 0 || take_place(pack, &entry->path, type == ENTRY_DIRECTORY) < 0) return -1;
    if (entry->path.length == 0) pack->has_root = true;
    return type == ENTRY_FILE ? write_file(pack, frame) : tar_write_entry(&pack->output, entry);
}

static int add_source(struct pack *pack, struct wire *frame)
{
    const char *path = wire_text(frame);
    if (!wire_is_done(frame) || pack->source_count == MAX_SOURCES) return fail_request();
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return report_failure(STAGE_READ_SOURCE, path);
    pack->sources[pack->source_count++] = fd;
    return 0;
}

static int take_frame(struct pack *pack)
{
    struct wire frame;
    if (next_frame(pack, &frame) < 0) return -1;
    switch (wire_u8(&frame)) {
    case FRAME_SOURCE: return add_source(pack, &frame);
    case FRAME_ENTRY: return write_entry(pack, &frame);
    case FRAME_END: pack->ended = true; return 0;
    default: return fail_request();
    }
}

int run_pack_list(struct wire *request)
{
    static struct pack pack;
    const uint8_t *magic;
    if (!wire_is_done(request)) return fail_request(), 1;
    input_open(&pack.input, STDIN_FILENO);
    output_open(&pack.output, STDOUT_FILENO);
    buffer_set(&pack.directory, "", 0);
    if (input_take(&pack.input, 4, &magic) <= 0 || memcmp(magic, "TSB1", 4) != 0) return fail_request(), 1;
    while (!pack.ended) {
        if (take_frame(&pack) < 0) return 1;
    }
    if (tar_finish(&pack.output) < 0) return 1;
    struct record record = record_start();
    record_u64(&record, pack.entries);
    record_u64(&record, pack.output.total);
    record_u32(&record, pack.has_root);
    record_send(&record, RECORD_DONE);
    return 0;
}
