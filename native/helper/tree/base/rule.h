/*
 * Why an archive or a tree is refused: its content breaks a rule, which is not a failure of a system call. Numbers are
 * part of the protocol; storage/tree/rules.ts has the same list.
 */
#ifndef TSBUILD_TREE_RULE_H
#define TSBUILD_TREE_RULE_H

#include <stddef.h>
#include <stdint.h>

enum rule {
    RULE_EMPTY = 1,            /* not one byte of tar */
    RULE_CHECKSUM,             /* a header whose checksum is wrong, so most likely no tar */
    RULE_NUMBER,               /* a numeric field that is no number, negative or too large */
    RULE_TRUNCATED,            /* the end in the middle of a header or body */
    RULE_STRAY_ZEROS,          /* a single zero block followed by more entries */
    RULE_TYPE,                 /* a type flag without meaning in a layer */
    RULE_SPARSE,               /* a sparse file, in any of the three formats */
    RULE_PAX,                  /* a malformed PAX record */
    RULE_AMBIGUOUS_NAME,       /* a GNU long name and a PAX path that differ */
    RULE_HEADER_SIZE,          /* an extended header larger than the limit */
    RULE_HEADER_COUNT,         /* more extended headers in a row than any writer makes */
    RULE_PATH,                 /* ".." or NUL in a path */
    RULE_NAME_LENGTH,          /* a component above 255 bytes */
    RULE_PATH_LENGTH,
    RULE_DEPTH,
    RULE_ROOT_TYPE,            /* the root entry is no directory */
    RULE_WHITEOUT,             /* a whiteout without name, with a body, or not a regular file */
    RULE_BELOW_WHITEOUT,       /* a path with a whiteout name as directory */
    RULE_LINK_LOOP,
    RULE_NOT_A_DIRECTORY,      /* a parent that is a file */
    RULE_LINK_MISSING,         /* a hard link to nothing */
    RULE_LINK_TYPE,            /* a hard link to a directory, or to what cannot be copied up */
    RULE_LINK_COUNT,           /* more links to a file than the filesystem has */
    RULE_LINK_TARGET,          /* an empty symlink target or one above 4095 bytes */
    RULE_DEVICE,               /* device 0:0, which overlayfs takes for a whiteout, or numbers out of range */
    RULE_OWNER,                /* an owner or group above 2^32 - 2 */
    RULE_XATTR,                /* an extended attribute above the kernel's limits */
    RULE_ENTRY_COUNT,
    RULE_SIZE,                 /* more bytes than the caller allows */
    RULE_TIME,                 /* more processor time than the caller allows */
    RULE_WHITEOUT_NAME = 64,   /* a file named like a whiteout */
    RULE_REDIRECT,             /* an upperdir that refers to other layers by redirect or metacopy */
    RULE_ORDER,                /* listed entries out of order, or without their parent directory */
    RULE_SOURCE_TYPE,          /* a source that is no regular file any more */
    RULE_SOURCE_SIZE,          /* a source whose size is not the announced one any more */
};

/* The entry of the archive at work, counted from 0; refusals name it. */
extern uint64_t rule_entry;

/* Reports the refusal. Returns -1. */
int refuse(enum rule rule, const char *path, size_t length);

#endif
