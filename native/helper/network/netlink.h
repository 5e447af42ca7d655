/* Talking to the kernel by netlink: one message is built in place, sent, and answered. */
#ifndef TSBUILD_NETWORK_NETLINK_H
#define TSBUILD_NETWORK_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

struct message {
    size_t length;
    _Alignas(NLMSG_ALIGNTO) uint8_t bytes[4096];
};

/* A socket of the network namespace of the caller. -1 with errno. */
int open_netlink(int family);

/* Begins a message behind those already there; returns its header. */
struct nlmsghdr *begin_message(struct message *message, uint16_t type, uint16_t flags);
void end_message(const struct message *message, struct nlmsghdr *header);
/* Room for a fixed part, zeroed. */
void *append_fixed(struct message *message, size_t length);
void append(struct message *message, uint16_t type, const void *data, size_t length);
void append_text(struct message *message, uint16_t type, const char *text);
void append_u32(struct message *message, uint16_t type, uint32_t value);
struct nlattr *begin_nest(struct message *message, uint16_t type);
void end_nest(const struct message *message, struct nlattr *nest);

/* Sends what was built and waits for `answers` acknowledgements. 0, or -1 with the errno of the first refusal. */
int send_message(int fd, const struct message *message, unsigned answers);

#endif
