/* Network namespaces. A thread of its own makes one and ends in it, so that no thread of Node's ever leaves its own. */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct network {
    int namespace;
    int sockets;
    const char *failed; /* the system call, NULL for none */
    int error;
};

static int open_here(const char *path, struct network *network)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) return fd;
    network->error = errno;
    network->failed = "open";
    return -1;
}

static void raise_loopback(struct network *network)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK};
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0 || ioctl(control, SIOCSIFFLAGS, &request) < 0) {
        network->error = errno;
        network->failed = control < 0 ? "socket" : "ioctl";
    }
    if (control >= 0) close(control);
}

static void *make_namespace(void *argument)
{
    struct network *network = argument;
    if (unshare(CLONE_NEWNET) < 0) {
        network->error = errno;
        network->failed = "unshare";
        return NULL;
    }
    raise_loopback(network);
    if (!network->failed) network->namespace = open_here("/proc/thread-self/ns/net", network);
    if (!network->failed) network->sockets = open_here("/proc/thread-self/net/sockstat", network);
    if (network->failed && network->namespace >= 0) close(network->namespace);
    return NULL;
}

/*
 * makeNetwork(): [namespaceFd, socketsFd] of a new namespace, whose loopback is up and which lives as long as they do. What is read from the start of the
 * second one is what the kernel counts by then, whoever reads it.
 */
static napi_value make_network(napi_env env, napi_callback_info info)
{
    (void)info;
    pthread_t thread;
    napi_value result;
    struct network network = {.namespace = -1, .sockets = -1};
    int error = pthread_create(&thread, NULL, make_namespace, &network);
    if (error != 0) return throw_errno(env, error, "pthread_create", NULL);
    pthread_join(thread, NULL);
    if (network.failed) return throw_errno(env, network.error, network.failed, NULL);
    napi_create_array_with_length(env, 2, &result);
    napi_set_element(env, result, 0, make_int(env, network.namespace));
    napi_set_element(env, result, 1, make_int(env, network.sockets));
    return result;
}

void init_network(napi_env env, napi_value exports)
{
    export_function(env, exports, "makeNetwork", make_network);
}
