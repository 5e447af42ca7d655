/* Extended attributes, of a link itself when the path is one. */
#include "addon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define LARGEST ((size_t)64 << 10) /* XATTR_LIST_MAX and XATTR_SIZE_MAX */

static napi_value make_buffer(napi_env env, const void *bytes, size_t length)
{
    napi_value buffer;
    return napi_create_buffer_copy(env, length, bytes, NULL, &buffer) == napi_ok ? buffer : NULL;
}

/* [name, value] as [string, Buffer]; names are ASCII by custom and go as Latin-1, so that none is lost. */
static napi_value make_pair(napi_env env, const char *name, const void *value, size_t length)
{
    napi_value pair, text;
    napi_create_array_with_length(env, 2, &pair);
    napi_create_string_latin1(env, name, NAPI_AUTO_LENGTH, &text);
    napi_set_element(env, pair, 0, text);
    napi_set_element(env, pair, 1, make_buffer(env, value, length));
    return pair;
}

static napi_value collect(napi_env env, const char *path, const char *names, size_t length)
{
    static _Thread_local char value[LARGEST];
    napi_value list;
    uint32_t count = 0;
    napi_create_array(env, &list);
    for (const char *name = names; name < names + length; name += strlen(name) + 1) {
        ssize_t size = lgetxattr(path, name, value, sizeof value);
        if (size < 0 && errno == ENODATA) continue;
        if (size < 0) return throw_errno(env, errno, "lgetxattr", path);
        napi_set_element(env, list, count++, make_pair(env, name, value, (size_t)size));
    }
    return list;
}

/* readXattrs(path): all that the kernel lists; none where the filesystem has no attributes. */
static napi_value read_xattrs(napi_env env, napi_callback_info info)
{
    static _Thread_local char names[LARGEST];
    napi_value args[1], result;
    if (!read_args(env, info, 1, args)) return NULL;
    char *path = copy_text(env, args[0]);
    if (!path) return NULL;
    ssize_t length = llistxattr(path, names, sizeof names);
    if (length < 0 && errno == ENOTSUP) length = 0;
    result = length < 0 ? throw_errno(env, errno, "llistxattr", path) : collect(env, path, names, (size_t)length);
    free(path);
    return result;
}

/* getXattr(path, name): its value, or undefined when there is none. */
static napi_value get_xattr(napi_env env, napi_callback_info info)
{
    static _Thread_local char value[LARGEST];
    napi_value args[2], result = NULL;
    if (!read_args(env, info, 2, args)) return NULL;
    char *path = copy_text(env, args[0]);
    char *name = path ? copy_text(env, args[1]) : NULL;
    if (name) {
        ssize_t size = lgetxattr(path, name, value, sizeof value);
        if (size >= 0) result = make_buffer(env, value, (size_t)size);
        else if (errno == ENODATA || errno == ENOTSUP) napi_get_undefined(env, &result);
        else throw_errno(env, errno, "lgetxattr", path);
    }
    free(name);
    free(path);
    return result;
}

/* setXattr(path, name, value) */
static napi_value set_xattr(napi_env env, napi_callback_info info)
{
    napi_value args[3], result = NULL;
    const uint8_t *value;
    size_t length;
    if (!read_args(env, info, 3, args) || !read_bytes(env, args[2], &value, &length)) return NULL;
    char *path = copy_text(env, args[0]);
    char *name = path ? copy_text(env, args[1]) : NULL;
    if (name) {
        if (lsetxattr(path, name, value, length, 0) == 0) napi_get_undefined(env, &result);
        else throw_errno(env, errno, "lsetxattr", path);
    }
    free(name);
    free(path);
    return result;
}

void init_xattrs(napi_env env, napi_value exports)
{
    export_function(env, exports, "readXattrs", read_xattrs);
    export_function(env, exports, "getXattr", get_xattr);
    export_function(env, exports, "setXattr", set_xattr);
}
