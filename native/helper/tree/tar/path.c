#include "tree/tar/path.h"

#include "tree/base/rule.h"
#include "tree/tar/entry.h"

#include <string.h>

static int starts_with(const char *name, size_t length, const char *prefix)
{
    return length >= strlen(prefix) && memcmp(name, prefix, strlen(prefix)) == 0;
}

int tar_normalize_path(struct buffer *path, const char *bytes, size_t length)
{
    size_t depth = 0;
    buffer_set(path, "", 0);
    if (length > MAX_PATH_BYTES) return refuse(RULE_PATH_LENGTH, bytes, length);
    for (size_t start = 0; start < length;) {
        const char *slash = memchr(bytes + start, '/', length - start);
        size_t end = slash ? (size_t)(slash - bytes) : length;
        const char *name = bytes + start;
        size_t size = end - start;
        start = end + 1;
        if (size == 0 || (size == 1 && name[0] == '.')) continue;
        if (size == 2 && name[0] == '.' && name[1] == '.') return refuse(RULE_PATH, bytes, length);
        size_t prefix = starts_with(name, size, WHITEOUT_PREFIX) ? strlen(WHITEOUT_PREFIX) : 0;
        if (size > MAX_NAME + prefix) return refuse(RULE_NAME_LENGTH, bytes, length);
        if (++depth > MAX_DEPTH) return refuse(RULE_DEPTH, bytes, length);
        path_push(path, name, size);
    }
    return 0;
}

static int has_whiteout_directory(const char *path, const char *name)
{
    for (const char *at = path; at < name; at = strchr(at, '/') + 1) {
        if (starts_with(at, (size_t)(name - at), WHITEOUT_PREFIX)) return starts_with(at, (size_t)(name - at), WHITEOUT_META_PREFIX) ? 2 : 1;
    }
    return 0;
}

enum whiteout tar_whiteout_kind(const char *path, size_t length)
{
    const char *slash = length ? memrchr(path, '/', length) : NULL;
    const char *name = slash ? slash + 1 : path;
    size_t size = length - (size_t)(name - path);
    int below = has_whiteout_directory(path, name);
    if (below) return below == 2 ? WHITEOUT_IGNORED : WHITEOUT_BELOW;
    if (!starts_with(name, size, WHITEOUT_PREFIX)) return WHITEOUT_NONE;
    if (size == strlen(WHITEOUT_OPAQUE) && memcmp(name, WHITEOUT_OPAQUE, size) == 0) return WHITEOUT_OPAQUE_MARKER;
    if (starts_with(name, size, WHITEOUT_META_PREFIX)) return size == strlen(WHITEOUT_META_PREFIX) ? WHITEOUT_MALFORMED : WHITEOUT_IGNORED;
    const char *rest = name + strlen(WHITEOUT_PREFIX);
    return strcmp(rest, "") == 0 || strcmp(rest, ".") == 0 || strcmp(rest, "..") == 0 ? WHITEOUT_MALFORMED : WHITEOUT_NAME;
}
