/*
 * The mode sync: makes trees and files survive power loss.
 *   request   list of {u8 whether the whole filesystem is flushed instead of each file, text path}
 */
#include "tree/modes.h"

#include "report.h"
#include "tree/base/stage.h"
#include "tree/files/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

/* Files and directories; other inodes are part of the directory that names them. */
static int sync_entry(void *context, const struct walk_entry *entry)
{
    (void)context;
    if (!S_ISREG(entry->stat.st_mode) && !S_ISDIR(entry->stat.st_mode)) return 0;
    int fd = open(entry->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return report_failure(STAGE_SYNC, entry->path);
    int result = fsync(fd) < 0 ? report_failure(STAGE_SYNC, entry->path) : 0;
    close(fd);
    return result;
}

static int sync_tree(const char *path, bool is_whole)
{
    struct stat stat;
    int root = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0 || fstat(root, &stat) < 0) return report_failure(STAGE_OPEN_TREE, path);
    int result = is_whole || !S_ISDIR(stat.st_mode) || walk_tree(root, sync_entry, NULL) == 0 ? 0 : -1;
    if (result == 0 && (is_whole ? syncfs(root) : fsync(root)) < 0) result = report_failure(STAGE_SYNC, path);
    close(root);
    return result;
}

int run_sync(struct wire *request)
{
    for (uint32_t left = wire_count(request, 6); left > 0; left--) {
        bool is_whole = wire_u8(request) != 0;
        const char *path = wire_text(request);
        if (request->broken) break;
        if (sync_tree(path, is_whole) < 0) return 1;
    }
    if (wire_is_done(request)) return 0;
    errno = EBADMSG;
    return report_failure(STAGE_TREE_REQUEST, "sync"), 1;
}
