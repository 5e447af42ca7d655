/*
 * The mode measure: what trees occupy.
 *   request   list of directories
 *   done      {u64 inodes, u64 bytes on disk}, once for each, in order
 */
#include "tree/upkeep/measure.h"

#include "report.h"
#include "tree/base/record.h"
#include "tree/base/stage.h"
#include "tree/files/links.h"
#include "tree/files/walk.h"
#include "tree/modes.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct measurement {
    struct totals *totals;
    struct links links;
};

static int measure_entry(void *context, const struct walk_entry *entry)
{
    struct measurement *measurement = context;
    bool has_links = entry->stat.st_nlink > 1 && !S_ISDIR(entry->stat.st_mode);
    if (!has_links || !links_find_or_add(&measurement->links, entry->stat.st_ino, "", 0)) totals_add(measurement->totals, &entry->stat);
    return 0;
}

int measure_tree(int root, struct totals *totals)
{
    struct measurement measurement = {.totals = totals};
    struct stat stat;
    *totals = (struct totals){0};
    if (fstat(root, &stat) < 0) return report_failure(STAGE_READ_TREE, "");
    totals_add(totals, &stat);
    int result = walk_tree(root, measure_entry, &measurement);
    links_free(&measurement.links);
    return result;
}

static int measure_and_report(const char *path)
{
    struct totals totals;
    int root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0) return report_failure(STAGE_OPEN_TREE, path);
    int result = measure_tree(root, &totals);
    close(root);
    if (result < 0) return -1;
    struct record record = record_start();
    record_u64(&record, totals.inodes);
    record_u64(&record, totals.bytes);
    record_send(&record, RECORD_DONE);
    return 0;
}

int run_measure(struct wire *request)
{
    for (uint32_t left = wire_count(request, 5); left > 0; left--) {
        const char *path = wire_text(request);
        if (request->broken) break;
        if (measure_and_report(path) < 0) return 1;
    }
    if (wire_is_done(request)) return 0;
    errno = EBADMSG;
    return report_failure(STAGE_TREE_REQUEST, "measure"), 1;
}
