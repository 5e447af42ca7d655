#include "gzip-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The disk gets to work on what was written meanwhile, so that flushing it in the end does not take as long again. */
#define WRITEBACK_BYTES (8u * 1024 * 1024)
#define PROGRESS_BYTES (1024u * 1024)

/* The first failure is the one that counts. Everybody stops. */
static void fail(struct gzip_writer *writer, int error, const char *syscall)
{
    pthread_mutex_lock(&writer->lock);
    if (!writer->is_stopped) {
        writer->error = error;
        writer->syscall = syscall;
    }
    writer->is_stopped = true;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

static struct gzip_block *block_at(struct gzip_writer *writer, uint64_t number)
{
    return &writer->blocks[number % writer->block_count];
}

/* A whole block, or what is left. */
static bool read_block(struct gzip_writer *writer, struct gzip_block *block)
{
    uint8_t *into = block->input + DICTIONARY_BYTES;
    block->block_bytes = 0;
    while (block->block_bytes < BLOCK_BYTES) {
        ssize_t count = read(writer->input.fd, into + block->block_bytes, BLOCK_BYTES - block->block_bytes);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail(writer, errno, "read");
        if (count < 0) return false;
        if (count == 0) break;
        block->block_bytes += (size_t)count;
    }
    writer->input.bytes += block->block_bytes;
    writer->checksum = (uint32_t)crc32_z(writer->checksum, into, block->block_bytes);
    if (EVP_DigestUpdate(writer->input.digest, into, block->block_bytes)) return true;
    fail(writer, EIO, "EVP_DigestUpdate");
    return false;
}

/* Each block knows the end of the one before it. */
static void copy_dictionary(const struct gzip_block *previous, struct gzip_block *block)
{
    block->dictionary_bytes = DICTIONARY_BYTES;
    memcpy(block->input, previous->input + previous->block_bytes, DICTIONARY_BYTES);
}

static void *run_reader(void *data)
{
    struct gzip_writer *writer = data;
    for (uint64_t number = 0;; number++) {
        pthread_mutex_lock(&writer->lock);
        while (!writer->is_stopped && number - writer->written_blocks >= writer->block_count) pthread_cond_wait(&writer->changed, &writer->lock);
        bool is_stopped = writer->is_stopped;
        pthread_mutex_unlock(&writer->lock);
        struct gzip_block *block = block_at(writer, number);
        if (is_stopped || !read_block(writer, block)) break;
        block->dictionary_bytes = 0;
        if (number > 0) copy_dictionary(block_at(writer, number - 1), block);
        bool is_last = block->block_bytes < BLOCK_BYTES;
        pthread_mutex_lock(&writer->lock);
        if (block->block_bytes > 0) writer->read_blocks = number + 1;
        writer->is_read = is_last;
        pthread_cond_broadcast(&writer->changed);
        pthread_mutex_unlock(&writer->lock);
        if (is_last) break;
    }
    /* Who feeds it is not left waiting. */
    close(writer->input.fd);
    writer->input.fd = -1;
    return NULL;
}

/* NULL when there are no more. */
static struct gzip_block *claim_block(struct gzip_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    while (!writer->is_stopped && !writer->is_read && writer->claimed_blocks == writer->read_blocks) pthread_cond_wait(&writer->changed, &writer->lock);
    bool is_over = writer->is_stopped || writer->claimed_blocks == writer->read_blocks;
    struct gzip_block *block = is_over ? NULL : block_at(writer, writer->claimed_blocks++);
    pthread_mutex_unlock(&writer->lock);
    return block;
}

static void *run_worker(void *data)
{
    struct gzip_writer *writer = data;
    struct deflater *deflater = malloc(sizeof *deflater);
    if (!deflater) {
        fail(writer, ENOMEM, "malloc");
        return NULL;
    }
    deflater->isal = writer->isal;
    deflater->level = writer->level;
    struct gzip_block *block;
    while ((block = claim_block(writer))) {
        struct deflation deflation = {
            .block = block->input + DICTIONARY_BYTES, .block_bytes = block->block_bytes, .output = block->output,
            .dictionary = block->input + DICTIONARY_BYTES - block->dictionary_bytes, .dictionary_bytes = block->dictionary_bytes,
        };
        if (deflater_run(deflater, &deflation) < 0) {
            fail(writer, EIO, "deflate");
            break;
        }
        block->packed_bytes = deflation.produced;
        pthread_mutex_lock(&writer->lock);
        block->is_packed = true;
        pthread_cond_broadcast(&writer->changed);
        pthread_mutex_unlock(&writer->lock);
    }
    free(deflater);
    return NULL;
}

static bool write_bytes(struct gzip_writer *writer, const uint8_t *bytes, size_t length)
{
    if (!EVP_DigestUpdate(writer->output.digest, bytes, length)) {
        fail(writer, EIO, "EVP_DigestUpdate");
        return false;
    }
    while (length > 0) {
        ssize_t count = write(writer->output.fd, bytes, length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail(writer, errno, "write");
        if (count < 0) return false;
        bytes += count;
        length -= (size_t)count;
        writer->output.bytes += (uint64_t)count;
    }
    return true;
}

/* The next block when it is compressed; NULL when there are no more. */
static struct gzip_block *next_packed(struct gzip_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    uint64_t number = writer->written_blocks;
    struct gzip_block *block = block_at(writer, number);
    while (!writer->is_stopped && !block->is_packed && !(writer->is_read && number == writer->read_blocks)) pthread_cond_wait(&writer->changed, &writer->lock);
    bool is_over = writer->is_stopped || !block->is_packed;
    pthread_mutex_unlock(&writer->lock);
    return is_over ? NULL : block;
}

static void release_block(struct gzip_writer *writer, struct gzip_block *block)
{
    pthread_mutex_lock(&writer->lock);
    block->is_packed = false;
    writer->written_blocks++;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

/* Tells the disk to begin, which is a wish: whether everything was written is what flushing tells. */
static void write_blocks(struct gzip_writer *writer)
{
    uint64_t submitted = 0, told = 0;
    struct gzip_block *block;
    while ((block = next_packed(writer))) {
        if (!write_bytes(writer, block->output, block->packed_bytes)) return;
        release_block(writer, block);
        uint64_t written = writer->output.bytes;
        if (written - submitted >= WRITEBACK_BYTES) {
            sync_file_range(writer->output.fd, (off_t)submitted, (off_t)(written - submitted), SYNC_FILE_RANGE_WRITE);
            submitted = written;
        }
        if (written - told < PROGRESS_BYTES) continue;
        writer->progressed(writer->context, written);
        told = written;
    }
}

static void put_number(uint8_t *bytes, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++) bytes[i] = (uint8_t)(number >> (8 * i));
}

/* No time; no name of an operating system (255). @see RFC 1952 */
static const uint8_t header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};

static void *run_writer(void *data)
{
    struct gzip_writer *writer = data;
    if (write_bytes(writer, header, sizeof header)) write_blocks(writer);
    pthread_join(writer->reader, NULL);
    for (unsigned i = 0; i < writer->worker_count; i++) pthread_join(writer->workers[i], NULL);
    uint8_t trailer[10] = {3}; /* an empty last block, then what it all was */
    put_number(trailer + 2, writer->checksum);
    put_number(trailer + 6, (uint32_t)writer->input.bytes);
    if (!writer->is_stopped) write_bytes(writer, trailer, sizeof trailer);
    close(writer->output.fd);
    writer->output.fd = -1;
    writer->ended(writer->context);
    return NULL;
}

static bool open_side(struct gzip_side *side, int fd)
{
    side->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    side->digest = EVP_MD_CTX_new();
    return side->fd >= 0 && side->digest && EVP_DigestInit_ex(side->digest, EVP_sha256(), NULL);
}

static bool allocate_blocks(struct gzip_writer *writer)
{
    cpu_set_t cpus;
    int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    writer->worker_count = count > MAX_WORKERS ? MAX_WORKERS : (unsigned)count;
    writer->block_count = writer->worker_count + SPARE_BLOCKS;
    for (unsigned i = 0; i < writer->block_count; i++) {
        writer->blocks[i].input = malloc(DICTIONARY_BYTES + BLOCK_BYTES);
        writer->blocks[i].output = malloc(DEFLATED_BYTES);
        if (!writer->blocks[i].input || !writer->blocks[i].output) return false;
    }
    return true;
}

/* Those that run already end when there is nothing to do for them. */
static int start_threads(struct gzip_writer *writer)
{
    pthread_t last;
    int error = pthread_create(&writer->reader, NULL, run_reader, writer);
    if (error) return error;
    unsigned wanted = writer->worker_count;
    for (writer->worker_count = 0; writer->worker_count < wanted && !error; writer->worker_count += error ? 0 : 1) {
        error = pthread_create(&writer->workers[writer->worker_count], NULL, run_worker, writer);
    }
    if (!error || writer->worker_count > 0) error = pthread_create(&last, NULL, run_writer, writer);
    if (!error) return pthread_detach(last);
    fail(writer, error, "pthread_create");
    pthread_join(writer->reader, NULL);
    for (unsigned i = 0; i < writer->worker_count; i++) pthread_join(writer->workers[i], NULL);
    return error;
}

int gzip_writer_start(struct gzip_writer *writer, int input_fd, int output_fd)
{
    sigset_t all, before;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->changed, NULL);
    writer->input.fd = writer->output.fd = -1;
    writer->syscall = "writeGzip";
    if (!open_side(&writer->input, input_fd) || !open_side(&writer->output, output_fd) || !allocate_blocks(writer)) {
        writer->error = errno ? errno : ENOMEM;
        return -1;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    /* What does run may have failed already, and its failure stands. */
    int error = start_threads(writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) writer->error = error;
    return error ? -1 : 0;
}

static void close_side(struct gzip_side *side)
{
    if (side->fd >= 0) close(side->fd);
    EVP_MD_CTX_free(side->digest);
}

void gzip_writer_close(struct gzip_writer *writer)
{
    close_side(&writer->input);
    close_side(&writer->output);
    for (unsigned i = 0; i < MAX_BLOCKS; i++) {
        free(writer->blocks[i].input);
        free(writer->blocks[i].output);
    }
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
}
