#include "firewall.h"
#include "links.h"
#include "modes.h"
#include "netlink.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

/* runtime/network/bridge.ts has the same numbers. */
enum stage { STAGE_REQUEST = 1, STAGE_BRIDGE, STAGE_FORWARDING, STAGE_FIREWALL };

#define TABLE "tsbuild"

static int refuse_request(const char *mode)
{
    errno = EBADMSG;
    report_failure(STAGE_REQUEST, mode);
    return 1;
}

/* Writes only what is not so already: the file may be read-only where it need not be written. */
static int write_setting(const char *path, char wanted)
{
    char found = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, &found, 1) < 0) return -1;
    close(file);
    if (found == wanted) return 0;
    file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, &wanted, 1) < 0) return -1;
    close(file);
    return 0;
}

/* Containers have IPv4 only, so nobody on the bridge can announce himself as a router to the host. */
static int close_ipv6(const char *bridge)
{
    char path[128];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", bridge);
    return access(path, F_OK) < 0 ? 0 : write_setting(path, '1');
}

static int set_up_bridge(const char *name, struct address gateway, uint32_t mtu)
{
    int route = open_netlink(NETLINK_ROUTE);
    if (route < 0 || make_bridge(route, name, mtu) < 0 || close_ipv6(name) < 0) return report_failure(STAGE_BRIDGE, name);
    int index = (int)if_nametoindex(name);
    if (set_address(route, index, gateway) < 0 || raise_link(route, index) < 0) return report_failure(STAGE_BRIDGE, name);
    if (write_setting("/proc/sys/net/ipv4/ip_forward", '1') < 0) return report_failure(STAGE_FORWARDING, "net.ipv4.ip_forward");
    int filter = open_netlink(NETLINK_NETFILTER);
    int is_there = filter < 0 ? -1 : has_table(filter, TABLE);
    if (is_there < 0 || (!is_there && make_table(filter, TABLE, name, gateway) < 0)) return report_failure(STAGE_FIREWALL, TABLE);
    return 0;
}

int run_make_bridge(struct wire *request)
{
    const char *name = wire_text(request);
    struct address gateway = {.ip = wire_u32(request)};
    gateway.prefix = wire_u8(request);
    uint32_t mtu = wire_u32(request);
    if (!wire_is_done(request)) return refuse_request("make-bridge");
    return set_up_bridge(name, gateway, mtu) < 0 ? 1 : 0;
}

int run_remove_bridge(struct wire *request)
{
    const char *name = wire_text(request);
    if (!wire_is_done(request)) return refuse_request("remove-bridge");
    int route = open_netlink(NETLINK_ROUTE), filter = open_netlink(NETLINK_NETFILTER);
    if (filter < 0 || remove_table(filter, TABLE) < 0) return report_failure(STAGE_FIREWALL, TABLE), 1;
    if (route < 0 || (if_nametoindex(name) && remove_link(route, name) < 0)) return report_failure(STAGE_BRIDGE, name), 1;
    return 0;
}
