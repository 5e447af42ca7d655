/* Network namespaces. A thread of its own enters one and ends in it, so that no thread of Node's ever leaves its own. */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

struct visit {
    int fd; /* of the namespace */
    bool has_sockets;
    const char *failed; /* the system call, NULL for none */
    int error;
};

static void *fail(struct visit *visit, const char *failed)
{
    visit->error = errno;
    visit->failed = failed;
    return NULL;
}

static void *make_namespace(void *argument)
{
    struct visit *visit = argument;
    if (unshare(CLONE_NEWNET) < 0) return fail(visit, "unshare");
    visit->fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return visit->fd < 0 ? fail(visit, "open") : NULL;
}

/* The kernel counts what a process holds open and what it goes on with alone, and apart from that what waits for late packets. */
static void *count_sockets(void *argument)
{
    struct visit *visit = argument;
    long used, waiting;
    if (setns(visit->fd, CLONE_NEWNET) < 0) return fail(visit, "setns");
    FILE *file = fopen("/proc/thread-self/net/sockstat", "re");
    if (!file) return fail(visit, "open");
    int read = fscanf(file, "sockets: used %ld TCP: inuse %*d orphan %*d tw %ld", &used, &waiting);
    fclose(file);
    errno = EBADMSG;
    if (read != 2) return fail(visit, "read");
    visit->has_sockets = used > 0 || waiting > 0;
    return NULL;
}

static bool visit_namespace(napi_env env, void *(*run)(void *), struct visit *visit)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, visit);
    if (error != 0) return throw_errno(env, error, "pthread_create", NULL), false;
    pthread_join(thread, NULL);
    if (visit->failed) throw_errno(env, visit->error, visit->failed, NULL);
    return !visit->failed;
}

/* makeNetwork(): a descriptor of a new namespace, which lives as long as that. */
static napi_value make_network(napi_env env, napi_callback_info info)
{
    (void)info;
    struct visit visit = {.fd = -1};
    return visit_namespace(env, make_namespace, &visit) ? make_int(env, visit.fd) : NULL;
}

/* hasSockets(networkFd): whether anything is left of the connections of those who were in it. */
static napi_value has_sockets(napi_env env, napi_callback_info info)
{
    napi_value args[1], result;
    int64_t fd;
    if (!read_args(env, info, 1, args) || !read_int(env, args[0], &fd)) return NULL;
    struct visit visit = {.fd = (int)fd};
    if (!visit_namespace(env, count_sockets, &visit)) return NULL;
    napi_get_boolean(env, visit.has_sockets, &result);
    return result;
}

void init_network(napi_env env, napi_value exports)
{
    export_function(env, exports, "makeNetwork", make_network);
    export_function(env, exports, "hasSockets", has_sockets);
}
