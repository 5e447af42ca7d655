/* Network devices, addresses and routes. Each returns 0, or -1 with errno. Addresses are in network byte order. */
#ifndef TSBUILD_NETWORK_LINKS_H
#define TSBUILD_NETWORK_LINKS_H

#include <stdint.h>

struct address {
    uint32_t ip;
    uint8_t prefix;
};

struct link_pair {
    const char *name; /* of the end that stays here */
    int bridge;       /* index of the bridge it becomes a port of */
    const char *peer; /* of the end in the network namespace of process `pid` */
    int pid;
    uint8_t hardware[6]; /* of the peer */
    uint32_t mtu;
};

/* An existing one is taken as it is. */
int make_bridge(int fd, const char *name, uint32_t mtu);
/* Both ends; the one here is up. */
int make_link_pair(int fd, const struct link_pair *pair);
/* The port exchanges nothing with other ports like this, only with the bridge itself. */
int isolate_port(int fd, const char *name);
int set_address(int fd, int index, struct address address);
int raise_link(int fd, int index);
int set_default_route(int fd, uint32_t gateway);
int remove_link(int fd, const char *name);

#endif
