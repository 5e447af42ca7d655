/*
 * The mode flatten: layers merged by copying them.
 *   request   text empty directory, text file whose modification time becomes that of the end of the copy,
 *             u8 overlay namespace, list of layers
 *   done      {}
 * The mode extract: what was changed in such a copy since the file's time, as an upperdir. The copy is used up.
 *   request   text directory, text file, u8 overlay namespace, list of layers, text empty upperdir
 *   done      {}
 */
#include "flat/modes.h"

#include "container/layers.h"
#include "flat/extract.h"
#include "flat/flatten.h"
#include "flat/start-time.h"
#include "report.h"
#include "tree/base/record.h"
#include "tree/base/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct copied {
    const char *path;
    int tree;
    int start;
    struct container_root root;
    struct layers layers;
};

/* A folder takes as many descriptors as layers have it, and so do all above it. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_copied(struct wire *request, struct copied *copied)
{
    copied->path = wire_text(request);
    const char *start = wire_text(request);
    copied->root = (struct container_root){.upperdir = "", .workdir = ""};
    copied->root.has_user_xattrs = wire_u8(request) == 1;
    struct lower_list *lowers = &copied->root.lowers;
    lowers->count = wire_count(request, LOWER_LEAST);
    lowers->items = calloc(lowers->count + 1, sizeof *lowers->items);
    if (!lowers->items) return report_failure(STAGE_MEMORY, copied->path);
    for (uint32_t i = 0; i < lowers->count; i++) lowers->items[i] = lower_read(request);
    if (request->broken) return errno = EBADMSG, report_failure(STAGE_TREE_REQUEST, "layers");
    raise_descriptor_limit();
    umask(0);
    copied->tree = open(copied->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    copied->start = copied->tree < 0 ? -1 : open(start, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (copied->start < 0) return report_failure(STAGE_OPEN_TREE, copied->path);
    return open_layers_to_read(&copied->root, &copied->layers);
}

static void report_done(void)
{
    struct record record = record_start();
    record_send(&record, RECORD_DONE);
}

int run_flatten(struct wire *request)
{
    struct copied copied;
    if (open_copied(request, &copied) < 0) return 1;
    if (!wire_is_done(request)) return errno = EBADMSG, report_failure(STAGE_TREE_REQUEST, "flatten"), 1;
    if (flatten(&copied.layers, copied.tree) < 0 || stamp_start(copied.start) < 0) return report_failure(STAGE_WRITE_TREE, copied.path), 1;
    report_done();
    return 0;
}

int run_extract(struct wire *request)
{
    static const char *const skipped[] = {NULL};
    const struct own_changes own = {0};
    struct copied copied;
    struct stat start;
    if (open_copied(request, &copied) < 0) return 1;
    const char *path = wire_text(request);
    if (!wire_is_done(request)) return errno = EBADMSG, report_failure(STAGE_TREE_REQUEST, "extract"), 1;
    const int folders[2] = {copied.tree, open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (folders[1] < 0 || fstat(copied.start, &start) < 0) return report_failure(STAGE_OPEN_TREE, path), 1;
    if (extract_changes(&copied.layers, &start.st_mtim, &own, skipped, folders) < 0) return report_failure(STAGE_READ_TREE, copied.path), 1;
    report_done();
    return 0;
}
