#include "links.h"

#include "netlink.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

static struct ifinfomsg *begin_link(struct message *message, uint16_t type, uint16_t flags)
{
    begin_message(message, type, flags | NLM_F_ACK);
    struct ifinfomsg *link = append_fixed(message, sizeof *link);
    link->ifi_family = AF_UNSPEC;
    return link;
}

/* Each of these messages is alone in its buffer. */
static int send_single(int fd, struct message *message)
{
    end_message(message, (struct nlmsghdr *)message->bytes);
    return send_message(fd, message, 1);
}

static void mark_up(struct ifinfomsg *link)
{
    link->ifi_flags = IFF_UP;
    link->ifi_change = IFF_UP;
}

int make_bridge(int fd, const char *name, uint32_t mtu)
{
    /* A fixed address: by default a bridge takes that of a port, and every change makes neighbours ask anew. */
    static const uint8_t hardware[6] = {0x02, 0x74, 0x73, 0x62, 0x00, 0x01};
    struct message message = {0};
    begin_link(&message, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    append_text(&message, IFLA_IFNAME, name);
    append(&message, IFLA_ADDRESS, hardware, sizeof hardware);
    append_u32(&message, IFLA_MTU, mtu);
    struct nlattr *info = begin_nest(&message, IFLA_LINKINFO);
    append_text(&message, IFLA_INFO_KIND, "bridge");
    end_nest(&message, info);
    return send_single(fd, &message) == 0 || errno == EEXIST ? 0 : -1;
}

int make_link_pair(int fd, const struct link_pair *pair)
{
    struct message message = {0};
    mark_up(begin_link(&message, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL));
    append_text(&message, IFLA_IFNAME, pair->name);
    append_u32(&message, IFLA_MTU, pair->mtu);
    append_u32(&message, IFLA_MASTER, (uint32_t)pair->bridge);
    struct nlattr *info = begin_nest(&message, IFLA_LINKINFO);
    append_text(&message, IFLA_INFO_KIND, "veth");
    struct nlattr *data = begin_nest(&message, IFLA_INFO_DATA);
    struct nlattr *peer = begin_nest(&message, VETH_INFO_PEER);
    append_fixed(&message, sizeof(struct ifinfomsg));
    append_text(&message, IFLA_IFNAME, pair->peer);
    append(&message, IFLA_ADDRESS, pair->hardware, sizeof pair->hardware);
    append_u32(&message, IFLA_MTU, pair->mtu);
    append_u32(&message, IFLA_NET_NS_PID, (uint32_t)pair->pid);
    end_nest(&message, peer);
    end_nest(&message, data);
    end_nest(&message, info);
    return send_single(fd, &message);
}

int isolate_port(int fd, const char *name)
{
    uint8_t on = 1;
    struct message message = {0};
    begin_link(&message, RTM_NEWLINK, 0);
    append_text(&message, IFLA_IFNAME, name);
    struct nlattr *info = begin_nest(&message, IFLA_LINKINFO);
    append_text(&message, IFLA_INFO_SLAVE_KIND, "bridge");
    struct nlattr *data = begin_nest(&message, IFLA_INFO_SLAVE_DATA);
    append(&message, IFLA_BRPORT_ISOLATED, &on, sizeof on);
    end_nest(&message, data);
    end_nest(&message, info);
    return send_single(fd, &message);
}

int set_address(int fd, int index, struct address address)
{
    struct message message = {0};
    begin_message(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK);
    struct ifaddrmsg *fixed = append_fixed(&message, sizeof *fixed);
    *fixed = (struct ifaddrmsg){.ifa_family = AF_INET, .ifa_prefixlen = address.prefix, .ifa_index = (uint32_t)index};
    append_u32(&message, IFA_LOCAL, address.ip);
    append_u32(&message, IFA_ADDRESS, address.ip);
    return send_single(fd, &message);
}

int raise_link(int fd, int index)
{
    struct message message = {0};
    struct ifinfomsg *link = begin_link(&message, RTM_NEWLINK, 0);
    link->ifi_index = index;
    mark_up(link);
    return send_single(fd, &message);
}

int set_default_route(int fd, uint32_t gateway)
{
    struct message message = {0};
    begin_message(&message, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK);
    struct rtmsg *fixed = append_fixed(&message, sizeof *fixed);
    *fixed = (struct rtmsg){.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
    append_u32(&message, RTA_GATEWAY, gateway);
    return send_single(fd, &message);
}

int remove_link(int fd, const char *name)
{
    struct message message = {0};
    begin_link(&message, RTM_DELLINK, 0);
    append_text(&message, IFLA_IFNAME, name);
    return send_single(fd, &message);
}
