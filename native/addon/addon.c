#include "addon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exported by every node binary; maps -errno to "ENOENT". */
extern const char *uv_err_name(int error);

napi_value throw_errno(napi_env env, int error, const char *syscall, const char *path)
{
    char text[512];
    snprintf(text, sizeof text, "%s: %s, %s%s%s%s", uv_err_name(-error), strerror(error), syscall, path ? " '" : "", path ? path : "", path ? "'" : "");
    napi_value code, message, exception, value;
    napi_create_string_utf8(env, uv_err_name(-error), NAPI_AUTO_LENGTH, &code);
    napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
    if (napi_create_error(env, code, message, &exception) != napi_ok) return NULL;
    napi_create_int32(env, -error, &value);
    napi_set_named_property(env, exception, "errno", value);
    napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &value);
    napi_set_named_property(env, exception, "syscall", value);
    if (path) {
        napi_create_string_utf8(env, path, NAPI_AUTO_LENGTH, &value);
        napi_set_named_property(env, exception, "path", value);
    }
    napi_throw(env, exception);
    return NULL;
}

void reject_errno(napi_env env, napi_deferred deferred, int error, const char *syscall, const char *path)
{
    napi_value exception;
    throw_errno(env, error, syscall, path);
    napi_get_and_clear_last_exception(env, &exception);
    napi_reject_deferred(env, deferred, exception);
}

napi_value throw_type(napi_env env, const char *message)
{
    napi_throw_type_error(env, NULL, message);
    return NULL;
}

bool read_args(napi_env env, napi_callback_info info, size_t count, napi_value *args)
{
    size_t given = count;
    if (napi_get_cb_info(env, info, &given, args, NULL, NULL) == napi_ok && given >= count) return true;
    throw_type(env, "too few arguments");
    return false;
}

bool read_int(napi_env env, napi_value value, int64_t *out)
{
    if (napi_get_value_int64(env, value, out) == napi_ok) return true;
    throw_type(env, "want a number");
    return false;
}

bool read_bytes(napi_env env, napi_value value, const uint8_t **out, size_t *length)
{
    bool is_typed = false;
    napi_typedarray_type type;
    void *data = NULL;
    if (napi_is_typedarray(env, value, &is_typed) == napi_ok && is_typed &&
        napi_get_typedarray_info(env, value, &type, length, &data, NULL, NULL) == napi_ok && type == napi_uint8_array) {
        *out = data;
        return true;
    }
    throw_type(env, "want a Uint8Array");
    return false;
}

char *copy_text(napi_env env, napi_value value)
{
    char *copy = NULL;
    size_t length = 0;
    napi_valuetype type;
    napi_typeof(env, value, &type);
    if (type == napi_string) {
        napi_get_value_string_utf8(env, value, NULL, 0, &length);
        copy = malloc(length + 1);
        if (copy) napi_get_value_string_utf8(env, value, copy, length + 1, &length);
    } else {
        const uint8_t *bytes;
        if (!read_bytes(env, value, &bytes, &length)) return NULL;
        copy = malloc(length + 1);
        if (copy) {
            memcpy(copy, bytes, length);
            copy[length] = 0;
        }
    }
    if (!copy) {
        throw_errno(env, ENOMEM, "malloc", NULL);
        return NULL;
    }
    if (strlen(copy) != length) {
        free(copy);
        throw_type(env, "a text must not contain NUL");
        return NULL;
    }
    return copy;
}

char **copy_texts(napi_env env, napi_value array)
{
    uint32_t length;
    if (napi_get_array_length(env, array, &length) != napi_ok) {
        throw_type(env, "want an array of texts");
        return NULL;
    }
    char **texts = calloc((size_t)length + 1, sizeof *texts);
    if (!texts) {
        throw_errno(env, ENOMEM, "calloc", NULL);
        return NULL;
    }
    for (uint32_t i = 0; i < length; i++) {
        napi_value item;
        napi_get_element(env, array, i, &item);
        texts[i] = copy_text(env, item);
        if (!texts[i]) {
            free_texts(texts);
            return NULL;
        }
    }
    return texts;
}

void free_texts(char **texts)
{
    if (!texts) return;
    for (char **text = texts; *text; text++) free(*text);
    free(texts);
}

napi_value make_int(napi_env env, int64_t value)
{
    napi_value result;
    return napi_create_int64(env, value, &result) == napi_ok ? result : NULL;
}

void export_function(napi_env env, napi_value exports, const char *name, napi_callback function)
{
    napi_value value;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value);
    napi_set_named_property(env, exports, name, value);
}

NAPI_MODULE_INIT()
{
    init_process(env, exports);
    init_descriptors(env, exports);
    init_cgroup(env, exports);
    init_network(env, exports);
    init_xattrs(env, exports);
    init_gzip(env, exports);
    init_read_folder(env, exports);
    init_digest(env, exports);
    init_digest_files(env, exports);
    init_reader(env, exports);
    init_sink(env, exports);
    init_drain(env, exports);
    init_image_mount(env, exports);
    return exports;
}
