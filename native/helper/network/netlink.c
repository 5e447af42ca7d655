#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int open_netlink(int family)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

void *append_fixed(struct message *message, size_t length)
{
    void *at = message->bytes + message->length;
    memset(at, 0, NLMSG_ALIGN(length));
    message->length += NLMSG_ALIGN(length);
    return at;
}

struct nlmsghdr *begin_message(struct message *message, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *header = append_fixed(message, sizeof *header);
    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST | flags;
    return header;
}

void end_message(const struct message *message, struct nlmsghdr *header)
{
    header->nlmsg_len = (uint32_t)(message->bytes + message->length - (uint8_t *)header);
}

void append(struct message *message, uint16_t type, const void *data, size_t length)
{
    struct nlattr *attribute = append_fixed(message, NLA_HDRLEN + length);
    attribute->nla_type = type;
    attribute->nla_len = (uint16_t)(NLA_HDRLEN + length);
    if (length) memcpy((uint8_t *)attribute + NLA_HDRLEN, data, length);
}

void append_text(struct message *message, uint16_t type, const char *text)
{
    append(message, type, text, strlen(text) + 1);
}

void append_u32(struct message *message, uint16_t type, uint32_t value)
{
    append(message, type, &value, sizeof value);
}

struct nlattr *begin_nest(struct message *message, uint16_t type)
{
    struct nlattr *nest = append_fixed(message, NLA_HDRLEN);
    nest->nla_type = type | NLA_F_NESTED;
    return nest;
}

void end_nest(const struct message *message, struct nlattr *nest)
{
    nest->nla_len = (uint16_t)(message->bytes + message->length - (uint8_t *)nest);
}

int send_message(int fd, const struct message *message, unsigned answers)
{
    _Alignas(NLMSG_ALIGNTO) uint8_t answer[8192];
    if (send(fd, message->bytes, message->length, 0) < 0) return -1;
    for (int refused = 0; answers > 0;) {
        ssize_t length = recv(fd, answer, sizeof answer, 0);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) return -1;
        size_t rest = (size_t)length;
        for (struct nlmsghdr *header = (struct nlmsghdr *)answer; NLMSG_OK(header, rest); header = NLMSG_NEXT(header, rest)) {
            if (header->nlmsg_type != NLMSG_ERROR) continue;
            const struct nlmsgerr *error = NLMSG_DATA(header);
            if (error->error && !refused) refused = -error->error;
            answers--;
            /* A batch that is refused as a whole is answered once. */
            if (!refused) continue;
            errno = refused;
            return -1;
        }
    }
    return 0;
}
