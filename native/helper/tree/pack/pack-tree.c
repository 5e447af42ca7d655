/*
 * The mode pack-tree: the changeset of an upperdir, or of a layer directory that was one, as tar on stdout.
 *   request   text directory, u8 overlay namespace, u8 whether the root has an entry,
 *             u8 opaque marks (0 where they hide something, 1 all), list of lower layers
 *   done      {u64 entries, u64 inodes, u64 bytes on disk, u64 tar bytes}
 */
#include "tree/modes.h"

#include "report.h"
#include "tree/base/record.h"
#include "tree/base/rule.h"
#include "tree/base/stage.h"
#include "tree/files/lowers.h"
#include "tree/files/totals.h"
#include "tree/files/walk.h"
#include "tree/files/whiteout.h"
#include "tree/tar/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct pack {
    int root;
    enum overlay_namespace space;
    bool has_root_entry;
    bool all_opaque;
    struct lowers lowers;
    struct output output;
    struct links links;
    struct totals totals;
    struct entry entry;
    uint64_t entries;
};

static void describe(struct entry *entry, const struct stat *stat)
{
    entry->mode = stat->st_mode & 07777;
    entry->uid = stat->st_uid;
    entry->gid = stat->st_gid;
    entry->size = 0;
    entry->mtime = stat->st_mtim.tv_sec;
    entry->major = major(stat->st_rdev);
    entry->minor = minor(stat->st_rdev);
    buffer_set(&entry->link, "", 0);
}

static int write_whiteout(struct pack *pack, const struct walk_entry *walked)
{
    const char *slash = strrchr(walked->path, '/');
    pack->entries++;
    return tar_write_whiteout(&pack->output, walked->path, slash ? (size_t)(slash - walked->path) : 0, walked->name);
}

/* A socket has no place in a tar; what it replaced must not come back because of that. */
static int write_socket(struct pack *pack, const struct walk_entry *walked)
{
    struct stat below;
    int directory;
    int found = lowers_find(&pack->lowers, walked->path, &below, &directory);
    return found > 0 ? write_whiteout(pack, walked) : found;
}

static int write_body(struct pack *pack, int fd, const struct stat *stat)
{
    uint64_t size = (uint64_t)stat->st_size, at = 0;
    bool is_sparse = (uint64_t)stat->st_blocks * 512 < size;
    while (at < size) {
        uint64_t data = at, hole = size;
        if (is_sparse) {
            off_t next = lseek(fd, (off_t)at, SEEK_DATA);
            data = next < 0 ? size : (uint64_t)next;
            next = data < size ? lseek(fd, (off_t)data, SEEK_HOLE) : (off_t)size;
            hole = next < 0 ? size : (uint64_t)next;
        }
        if (output_zeros(&pack->output, data - at) < 0) return -1;
        int result = output_file(&pack->output, fd, data, hole - data);
        if (result != 0) return result < 0 ? -1 : refuse(RULE_SOURCE_SIZE, pack->entry.path.data, pack->entry.path.length);
        at = hole;
    }
    return tar_pad(&pack->output, size);
}

