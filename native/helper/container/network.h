#ifndef TSBUILD_CONTAINER_NETWORK_H
#define TSBUILD_CONTAINER_NETWORK_H

/* Brings up lo of a new network namespace, which also gives it its addresses. 0, or -1 with the failure reported. */
int raise_loopback(void);

#endif
