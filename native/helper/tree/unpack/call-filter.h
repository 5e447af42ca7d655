#ifndef TSBUILD_TREE_CALL_FILTER_H
#define TSBUILD_TREE_CALL_FILTER_H

/*
 * Leaves this process the system calls that reading an archive and writing a tree or an index take; all others fail with
 * EPERM. It asks for no_new_privs first. 0, or -1 with a report.
 */
int filter_calls(void);

#endif