static int write_file(struct pack *pack, const struct walk_entry *walked, struct overlay_marks *marks)
{
    int fd = open(walked->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return report_failure(STAGE_READ_TREE, walked->path);
    pack->entry.type = ENTRY_FILE;
    pack->entry.size = (uint64_t)walked->stat.st_size;
    int result = xattrs_read(&pack->entry.xattrs, fd, walked->path, pack->space, marks);
    if (result == 0 && marks->refers) result = refuse(RULE_REDIRECT, walked->path, walked->path_length);
    if (result == 0) result = tar_write_entry(&pack->output, &pack->entry);
    if (result == 0) result = write_body(pack, fd, &walked->stat);
    close(fd);
    return result;
}

static int read_symlink(struct pack *pack, const struct walk_entry *walked)
{
    char target[MAX_LINK_TARGET + 2];
    ssize_t length = readlink(walked->name, target, sizeof target);
    if (length < 0) return report_failure(STAGE_READ_TREE, walked->path);
    buffer_set(&pack->entry.link, target, (size_t)length);
    return 0;
}

/* Overlayfs marks every directory opaque that is new in a merged one; only where one lies below does it hide anything. */
static int write_opaque_marker(struct pack *pack, const struct walk_entry *walked)
{
    struct stat below = {.st_mode = S_IFDIR};
    int directory;
    int found = pack->all_opaque ? 1 : lowers_find(&pack->lowers, walked->path, &below, &directory);
    if (found <= 0 || !S_ISDIR(below.st_mode)) return found < 0 ? -1 : 0;
    pack->entries++;
    return tar_write_whiteout(&pack->output, walked->path, walked->path_length, NULL);
}

static int write_special(struct pack *pack, const struct walk_entry *walked, struct overlay_marks *marks)
{
    switch (walked->stat.st_mode & S_IFMT) {
    case S_IFDIR: pack->entry.type = ENTRY_DIRECTORY; break;
    case S_IFLNK: pack->entry.type = ENTRY_SYMLINK; break;
    case S_IFCHR: pack->entry.type = ENTRY_CHAR; break;
    case S_IFBLK: pack->entry.type = ENTRY_BLOCK; break;
    default: pack->entry.type = ENTRY_FIFO;
    }
    if (pack->entry.type == ENTRY_SYMLINK && read_symlink(pack, walked) < 0) return -1;
    if (xattrs_read(&pack->entry.xattrs, -1, walked->name, pack->space, marks) < 0) return -1;
    if (marks->refers) return refuse(RULE_REDIRECT, walked->path, walked->path_length);
    if (tar_write_entry(&pack->output, &pack->entry) < 0) return -1;
    return marks->opaque && pack->entry.type == ENTRY_DIRECTORY ? write_opaque_marker(pack, walked) : 0;
}

static int write_hard_link(struct pack *pack, const char *first)
{
    pack->entry.type = ENTRY_HARD_LINK;
    buffer_set(&pack->entry.link, first, strlen(first));
    xattrs_clear(&pack->entry.xattrs);
    return tar_write_entry(&pack->output, &pack->entry);
}

static int check_limits(const struct walk_entry *walked)
{
    if (strncmp(walked->name, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0) return refuse(RULE_WHITEOUT_NAME, walked->path, walked->path_length);
    if (walked->path_length > MAX_PATH_BYTES) return refuse(RULE_PATH_LENGTH, walked->path, walked->path_length);
    if (walked->depth > MAX_DEPTH) return refuse(RULE_DEPTH, walked->path, walked->path_length);
    return 0;
}

static int pack_entry(void *context, const struct walk_entry *walked)
{
    struct pack *pack = context;
    struct overlay_marks marks = {0};
    bool has_links = walked->stat.st_nlink > 1 && !S_ISDIR(walked->stat.st_mode);
    const char *first = has_links ? links_find_or_add(&pack->links, walked->stat.st_ino, walked->path, walked->path_length) : NULL;
    if (!first) totals_add(&pack->totals, &walked->stat);
    if (check_limits(walked) < 0) return -1;
    if (is_whiteout_mark(&walked->stat)) return write_whiteout(pack, walked);
    if (S_ISSOCK(walked->stat.st_mode)) return write_socket(pack, walked);
    buffer_set(&pack->entry.path, walked->path, walked->path_length);
    describe(&pack->entry, &walked->stat);
    rule_entry = pack->entries++;
    if (first) return write_hard_link(pack, first);
    return S_ISREG(walked->stat.st_mode) ? write_file(pack, walked, &marks) : write_special(pack, walked, &marks);
}

static int pack_root(struct pack *pack)
{
    struct stat stat;
    struct overlay_marks marks;
    if (fstat(pack->root, &stat) < 0) return report_failure(STAGE_READ_TREE, "");
    totals_add(&pack->totals, &stat);
    if (!pack->has_root_entry) return 0;
    buffer_set(&pack->entry.path, "", 0);
    describe(&pack->entry, &stat);
    pack->entry.type = ENTRY_DIRECTORY;
    if (xattrs_read(&pack->entry.xattrs, pack->root, "", pack->space, &marks) < 0) return -1;
    pack->entries++;
    return tar_write_entry(&pack->output, &pack->entry);
}

static void report_done(const struct pack *pack)
{
    struct record record = record_start();
    record_u64(&record, pack->entries);
    record_u64(&record, pack->totals.inodes);
    record_u64(&record, pack->totals.bytes);
    record_u64(&record, pack->output.total);
    record_send(&record, RECORD_DONE);
}

int run_pack_tree(struct wire *request)
{
    static struct pack pack;
    const char *directory = wire_text(request);
    pack.space = wire_u8(request) ? OVERLAY_USER : OVERLAY_TRUSTED;
    pack.has_root_entry = wire_u8(request) != 0;
    pack.all_opaque = wire_u8(request) != 0;
    if (lowers_open(&pack.lowers, request, pack.space) < 0) return 1;
    if (!wire_is_done(request)) {
        errno = EBADMSG;
        return report_failure(STAGE_TREE_REQUEST, "pack-tree"), 1;
    }
    pack.root = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (pack.root < 0) return report_failure(STAGE_OPEN_TREE, directory), 1;
    output_open(&pack.output, STDOUT_FILENO);
    if (pack_root(&pack) < 0 || walk_tree(pack.root, pack_entry, &pack) < 0 || tar_finish(&pack.output) < 0) return 1;
    report_done(&pack);
    return 0;
}
