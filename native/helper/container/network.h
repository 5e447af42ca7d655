#ifndef TSBUILD_CONTAINER_NETWORK_H
#define TSBUILD_CONTAINER_NETWORK_H

#include "request.h"

/* Finds the bridge while still in the host's network. Returns a socket to connect it by, or -1 with the failure reported. */
int open_bridge_network(struct bridge_port *port);

/* Makes the bridge's port and eth0 in the network namespace of process `pid`. 0, or -1 with the failure reported. */
int make_container_link(const struct bridge_port *port, int host, pid_t pid);

/*
 * Called in a new network namespace: brings up lo, and eth0 when there is a bridge to connect to. `host` is the socket of
 * open_bridge_network, or -1 when the link has been made. 0, or -1 with the failure reported.
 */
int connect_network(const struct bridge_port *port, int host);

/* Waits until somebody outside has connected the new network namespace. -1 when they could not, which they know. */
int await_network(void);

#endif
