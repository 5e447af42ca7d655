/* A thread that hashes and writes one buffer of a sink while the next one is filled. */
#ifndef TSBUILD_SINK_THREAD_H
#define TSBUILD_SINK_THREAD_H

#include "sink.h"

/* NULL without memory or threads to spare. */
struct sink_thread *sink_thread_start(struct sink *sink);
/* Gives `*buffer` away and another one back, once what was given before is written. false when that failed: the work has the reason. */
bool sink_thread_give(struct sink_work *work, uint8_t **buffer, size_t bytes);
/* Waits until all that was given is written. false when that failed: the work has the reason. */
bool sink_thread_wait(struct sink_work *work);
/* Of a thread that was waited for. */
void sink_thread_end(struct sink_thread *thread);

#endif
