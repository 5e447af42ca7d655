/* The helper's modes for the network that containers share. */
#ifndef TSBUILD_NETWORK_MODES_H
#define TSBUILD_NETWORK_MODES_H

#include "wire.h"

/* Makes the bridge, its address and the translation where they are missing. */
int run_make_bridge(struct wire *request);
int run_remove_bridge(struct wire *request);

#endif
