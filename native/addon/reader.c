/* Reading pipes in the event loop. A stream of Node's costs a container several times what goes through it. */
#include "addon.h"
#include "node-exports.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PIPE_BYTES (64 * 1024)

struct reader {
    napi_env env;
    void *poll;
    int fd;
    bool is_over;
    struct reader **held; /* where JavaScript's reference keeps it; NULL when nobody holds it any more */
    napi_ref callback;
    napi_async_context context;
    napi_async_cleanup_hook_handle cleanup;
};

/* In a later turn of the loop: a callback of the reader's own may be what ends it. */
static void forget_reader(void *poll)
{
    struct reader *reader = uv_handle_get_data(poll);
    napi_handle_scope scope;
    napi_open_handle_scope(reader->env, &scope);
    napi_delete_reference(reader->env, reader->callback);
    napi_async_destroy(reader->env, reader->context);
    napi_close_handle_scope(reader->env, scope);
    napi_remove_async_cleanup_hook(reader->cleanup);
    free(poll);
    free(reader);
}

static void end_reader(struct reader *reader)
{
    if (reader->is_over) return;
    reader->is_over = true;
    uv_poll_stop(reader->poll);
    close(reader->fd);
    if (reader->held) *reader->held = NULL;
    uv_close(reader->poll, forget_reader);
}

static void end_with_environment(napi_async_cleanup_hook_handle handle, void *data)
{
    (void)handle;
    end_reader(data);
}

static void call_back(const struct reader *reader, napi_value bytes, napi_value error)
{
    napi_env env = reader->env;
    napi_value global, callback, exception, args[2] = {bytes, error};
    napi_get_global(env, &global);
    napi_get_reference_value(env, reader->callback, &callback);
    if (napi_make_callback(env, reader->context, global, callback, 2, args, NULL) != napi_pending_exception) return;
    napi_get_and_clear_last_exception(env, &exception);
    napi_fatal_exception(env, exception);
}

static void read_some(void *poll, int status, int events)
{
    (void)status;
    (void)events;
    uint8_t buffer[PIPE_BYTES];
    struct reader *reader = uv_handle_get_data(poll);
    napi_env env = reader->env;
    napi_handle_scope scope;
    napi_value bytes, error;
    ssize_t length = read(reader->fd, buffer, sizeof buffer);
    int failure = errno;
    if (length < 0 && (failure == EAGAIN || failure == EINTR)) return;
    napi_open_handle_scope(env, &scope);
    napi_get_undefined(env, &bytes);
    napi_get_undefined(env, &error);
    if (length > 0) napi_create_buffer_copy(env, (size_t)length, buffer, NULL, &bytes);
    if (length < 0) {
        throw_errno(env, failure, "read", NULL);
        napi_get_and_clear_last_exception(env, &error);
    }
    if (length <= 0) end_reader(reader);
    call_back(reader, bytes, error);
    napi_close_handle_scope(env, scope);
}

static void let_go(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    struct reader **held = data;
    if (*held) (*held)->held = NULL;
    free(held);
}

static struct reader *make_reader(napi_env env, int fd, napi_value callback)
{
    void *loop;
    napi_value name;
    struct reader *reader = calloc(1, sizeof *reader);
    void *poll = calloc(1, uv_handle_size(UV_POLL_HANDLE));
    struct reader **held = calloc(1, sizeof *held);
    if (!reader || !poll || !held || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || napi_get_uv_event_loop(env, (struct uv_loop_s **)&loop) != napi_ok || uv_poll_init(loop, poll, fd) != 0) {
        throw_errno(env, errno ? errno : ENOMEM, "uv_poll_init", NULL);
        free(reader);
        free(poll);
        free(held);
        return NULL;
    }
    *reader = (struct reader){.env = env, .poll = poll, .fd = fd, .held = held};
    *held = reader;
    uv_handle_set_data(poll, reader);
    napi_create_string_utf8(env, "tsbuild:reader", NAPI_AUTO_LENGTH, &name);
    napi_async_init(env, NULL, name, &reader->context);
    napi_create_reference(env, callback, 1, &reader->callback);
    napi_add_async_cleanup_hook(env, end_with_environment, reader, &reader->cleanup);
    return reader;
}

/* openReader(fd, callback): reads a pipe, which is the reader's then, and calls back with bytes; with none, or an error, at its end. */
static napi_value open_reader(napi_env env, napi_callback_info info)
{
    napi_value args[2], result;
    int64_t fd;
    if (!read_args(env, info, 2, args) || !read_int(env, args[0], &fd)) return NULL;
    struct reader *reader = make_reader(env, (int)fd, args[1]);
    if (!reader) return NULL;
    napi_create_external(env, reader->held, let_go, NULL, &result);
    uv_poll_start(reader->poll, UV_READABLE_EVENT, read_some);
    return result;
}

/* closeReader(reader): ends it without a callback; what the pipe holds by now, undefined when it was at its end. */
static napi_value close_reader(napi_env env, napi_callback_info info)
{
    napi_value args[1], result;
    void *held, *bytes;
    int length = 0;
    if (!read_args(env, info, 1, args) || napi_get_value_external(env, args[0], &held) != napi_ok) return NULL;
    struct reader *reader = *(struct reader **)held;
    napi_get_undefined(env, &result);
    if (!reader) return result;
    ioctl(reader->fd, FIONREAD, &length);
    if (length > 0 && napi_create_buffer(env, (size_t)length, &bytes, &result) == napi_ok && read(reader->fd, bytes, (size_t)length) != length) {
        throw_errno(env, EIO, "read", NULL);
    }
    end_reader(reader);
    return result;
}

void init_reader(napi_env env, napi_value exports)
{
    export_function(env, exports, "openReader", open_reader);
    export_function(env, exports, "closeReader", close_reader);
}
