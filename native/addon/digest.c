/* SHA-256 of what is short: Node's own module for it takes longer to load than most commands hash. */
#include "addon.h"
#include "node-exports.h"

#include <errno.h>
#include <stdlib.h>

#define DIGEST_BYTES 32
#define USUAL_TEXT_BYTES 4096

static napi_value hash_bytes(napi_env env, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES];
    napi_value result = NULL;
    evp_digest *context = EVP_MD_CTX_new();
    bool is_done = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(context, bytes, length) == 1 && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (!is_done) return throw_errno(env, EIO, "digest", NULL);
    for (int i = 0; i < DIGEST_BYTES; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    napi_create_string_latin1(env, hex, sizeof hex, &result);
    return result;
}

/* sha256(bytes or text): its 64 digits. A text is hashed as UTF-8. */
static napi_value hash_value(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    napi_valuetype type;
    const uint8_t *bytes;
    size_t length;
    char usual[USUAL_TEXT_BYTES];
    if (!read_args(env, info, 1, args)) return NULL;
    napi_typeof(env, args[0], &type);
    if (type != napi_string) return read_bytes(env, args[0], &bytes, &length) ? hash_bytes(env, bytes, length) : NULL;
    napi_get_value_string_utf8(env, args[0], NULL, 0, &length);
    char *text = length < sizeof usual ? usual : malloc(length + 1);
    if (!text) return throw_errno(env, ENOMEM, "malloc", NULL);
    napi_get_value_string_utf8(env, args[0], text, length + 1, &length);
    napi_value result = hash_bytes(env, (const uint8_t *)text, length);
    if (text != usual) free(text);
    return result;
}

void init_digest(napi_env env, napi_value exports)
{
    export_function(env, exports, "sha256", hash_value);
}
