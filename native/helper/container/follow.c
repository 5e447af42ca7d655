#include "follow.h"

#include "init.h"
#include "kernel.h"
#include "report.h"
#include "stages.h"
#include "terminal.h"

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static void put_u64(uint8_t *at, uint64_t value)
{
    put_u32(at, (uint32_t)value);
    put_u32(at + 4, (uint32_t)(value >> 32));
}

static uint64_t microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

/* Whether init, and with it everything in the container, has ended. */
static bool reap_init(pid_t init)
{
    int status;
    struct rusage usage;
    uint8_t payload[28];
    if (wait4(init, &status, WNOHANG, &usage) != init) return false;
    uint64_t time = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
    put_u32(payload, (uint32_t)status);
    put_u64(payload + 4, time);
    put_u64(payload + 12, (uint64_t)usage.ru_inblock);
    put_u64(payload + 20, (uint64_t)usage.ru_oublock);
    report_record(REPORT_ENDED, payload, sizeof payload);
    return true;
}

static bool is_orphan;

/* Reads one signal and acts on it; true when the container has ended. */
static bool handle_signal(int signals, pid_t init, const struct bridge *bridge)
{
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != sizeof info) return false;
    int received = (int)info.ssi_signo;
    if (received == SIGCHLD) return reap_init(init);
    if (received == PARENT_DIED) is_orphan = true;
    if (received == SIGWINCH && bridge) resize_terminal(bridge);
    else kill(init, received == SIGALRM || received == PARENT_DIED ? SIGKILL : received);
    return false;
}

static void serve_terminal(struct bridge *bridge, int signals, pid_t init)
{
    for (;;) {
        struct pollfd polled[] = {
            {.fd = signals, .events = POLLIN},
            {.fd = bridge->input, .events = POLLIN},
            {.fd = bridge->pending_count ? -1 : bridge->master, .events = POLLIN},
            {.fd = bridge->pending_count ? bridge->output : -1, .events = POLLOUT},
        };
        if (poll(polled, 4, -1) < 0) continue;
        if (polled[0].revents && handle_signal(signals, init, bridge)) break;
        if (polled[1].revents) pump_input(bridge);
        if (polled[2].revents || polled[3].revents) pump_output(bridge);
    }
    drain_output(bridge, signals);
}

int await_signals(void)
{
    sigset_t awaited;
    fill_awaited_signals(&awaited);
    sigaddset(&awaited, PARENT_DIED);
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    return signalfd(-1, &awaited, SFD_CLOEXEC);
}

bool follow_process(pid_t pid, int signals, int life)
{
    signal(SIGPIPE, SIG_IGN);
    int master = life >= 0 ? receive_terminal(life) : -1;
    if (life < 0) syscall(SYS_close_range, 0, 2, 0);
    if (master >= 0) {
        struct bridge bridge;
        open_bridge(&bridge, master);
        serve_terminal(&bridge, signals, pid);
    } else {
        while (!handle_signal(signals, pid, NULL)) {}
    }
    return is_orphan;
}
