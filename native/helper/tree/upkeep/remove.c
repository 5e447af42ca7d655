/*
 * The mode remove: deletes trees with all that is in them, whatever that is.
 *   request   list of paths; one that is gone already is no failure
 *   done      {u64 inodes}, once, of all
 */
#include "tree/modes.h"

#include "report.h"
#include "tree/base/record.h"
#include "tree/base/stage.h"
#include "tree/files/delete.h"

#include <errno.h>
#include <fcntl.h>

int run_remove(struct wire *request)
{
    uint64_t inodes = 0;
    for (uint32_t left = wire_count(request, 5); left > 0; left--) {
        const char *path = wire_text(request);
        if (request->broken) break;
        if (delete_tree(AT_FDCWD, path, &inodes) < 0) return report_failure(STAGE_REMOVE, path), 1;
    }
    if (!wire_is_done(request)) {
        errno = EBADMSG;
        return report_failure(STAGE_TREE_REQUEST, "remove"), 1;
    }
    struct record record = record_start();
    record_u64(&record, inodes);
    record_send(&record, RECORD_DONE);
    return 0;
}
