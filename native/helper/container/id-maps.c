#include "id-maps.h"

#include "kernel.h"
#include "report.h"
#include "stages.h"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* The kernel takes as many ranges. */
#define MAX_RANGES 340
#define LONGEST_LINE 34

uint32_t map_id(const struct id_ranges *ranges, uint32_t id)
{
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct id_range *range = &ranges->items[i];
        if (id >= range->inside && id - range->inside < range->count) return range->outside + (id - range->inside);
    }
    return id;
}

static int write_map(pid_t pid, const char *name, const struct id_ranges *ranges)
{
    char path[64], text[MAX_RANGES * LONGEST_LINE];
    size_t length = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    for (uint32_t i = 0; i < ranges->count && length < sizeof text - LONGEST_LINE; i++) {
        const struct id_range *range = &ranges->items[i];
        length += (size_t)snprintf(text + length, LONGEST_LINE, "%u %u %u\n", range->inside, range->outside, range->count);
    }
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, text, length) < 0) return report_failure(STAGE_IDS, name);
    close(file);
    return 0;
}

int write_id_maps(const struct container *container, pid_t pid)
{
    return write_map(pid, "uid_map", &container->users) < 0 || write_map(pid, "gid_map", &container->groups) < 0 ? -1 : 0;
}

static int open_namespace(const struct container *container, pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
    if (write_id_maps(container, pid) < 0) return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? report_failure(STAGE_IDS, "namespace") : fd;
}

/* The namespace lives on in the descriptor; the process is only what the kernel makes one by. */
int open_id_map(const struct container *container)
{
    pid_t helper = getpid(), pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER, NULL, NULL, NULL, NULL);
    if (pid < 0) return report_failure(STAGE_IDS, "user namespace");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == helper) pause();
        _exit(0);
    }
    int fd = open_namespace(container, pid);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, __WALL);
    return fd;
}

int map_mount(int fd, int id_map, unsigned flags)
{
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (__u64)id_map};
    return (int)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | flags, &attributes, sizeof attributes);
}

int make_files_as_container_root(const struct container *container)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    setfsgid(map_id(&container->groups, 0));
    setfsuid(map_id(&container->users, 0));
    /* That took away what root may do to files of others. */
    if (syscall(SYS_capget, &header, data) < 0) return report_failure(STAGE_IDS, "capabilities");
    for (int i = 0; i < 2; i++) data[i].effective = data[i].permitted;
    return syscall(SYS_capset, &header, data) < 0 ? report_failure(STAGE_IDS, "capabilities") : 0;
}

int become_namespace_root(void)
{
    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) return report_failure(STAGE_IDS, "root of the namespace");
    return 0;
}
