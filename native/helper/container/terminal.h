/* A container's own terminal: made in its devpts, bridged to the caller's descriptors by the helper outside. */
#ifndef TSBUILD_CONTAINER_TERMINAL_H
#define TSBUILD_CONTAINER_TERMINAL_H

#include "request.h"

#include <stdbool.h>

/*
 * Inside, before the user's process: a new terminal of the size of `like`, its slave also being /dev/console if that is
 * wanted. Sends the master through `socket` and returns the slave, or -1 with the failure reported.
 */
int make_terminal(int root, int like, int socket, bool is_console);

/* 0, or -1 with errno. */
int send_descriptor(int socket, int fd);

/* A connection to a listening socket, by host path, that a master can be sent through. -1 with the failure reported. */
int connect_console(const struct console *console);

/* Gives a terminal, by its slave, the size that is asked for. */
void size_terminal(int slave, const struct console *console);

/* Outside: the master that init sent, or -1 when it failed before. */
int receive_terminal(int socket);

/* Outside: what goes between descriptors 0 and 1 and the terminal. */
struct bridge {
    int master;
    int input;  /* -1 when it has ended */
    int output; /* a descriptor that does not block, where that can be had */
    char pending[4096];
    int pending_count;
};

void open_bridge(struct bridge *bridge, int master);
/* Gives the terminal the size of the caller's one. */
void resize_terminal(const struct bridge *bridge);
/* Moves what can be moved without waiting. */
void pump_input(struct bridge *bridge);
void pump_output(struct bridge *bridge);
/* Passes on what the terminal still holds after everybody has closed it, unless `interrupt` becomes readable. */
void drain_output(struct bridge *bridge, int interrupt);

#endif
