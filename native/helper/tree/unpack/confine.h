#ifndef TSBUILD_TREE_CONFINE_H
#define TSBUILD_TREE_CONFINE_H

/*
 * Makes the directory this process's root, in a mount namespace of its own, with nothing else of the host in reach but
 * the descriptors already open, and keeps only the capabilities and system calls that writing a tree needs. A device made
 * there cannot be opened. 0, or -1 with a report.
 */
int confine_to(const char *directory);
/* Makes nothing this process's root, and keeps only what reading open trees takes. 0, or -1 with a report. */
int confine_to_descriptors(void);

#endif
