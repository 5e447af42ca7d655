#include "request.h"

#include "kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A request is read whole before it is checked: a failed allocation looks like a broken request until then. */
static void *make_array(struct wire *wire, uint32_t count, size_t size)
{
    void *array = calloc((size_t)count + 1, size);
    if (!array) wire->broken = true;
    return array;
}

struct texts read_texts(struct wire *wire)
{
    struct texts texts = {.count = wire_count(wire, 5)};
    texts.items = make_array(wire, texts.count, sizeof *texts.items);
    for (uint32_t i = 0; i < texts.count && !wire->broken; i++) texts.items[i] = wire_text(wire);
    return texts;
}

static struct pairs read_pairs(struct wire *wire)
{
    struct pairs pairs = {.count = wire_count(wire, 10)};
    pairs.items = make_array(wire, pairs.count, sizeof *pairs.items);
    for (uint32_t i = 0; i < pairs.count && !wire->broken; i++) {
        pairs.items[i].key = wire_text(wire);
        pairs.items[i].value = wire_text(wire);
    }
    return pairs;
}

/* A value no enum has is refused: it must never become a weaker default. */
static unsigned read_enum(struct wire *wire, unsigned last)
{
    uint8_t value = wire_u8(wire);
    if (value > last) wire->broken = true;
    return value > last ? 0 : value;
}

static bool read_flag(struct wire *wire)
{
    return read_enum(wire, 1) == 1;
}

