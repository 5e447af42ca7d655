#include "network.h"

#include "await-byte.h"
#include "network/netlink.h"
#include "report.h"
#include "stages.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEVICE "eth0"

static int raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0 || ioctl(control, SIOCGIFFLAGS, &request) < 0) return report_failure(STAGE_NETWORK, "lo");
    request.ifr_flags |= IFF_UP;
    if (ioctl(control, SIOCSIFFLAGS, &request) < 0) return report_failure(STAGE_NETWORK, "lo");
    close(control);
    return 0;
}

int open_bridge_network(struct bridge_port *port)
{
    port->index = (int)if_nametoindex(port->bridge);
    int host = port->index ? open_netlink(NETLINK_ROUTE) : -1;
    return host < 0 ? report_failure(STAGE_NETWORK, port->bridge) : host;
}

/* IPv6 would bring router advertisements of whoever is on the bridge. */
static int close_ipv6(void)
{
    int file = open("/proc/sys/net/ipv6/conf/" DEVICE "/disable_ipv6", O_WRONLY | O_CLOEXEC);
    if (file < 0) return 0; /* a kernel without IPv6 */
    int result = write(file, "1", 1) < 0 ? -1 : 0;
    close(file);
    return result;
}

/* The hardware address follows from the IP address, so that what neighbours remember of it stays true. */
int make_container_link(const struct bridge_port *port, int host, pid_t pid)
{
    struct link_pair pair = {.name = port->name, .bridge = port->index, .peer = DEVICE, .pid = pid, .hardware = {0x02, 0x42}, .mtu = port->mtu};
    memcpy(pair.hardware + 2, &port->address.ip, sizeof port->address.ip);
    if (make_link_pair(host, &pair) < 0 || (port->is_isolated && isolate_port(host, port->name) < 0)) return report_failure(STAGE_NETWORK, port->name);
    return 0;
}

int connect_network(const struct bridge_port *port, int host)
{
    if (raise_loopback() < 0) return -1;
    if (!*port->bridge) return 0;
    if (host >= 0 && make_container_link(port, host, getpid()) < 0) return -1;
    int own = open_netlink(NETLINK_ROUTE), index = (int)if_nametoindex(DEVICE);
    if (own < 0 || close_ipv6() < 0 || set_address(own, index, port->address) < 0 || raise_link(own, index) < 0) return report_failure(STAGE_NETWORK, DEVICE);
    if (set_default_route(own, port->gateway) < 0) return report_failure(STAGE_NETWORK, "default route");
    close(own);
    if (host >= 0) close(host);
    return 0;
}

int await_network(void)
{
    return await_byte(NETWORK_FD) ? 0 : -1;
}
