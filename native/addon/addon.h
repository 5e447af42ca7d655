/* What the addon's files share: argument readers that leave a pending exception, and errno as an exception or a broken promise. */
#ifndef TSBUILD_ADDON_H
#define TSBUILD_ADDON_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is read or inflated at a time, to be hashed while it is in the cache of the processor. */
#define BUFFER_BYTES (256u * 1024)

/* Throws an Error with `errno`, `code`, `syscall` and, unless NULL, `path`. Returns NULL, to be returned to JavaScript. */
napi_value throw_errno(napi_env env, int error, const char *syscall, const char *path);
napi_value throw_type(napi_env env, const char *message);
/* Breaks a promise with the same Error. */
void reject_errno(napi_env env, napi_deferred deferred, int error, const char *syscall, const char *path);

/* Each returns false with an exception pending. `out` of read_bytes stays owned by JavaScript and need not end in NUL. */
bool read_args(napi_env env, napi_callback_info info, size_t count, napi_value *args);
bool read_int(napi_env env, napi_value value, int64_t *out);
bool read_bytes(napi_env env, napi_value value, const uint8_t **out, size_t *length);

/* A NUL-terminated copy of a string or Uint8Array, to be freed; NULL with an exception pending, also for an inner NUL. */
char *copy_text(napi_env env, napi_value value);
/* A NULL-terminated array of such copies, freed by free_texts. */
char **copy_texts(napi_env env, napi_value array);
void free_texts(char **texts);

napi_value make_int(napi_env env, int64_t value);
void export_function(napi_env env, napi_value exports, const char *name, napi_callback function);

void init_process(napi_env env, napi_value exports);
void init_descriptors(napi_env env, napi_value exports);
void init_cgroup(napi_env env, napi_value exports);
void init_network(napi_env env, napi_value exports);
void init_xattrs(napi_env env, napi_value exports);
void init_gzip(napi_env env, napi_value exports);
void init_read_folder(napi_env env, napi_value exports);
void init_digest(napi_env env, napi_value exports);
void init_digest_files(napi_env env, napi_value exports);
void init_reader(napi_env env, napi_value exports);
void init_sink(napi_env env, napi_value exports);
void init_drain(napi_env env, napi_value exports);
void init_image_mount(napi_env env, napi_value exports);

#endif