static void read_root(struct wire *wire, struct container_root *root)
{
    root->kind = read_enum(wire, ROOT_FUSE);
    root->lowers.count = wire_count(wire, LOWER_LEAST);
    root->lowers.items = make_array(wire, root->lowers.count, sizeof *root->lowers.items);
    for (uint32_t i = 0; i < root->lowers.count && !wire->broken; i++) root->lowers.items[i] = lower_read(wire);
    root->upperdir = wire_text(wire);
    root->workdir = wire_text(wire);
    root->start = wire_text(wire);
    root->program = wire_text(wire);
    root->has_user_xattrs = read_flag(wire);
    root->has_lowerdir_append = read_flag(wire);
    root->is_readonly = read_flag(wire);
    const char *kept = wire_text(wire);
    root->kept = *kept ? open(kept, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    root->is_to_keep = read_flag(wire);
    if (*kept && root->kept < 0) wire->broken = true;
    root->id_map = -1;
    if (root->kind == ROOT_DIRECTORY && root->lowers.count != 1) wire->broken = true;
}

static void read_filesystem(struct wire *wire, struct container_mount *mount)
{
    mount->type = wire_text(wire);
    mount->is_filled = read_flag(wire);
    mount->options = read_pairs(wire);
    mount->folders = read_texts(wire);
    mount->links = read_pairs(wire);
    mount->node_count = wire_count(wire, 25);
    mount->nodes = make_array(wire, mount->node_count, sizeof *mount->nodes);
    for (uint32_t i = 0; i < mount->node_count && !wire->broken; i++) {
        mount->nodes[i].name = wire_text(wire);
        mount->nodes[i].mode = wire_u32(wire);
        mount->nodes[i].uid = wire_u32(wire);
        mount->nodes[i].gid = wire_u32(wire);
        mount->nodes[i].major = wire_u32(wire);
        mount->nodes[i].minor = wire_u32(wire);
    }
}

static void read_mount(struct wire *wire, struct container_mount *mount)
{
    mount->kind = read_enum(wire, MOUNT_LAYERS);
    mount->target = wire_text(wire);
    mount->is_pinned = read_flag(wire);
    mount->attributes = wire_u32(wire);
    mount->propagation = wire_u32(wire);
    switch (mount->kind) {
    case MOUNT_FILESYSTEM:
        read_filesystem(wire, mount);
        break;
    case MOUNT_BIND:
        mount->source = wire_text(wire);
        mount->namespace = wire_text(wire);
        mount->has_container_ids = read_flag(wire);
        break;
    case MOUNT_FILE:
        mount->content = wire_get_bytes(wire);
        mount->mode = wire_u32(wire);
        mount->uid = wire_u32(wire);
        mount->gid = wire_u32(wire);
        break;
    case MOUNT_LAYERS:
        read_root(wire, &mount->layers);
        mount->source = wire_text(wire);
        break;
    }
}

/* The program is copied because the kernel wants it aligned. */
static void read_seccomp(struct wire *wire, struct sock_fprog *seccomp)
{
    struct wire_bytes bytes = wire_get_bytes(wire);
    if (bytes.length % sizeof(struct sock_filter) || bytes.length / sizeof(struct sock_filter) > BPF_MAXINSNS) {
        wire->broken = true;
        return;
    }
    seccomp->len = (unsigned short)(bytes.length / sizeof(struct sock_filter));
    seccomp->filter = make_array(wire, seccomp->len, sizeof(struct sock_filter));
    if (seccomp->filter) memcpy(seccomp->filter, bytes.data, bytes.length);
}

static void read_process(struct wire *wire, struct container_process *process)
{
    process->args = read_texts(wire).items;
    process->env = read_texts(wire).items;
    process->cwd = wire_text(wire);
    process->uid = wire_u32(wire);
    process->gid = wire_u32(wire);
    process->group_count = wire_count(wire, 4);
    process->groups = make_array(wire, process->group_count, sizeof *process->groups);
    for (uint32_t i = 0; i < process->group_count && !wire->broken; i++) process->groups[i] = wire_u32(wire);
    process->umask = wire_u32(wire);
    process->stdio = read_enum(wire, STDIO_TERMINAL);
    process->limit_count = wire_count(wire, 20);
    process->limits = make_array(wire, process->limit_count, sizeof *process->limits);
    for (uint32_t i = 0; i < process->limit_count && !wire->broken; i++) {
        process->limits[i].resource = wire_u32(wire);
        process->limits[i].soft = wire_u64(wire);
        process->limits[i].hard = wire_u64(wire);
    }
    process->has_oom_score = read_flag(wire);
    process->oom_score = (int)wire_u32(wire);
    process->capabilities.bounding = wire_u64(wire);
    process->capabilities.effective = wire_u64(wire);
    process->capabilities.permitted = wire_u64(wire);
    process->capabilities.inheritable = wire_u64(wire);
    process->capabilities.ambient = wire_u64(wire);
    process->has_no_new_privileges = read_flag(wire);
    read_seccomp(wire, &process->seccomp);
    process->seccomp_flags = wire_u32(wire);
    process->label = wire_text(wire);
}

static void read_namespace(struct wire *wire, struct namespace *namespace)
{
    namespace->kind = read_enum(wire, NAMESPACE_JOINED);
    namespace->path = wire_text(wire);
}

static struct id_ranges read_id_ranges(struct wire *wire)
{
    struct id_ranges ranges = {.count = wire_count(wire, 12)};
    ranges.items = make_array(wire, ranges.count, sizeof *ranges.items);
    for (uint32_t i = 0; i < ranges.count && !wire->broken; i++) {
        ranges.items[i].inside = wire_u32(wire);
        ranges.items[i].outside = wire_u32(wire);
        ranges.items[i].count = wire_u32(wire);
    }
    return ranges;
}

static void read_port(struct wire *wire, struct bridge_port *port)
{
    port->bridge = wire_text(wire);
    port->name = wire_text(wire);
    port->address.ip = wire_u32(wire);
    port->address.prefix = wire_u8(wire);
    port->gateway = wire_u32(wire);
    port->mtu = wire_u32(wire);
    port->is_isolated = read_flag(wire);
}

static void read_namespaces(struct wire *wire, struct container *container)
{
    read_namespace(wire, &container->pid);
    read_namespace(wire, &container->ipc);
    read_namespace(wire, &container->uts);
    read_namespace(wire, &container->network);
    read_namespace(wire, &container->cgroup);
    container->users = read_id_ranges(wire);
    container->groups = read_id_ranges(wire);
    if ((container->users.count == 0) != (container->groups.count == 0)) wire->broken = true;
    read_port(wire, &container->port);
    container->awaits_network = read_flag(wire);
    container->time_offsets = read_pairs(wire);
}

static struct cgroup *read_cgroups(struct wire *wire, uint32_t *count)
{
    *count = wire_count(wire, 6);
    struct cgroup *cgroups = make_array(wire, *count, sizeof *cgroups);
    for (uint32_t i = 0; i < *count && !wire->broken; i++) {
        cgroups[i].folder = wire_text(wire);
        cgroups[i].is_v2 = read_flag(wire);
    }
    return cgroups;
}

struct console read_console(struct wire *wire)
{
    struct console console;
    console.socket = wire_text(wire);
    console.rows = wire_u32(wire);
    console.columns = wire_u32(wire);
    return console;
}

int read_exec_request(struct wire *wire, struct container_exec *exec)
{
    memset(exec, 0, sizeof *exec);
    exec->pid = (pid_t)wire_u32(wire);
    exec->cgroups = read_cgroups(wire, &exec->cgroup_count);
    read_process(wire, &exec->process);
    exec->is_detached = read_flag(wire);
    exec->console = read_console(wire);
    if (wire_is_done(wire) && exec->process.args[0]) return 0;
    errno = EBADMSG;
    return -1;
}

int read_container(struct wire *wire, struct container *container)
{
    memset(container, 0, sizeof *container);
    read_root(wire, &container->root);
    read_namespaces(wire, container);
    container->has_tmpfs_attributes = read_flag(wire);
    container->hostname = wire_text(wire);
    container->domainname = wire_text(wire);
    container->mount_count = wire_count(wire, 11);
    container->mounts = make_array(wire, container->mount_count, sizeof *container->mounts);
    for (uint32_t i = 0; i < container->mount_count && !wire->broken; i++) read_mount(wire, &container->mounts[i]);
    container->masked = read_texts(wire);
    container->readonly = read_texts(wire);
    container->sysctls = read_pairs(wire);
    container->root_propagation = wire_u32(wire);
    container->has_slaves = container->root_propagation == MS_SLAVE;
    for (uint32_t i = 0; i < container->mount_count && !wire->broken; i++) container->has_slaves |= container->mounts[i].propagation == MS_SLAVE;
    container->cgroups = read_cgroups(wire, &container->cgroup_count);
    read_process(wire, &container->process);
    if (!wire->broken && container->process.args[0]) return 0;
    errno = EBADMSG;
    return -1;
}

int read_request(struct wire *wire, struct container *container)
{
    if (read_container(wire, container) < 0) return -1;
    if (wire_is_done(wire)) return 0;
    errno = EBADMSG;
    return -1;
}
