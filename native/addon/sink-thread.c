#include "sink-thread.h"

#include <pthread.h>
#include <stdlib.h>

struct sink_thread {
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint8_t *given; /* NULL while there is nothing to do */
    size_t bytes;
    uint8_t *spare;
    bool is_over, has_failed;
    struct sink_work *work; /* why it failed */
};

static void *run(void *data)
{
    struct sink_thread *thread = data;
    pthread_mutex_lock(&thread->lock);
    for (;;) {
        while (!thread->given && !thread->is_over) pthread_cond_wait(&thread->changed, &thread->lock);
        if (!thread->given) break;
        struct iovec piece = {.iov_base = thread->given, .iov_len = thread->bytes};
        pthread_mutex_unlock(&thread->lock);
        bool is_taken = sink_take(thread->work, &piece, 1);
        pthread_mutex_lock(&thread->lock);
        thread->has_failed = !is_taken;
        thread->spare = thread->given;
        thread->given = NULL;
        pthread_cond_signal(&thread->changed);
    }
    pthread_mutex_unlock(&thread->lock);
    return NULL;
}

static void free_thread(struct sink_thread *thread)
{
    free(thread->work);
    free(thread->spare);
    free(thread);
}

struct sink_thread *sink_thread_start(struct sink *sink)
{
    struct sink_thread *thread = calloc(1, sizeof *thread);
    if (!thread) return NULL;
    thread->work = calloc(1, sizeof *thread->work);
    thread->spare = malloc(BUFFER_BYTES);
    if (thread->work && thread->spare) {
        thread->work->sink = sink;
        pthread_mutex_init(&thread->lock, NULL);
        pthread_cond_init(&thread->changed, NULL);
        if (pthread_create(&thread->id, NULL, run, thread) == 0) return thread;
    }
    free_thread(thread);
    return NULL;
}

/* With the lock. */
static bool wait_until_written(struct sink_thread *thread, struct sink_work *work)
{
    while (thread->given) pthread_cond_wait(&thread->changed, &thread->lock);
    if (!thread->has_failed) return true;
    work->outcome = thread->work->outcome;
    work->error = thread->work->error;
    work->syscall = thread->work->syscall;
    return false;
}

bool sink_thread_give(struct sink_work *work, uint8_t **buffer, size_t bytes)
{
    struct sink_thread *thread = work->sink->thread;
    pthread_mutex_lock(&thread->lock);
    bool is_written = wait_until_written(thread, work);
    if (is_written) {
        thread->given = *buffer;
        thread->bytes = bytes;
        *buffer = thread->spare;
        thread->spare = NULL;
        pthread_cond_signal(&thread->changed);
    }
    pthread_mutex_unlock(&thread->lock);
    return is_written;
}

bool sink_thread_wait(struct sink_work *work)
{
    struct sink_thread *thread = work->sink->thread;
    pthread_mutex_lock(&thread->lock);
    bool is_written = wait_until_written(thread, work);
    pthread_mutex_unlock(&thread->lock);
    return is_written;
}

void sink_thread_end(struct sink_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    thread->is_over = true;
    pthread_cond_signal(&thread->changed);
    pthread_mutex_unlock(&thread->lock);
    pthread_join(thread->id, NULL);
    free_thread(thread);
}
