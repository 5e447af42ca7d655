#ifndef TSBUILD_NETWORK_FIREWALL_H
#define TSBUILD_NETWORK_FIREWALL_H

#include "links.h"

/*
 * The nftables table `name`, which translates the addresses of a subnet when packets leave through anything but `bridge`.
 * It is replaced as a whole. 0, or -1 with errno.
 */
int make_table(int fd, const char *name, const char *bridge, struct address subnet);
/* 0 also when there is none. */
int remove_table(int fd, const char *name);
/* 1, 0, or -1 with errno. */
int has_table(int fd, const char *name);

#endif
