/* What Node asks the mode `run` for. Texts lie in the mapped request, arrays on the heap; neither changes later. */
#ifndef TSBUILD_CONTAINER_REQUEST_H
#define TSBUILD_CONTAINER_REQUEST_H

#include "layer/lower.h"
#include "network/links.h"
#include "wire.h"

#include <linux/filter.h>
#include <sys/types.h>

struct texts {
    uint32_t count;
    const char **items;
};

struct pair {
    const char *key;
    const char *value;
};

struct pairs {
    uint32_t count;
    struct pair *items;
};

struct device_node {
    const char *name;
    uint32_t mode;
    uid_t uid;
    gid_t gid;
    uint32_t major;
    uint32_t minor;
};

enum root_kind { ROOT_OVERLAY, ROOT_DIRECTORY, ROOT_FUSE };

struct lower_list {
    uint32_t count;
    struct lower *items;
};

struct container_root {
    enum root_kind kind;
    struct lower_list lowers; /* top layer first; of ROOT_DIRECTORY the one directory */
    const char *upperdir; /* "" for a read-only view */
    const char *workdir;
    const char *start; /* of ROOT_DIRECTORY: a file that gets the time at which the process starts; "" for none */
    const char *program; /* of ROOT_FUSE: what serves it */
    pid_t server;        /* of ROOT_FUSE, once started */
    int server_socket;
    bool has_user_xattrs;
    bool has_lowerdir_append; /* the kernel takes lower layers one by one */
    bool is_readonly;
    int kept;        /* a mount of these layers with these mount points, to be cloned, or -1 */
    bool is_to_keep; /* a clone of the mount goes through KEEPER_FD */
    int id_map; /* a user namespace that its files are shown by the ids of, once there is one, or -1 */
};

enum mount_kind { MOUNT_FILESYSTEM, MOUNT_BIND, MOUNT_FILE, MOUNT_LAYERS };

struct container_mount {
    enum mount_kind kind;
    const char *target;
    bool is_pinned; /* the target is a folder of the root whatever the image has there: links are not followed */
    uint32_t attributes; /* MOUNT_ATTR_* */
    int fd;              /* the detached mount, once prepared */
    bool is_folder;
    uint32_t propagation; /* MS_SLAVE, MS_UNBINDABLE, or 0 for a private mount */
    /* MOUNT_FILESYSTEM */
    bool is_filled; /* with what lies at the target */
    const char *type;
    struct pairs options;
    struct texts folders; /* made in the new filesystem before anybody sees it, as are nodes and links */
    struct pairs links;
    struct device_node *nodes;
    uint32_t node_count;
    /* MOUNT_BIND */
    const char *source;
    const char *namespace; /* path of the mount namespace that the source is in, "" for ours */
    bool has_container_ids; /* its files belong to ids as the container has them */
    /* MOUNT_FILE */
    struct wire_bytes content;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    /* MOUNT_LAYERS: what lies at `source` of an overlay of its own */
    struct container_root layers;
};

struct cgroup {
    const char *folder; /* on the host */
    bool is_v2;
};

struct limit {
    uint32_t resource;
    uint64_t soft;
    uint64_t hard;
};

enum terminal_kind { STDIO_PASSED, STDIO_PIPES, STDIO_TERMINAL };

/* By number, as masks. */
struct capability_sets {
    uint64_t bounding;
    uint64_t effective;
    uint64_t permitted;
    uint64_t inheritable;
    uint64_t ambient;
};

struct container_process {
    const char **args; /* ends in NULL, as does env */
    const char **env;
    const char *cwd;
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    uint32_t group_count;
    uint32_t umask;
    enum terminal_kind stdio;
    struct limit *limits;
    uint32_t limit_count;
    struct capability_sets capabilities;
    bool has_no_new_privileges;
    struct sock_fprog seccomp; /* len 0: none */
    uint32_t seccomp_flags;
    const char *label; /* for /proc/self/attr/exec, "" for none */
    bool has_oom_score;
    int oom_score;
};

/* Who is sent the master of a terminal that outlives the helper. */
struct console {
    const char *socket; /* path of a listening one, "" for none */
    uint32_t rows;      /* 0: as the kernel has it */
    uint32_t columns;
};

/* `count` ids from `inside` on are those from `outside` on around the container. */
struct id_range {
    uint32_t inside;
    uint32_t outside;
    uint32_t count;
};

struct id_ranges {
    uint32_t count;
    struct id_range *items;
};

enum namespace_kind { NAMESPACE_NEW, NAMESPACE_HOST, NAMESPACE_JOINED };

/* Which namespace of a kind the container is in. */
struct namespace {
    enum namespace_kind kind;
    const char *path; /* of NAMESPACE_JOINED, on the host */
};

/* What a new network namespace is connected to. */
struct bridge_port {
    const char *bridge; /* "" for nothing */
    const char *name;   /* of the end outside */
    int index;          /* of the bridge, once looked up */
    struct address address;
    uint32_t gateway;
    uint32_t mtu;
    bool is_isolated;
};

struct container {
    struct container_root root;
    struct namespace pid;
    struct namespace ipc;
    struct namespace uts;
    struct namespace network;
    struct namespace cgroup;
    struct id_ranges users; /* none: no user namespace of its own */
    struct id_ranges groups;
    struct bridge_port port;
    bool awaits_network; /* somebody outside connects the new network namespace, then writes a byte to NETWORK_FD */
    struct pairs time_offsets; /* key: clock; none for the host's time namespace */
    bool has_tmpfs_attributes; /* the kernel's tmpfs keeps attributes of users */
    const char *hostname;
    const char *domainname;
    struct container_mount *mounts;
    uint32_t mount_count;
    struct texts masked;
    struct texts readonly;
    struct pairs sysctls; /* key: path below /proc/sys */
    bool has_slaves;           /* mounts that follow those of the host */
    uint32_t root_propagation; /* MS_SHARED, MS_SLAVE, MS_UNBINDABLE, or 0 */
    struct cgroup *cgroups;
    uint32_t cgroup_count;
    struct container_process process;
};

/* The first descriptor that a mode gets beyond the request and the reports. */
#define NETWORK_FD 5
/* The same, where no network is awaited. */
#define KEEPER_FD 5

/* A list of texts, ended by NULL. */
struct texts read_texts(struct wire *wire);

struct console read_console(struct wire *wire);

/* As read_request, where more follows in the request. */
int read_container(struct wire *wire, struct container *container);

/* What Node asks the mode `exec` for: one more process in a container. */
struct container_exec {
    pid_t pid; /* of one that is there, as we see it */
    struct cgroup *cgroups;
    uint32_t cgroup_count;
    struct container_process process;
    bool is_detached; /* it outlives the helper, and whoever reaps for the caller gets its exit code */
    struct console console;
};

int read_exec_request(struct wire *wire, struct container_exec *exec);

/* 0, or -1 with errno: EBADMSG for a request that is not one. */
int read_request(struct wire *wire, struct container *container);

#endif
