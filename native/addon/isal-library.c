#include "isal-library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct isal_library library;
static const char *obstacle;
static char obstacle_text[256];

static void *find(void *handle, const char *name)
{
    void *symbol = dlsym(handle, name);
    if (!symbol && !obstacle) {
        snprintf(obstacle_text, sizeof obstacle_text, "libisal.so.2 has no %s", name);
        obstacle = obstacle_text;
    }
    return symbol;
}

/* Of a member as ISA-L writes it. */
#define HEADER_BYTES 10

struct trial {
    struct isal_zstream stream;
    uint8_t level[ISAL_LEVEL_BYTES];
    struct isal_inflate_state state;
    uint8_t plain[4096];
    uint8_t packed[8192];
    uint8_t again[8192];
};

static bool pack(struct trial *trial, uint32_t *length)
{
    for (size_t i = 0; i < sizeof trial->plain; i++) trial->plain[i] = (uint8_t)(i * i >> 5);
    struct isal_zstream *stream = &trial->stream;
    library.deflate_init(stream);
    stream->level = ISAL_LEVEL;
    stream->level_buf = trial->level;
    stream->level_buf_size = sizeof trial->level;
    stream->gzip_flag = ISAL_WRITES_GZIP;
    stream->end_of_stream = 1;
    stream->next_in = trial->plain;
    stream->avail_in = sizeof trial->plain;
    stream->next_out = trial->packed;
    stream->avail_out = sizeof trial->packed;
    if (library.deflate(stream) != 0 || stream->avail_in > 0 || stream->avail_out == 0) return false;
    *length = (uint32_t)sizeof trial->packed - stream->avail_out;
    return *length > HEADER_BYTES + 8;
}

static bool unpack(struct trial *trial, uint32_t length)
{
    library.inflate_init(&trial->state);
    trial->state.crc_flag = ISAL_CHECKS_TRAILER;
    trial->state.next_in = trial->packed + HEADER_BYTES;
    trial->state.avail_in = length - HEADER_BYTES;
    trial->state.next_out = trial->again;
    trial->state.avail_out = sizeof trial->again;
    return library.inflate(&trial->state) == 0 && trial->state.block_state == ISAL_BLOCK_FINISHED && trial->state.avail_in == 0 &&
           trial->state.avail_out == sizeof trial->again - sizeof trial->plain && memcmp(trial->plain, trial->again, sizeof trial->plain) == 0;
}

/* A library whose structures lie differently from what was promised would not pass: neither the way there and back, nor
   noticing a wrong checksum. */
static bool try_library(void)
{
    struct trial *trial = calloc(1, sizeof *trial);
    if (!trial) return false;
    uint32_t length = 0;
    bool works = pack(trial, &length) && unpack(trial, length);
    if (works) {
        trial->packed[length - 8] ^= 1;
        works = !unpack(trial, length);
    }
    free(trial);
    return works;
}

static void load(void)
{
    void *handle = dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(obstacle_text, sizeof obstacle_text, "%s", dlerror());
        obstacle = obstacle_text;
        return;
    }
    *(void **)&library.deflate_init = find(handle, "isal_deflate_init");
    *(void **)&library.deflate_set_dictionary = find(handle, "isal_deflate_set_dict");
    *(void **)&library.deflate = find(handle, "isal_deflate");
    *(void **)&library.inflate_init = find(handle, "isal_inflate_init");
    *(void **)&library.inflate = find(handle, "isal_inflate");
    if (!obstacle && !try_library()) obstacle = "libisal.so.2 failed a trial: it is not as its name promises";
}

const struct isal_library *get_isal(const char **reason)
{
    static bool is_loaded;
    if (!is_loaded) {
        is_loaded = true;
        if (sizeof(void *) == 8) load();
        else obstacle = "it is used on 64-bit machines only";
    }
    *reason = obstacle;
    return obstacle ? NULL : &library;
}
