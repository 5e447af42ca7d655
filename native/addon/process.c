/* Starting processes without fork: the cost stays flat however large the Node process is. */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_FDS 16

struct fd_plan {
    int count;
    int source[MAX_FDS]; /* a close-on-exec duplicate above every target, so that no dup2 overwrites another's source */
};

static void close_plan(struct fd_plan *plan)
{
    for (int i = 0; i < plan->count; i++) close(plan->source[i]);
}

/* The array's index is the number in the child; -1 leaves that number closed. */
static bool read_plan(napi_env env, napi_value array, struct fd_plan *plan, posix_spawn_file_actions_t *actions)
{
    uint32_t length = 0;
    if (napi_get_array_length(env, array, &length) != napi_ok || length > MAX_FDS) {
        throw_type(env, "want an array of at most 16 descriptors");
        return false;
    }
    for (uint32_t i = 0; i < length; i++) {
        napi_value item;
        int64_t fd;
        napi_get_element(env, array, i, &item);
        if (!read_int(env, item, &fd)) return false;
        if (fd < 0) {
            posix_spawn_file_actions_addopen(actions, (int)i, "/dev/null", O_RDWR, 0);
            continue;
        }
        int duplicate = fcntl((int)fd, F_DUPFD_CLOEXEC, 64);
        if (duplicate < 0) {
            throw_errno(env, errno, "fcntl", NULL);
            return false;
        }
        plan->source[plan->count++] = duplicate;
        posix_spawn_file_actions_adddup2(actions, duplicate, (int)i);
    }
    return true;
}

static int start(const char *file, char **argv, char **envp, posix_spawn_file_actions_t *actions, pid_t *pid)
{
    sigset_t all, none;
    posix_spawnattr_t attributes;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    int error = posix_spawn(pid, file, actions, &attributes, argv, envp);
    posix_spawnattr_destroy(&attributes);
    return error;
}

/* spawn(file, argv, env, fds): pid. The child leads its own process group and has default signals and no mask. */
static napi_value spawn_process(napi_env env, napi_callback_info info)
{
    napi_value args[4], result = NULL;
    if (!read_args(env, info, 4, args)) return NULL;
    char *file = copy_text(env, args[0]);
    char **argv = file ? copy_texts(env, args[1]) : NULL;
    char **envp = argv ? copy_texts(env, args[2]) : NULL;
    struct fd_plan plan = {0};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (envp && read_plan(env, args[3], &plan, &actions)) {
        pid_t pid;
        int error = start(file, argv, envp, &actions, &pid);
        result = error ? throw_errno(env, error, "posix_spawn", file) : make_int(env, pid);
    }
    posix_spawn_file_actions_destroy(&actions);
    close_plan(&plan);
    free_texts(envp);
    free_texts(argv);
    free(file);
    return result;
}

struct wait_work {
    napi_async_work work;
    napi_deferred deferred;
    pid_t pid;
    int status;
    int error;
};

static void run_wait(napi_env env, void *data)
{
    (void)env;
    struct wait_work *wait = data;
    while (waitpid(wait->pid, &wait->status, 0) < 0) {
        if (errno == EINTR) continue;
        wait->error = errno;
        return;
    }
}

static void finish_wait(napi_env env, napi_status status, void *data)
{
    (void)status;
    struct wait_work *wait = data;
    if (wait->error) reject_errno(env, wait->deferred, wait->error, "waitpid", NULL);
    else napi_resolve_deferred(env, wait->deferred, make_int(env, wait->status));
    napi_delete_async_work(env, wait->work);
    free(wait);
}

/*
 * waitProcess(pid): Promise of the raw wait status. Unless the process has ended by now it occupies a thread of the pool
 * until then, so call it when the end is near: after the process closed its report pipe.
 */
static napi_value wait_process(napi_env env, napi_callback_info info)
{
    napi_value args[1], name, promise;
    int64_t pid;
    if (!read_args(env, info, 1, args) || !read_int(env, args[0], &pid)) return NULL;
    struct wait_work *wait = calloc(1, sizeof *wait);
    if (!wait) return throw_errno(env, ENOMEM, "calloc", NULL);
    wait->pid = (pid_t)pid;
    napi_create_string_utf8(env, "tsbuild:waitProcess", NAPI_AUTO_LENGTH, &name);
    napi_create_promise(env, &wait->deferred, &promise);
    if (waitpid(wait->pid, &wait->status, WNOHANG) == wait->pid) {
        napi_resolve_deferred(env, wait->deferred, make_int(env, wait->status));
        free(wait);
        return promise;
    }
    napi_create_async_work(env, NULL, name, run_wait, finish_wait, wait, &wait->work);
    napi_queue_async_work(env, wait->work);
    return promise;
}

void init_process(napi_env env, napi_value exports)
{
    export_function(env, exports, "spawn", spawn_process);
    export_function(env, exports, "waitProcess", wait_process);
}
