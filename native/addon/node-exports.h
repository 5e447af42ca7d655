/*
 * What every node binary exports beside Node-API because it contains it: zlib, OpenSSL and libuv. Their headers do not come with
 * Node-API's, so the few names that are used are declared here, as their stable interfaces have them.
 */
#ifndef TSBUILD_NODE_EXPORTS_H
#define TSBUILD_NODE_EXPORTS_H

#include <stddef.h>
#include <stdint.h>

/* zlib.h of 1.2 and later; inflateInit2_ compares the size of the struct and the first digit of the version. */
struct zlib_stream {
    const uint8_t *next_in;
    unsigned avail_in;
    unsigned long total_in;
    uint8_t *next_out;
    unsigned avail_out;
    unsigned long total_out;
    const char *message;
    void *state;
    void *(*allocate)(void *, unsigned, unsigned);
    void (*release)(void *, void *);
    void *opaque;
    int data_type;
    unsigned long check;
    unsigned long reserved;
};

#define ZLIB_OK 0
#define ZLIB_END 1
#define ZLIB_BUFFER (-5)
#define ZLIB_MEMORY (-4)
#define ZLIB_NO_FLUSH 0
#define ZLIB_GZIP_ONLY (15 + 16)

int inflateInit2_(struct zlib_stream *stream, int window_bits, const char *version, int struct_size);
int inflate(struct zlib_stream *stream, int flush);
int inflateReset(struct zlib_stream *stream);
int inflateEnd(struct zlib_stream *stream);
int deflateInit2_(struct zlib_stream *stream, int level, int method, int window_bits, int memory, int strategy, const char *version, int struct_size);
int deflate(struct zlib_stream *stream, int flush);
int deflateSetDictionary(struct zlib_stream *stream, const uint8_t *dictionary, unsigned length);
int deflateEnd(struct zlib_stream *stream);
unsigned long crc32_z(unsigned long checksum, const uint8_t *bytes, size_t length);

/* openssl/evp.h; each of the first three returns 1 when it worked. */
typedef struct evp_md_ctx_st evp_digest;
int EVP_DigestInit_ex(evp_digest *digest, const void *algorithm, void *engine);
int EVP_DigestUpdate(evp_digest *digest, const void *bytes, size_t length);
int EVP_DigestFinal_ex(evp_digest *digest, uint8_t *out, unsigned *length);
evp_digest *EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(evp_digest *digest);
const void *EVP_sha256(void);
const void *EVP_sha512(void);

/* uv.h of 1.19 and later. A handle's size is asked for, so that its struct need not be known. */
#define UV_POLL_HANDLE 8
#define UV_READABLE_EVENT 1
size_t uv_handle_size(int type);
void uv_handle_set_data(void *handle, void *data);
void *uv_handle_get_data(const void *handle);
void uv_close(void *handle, void (*callback)(void *handle));
int uv_poll_init(void *loop, void *poll, int fd);
int uv_poll_start(void *poll, int events, void (*callback)(void *poll, int status, int events));
int uv_poll_stop(void *poll);

#endif
