/*
 * The part of EROFS's on-disk format that an index uses; all numbers are little-endian. @see the kernel's
 * Documentation/filesystems/erofs.rst. Blocks have 512 bytes, as those of tar, so that a file's bytes in a tar begin
 * on one. An inode's number is its place in the file by 32 bytes.
 */
#ifndef TSBUILD_EROFS_FORMAT_H
#define TSBUILD_EROFS_FORMAT_H

#include <stdint.h>

#define EROFS_BLOCK_BITS 9u
#define EROFS_BLOCK (1u << EROFS_BLOCK_BITS)
#define EROFS_SLOT 32u
#define EROFS_SUPER_OFFSET 1024u
#define EROFS_MAGIC 0xe0f5e1e2u
#define EROFS_COMPAT_MTIME 2u
#define EROFS_INCOMPAT_CHUNKED_FILE 4u
#define EROFS_INCOMPAT_DEVICE_TABLE 8u

struct erofs_super {
    uint32_t magic;
    uint32_t checksum;
    uint32_t feature_compat;
    uint8_t block_bits;
    uint8_t extension_slots;
    uint16_t root;
    uint64_t inodes;
    uint64_t epoch;
    uint32_t fixed_ns;
    uint32_t blocks;
    uint32_t meta_block;
    uint32_t xattr_block;
    uint8_t uuid[16];
    uint8_t volume[16];
    uint32_t feature_incompat;
    uint16_t compression;
    uint16_t extra_devices;
    uint16_t device_slot; /* where the device table begins, by 128 bytes */
    uint8_t directory_block_bits;
    uint8_t xattr_prefixes;
    uint32_t xattr_prefix_start;
    uint64_t packed_inode;
    uint8_t xattr_filter;
    uint8_t reserved[23];
};

struct erofs_device {
    uint8_t tag[64];
    uint32_t blocks;
    uint32_t mapped_block;
    uint8_t reserved[56];
};

/* The extended form; the compact one has no time of its own. */
struct erofs_inode {
    uint16_t format; /* bit 0: extended; bits 1 to 3: the layout */
    uint16_t xattr_count;
    uint16_t mode;
    uint16_t reserved;
    uint64_t size;
    uint32_t place; /* first data block, device number, or the form of the chunks */
    uint32_t number;
    uint32_t uid;
    uint32_t gid;
    uint64_t mtime;
    uint32_t mtime_ns;
    uint32_t links;
    uint8_t reserved_too[16];
};

enum erofs_layout {
    EROFS_PLAIN = 0,  /* blocks of this file */
    EROFS_INLINE = 2, /* the same, and what does not fill a block follows the inode */
    EROFS_CHUNKS = 4, /* a table of chunks follows the inode, by 8 bytes */
};

#define EROFS_CHUNK_INDEXES 0x20u
#define EROFS_MAX_CHUNK_BITS (EROFS_BLOCK_BITS + 31)

struct erofs_chunk {
    uint16_t reserved;
    uint16_t device; /* 0 is the index itself */
    uint32_t block;
};

/* Precedes the attributes of an inode: numbers of shared ones, then those that only this inode has. */
struct erofs_xattrs {
    uint32_t filter;
    uint8_t shared_count;
    uint8_t reserved[7];
};

/* Followed by name and value, and padded to 4 bytes. */
struct erofs_xattr {
    uint8_t name_length;
    uint8_t prefix;
    uint16_t value_length;
};

enum erofs_prefix {
    EROFS_XATTR_USER = 1,
    EROFS_XATTR_ACL_ACCESS = 2,
    EROFS_XATTR_ACL_DEFAULT = 3,
    EROFS_XATTR_TRUSTED = 4,
    EROFS_XATTR_SECURITY = 6,
};

/* At the beginning of a directory block, one for each name in byte order; the names follow. */
struct erofs_dirent {
    uint64_t inode;
    uint16_t name;
    uint8_t type;
    uint8_t reserved;
} __attribute__((packed));

_Static_assert(sizeof(struct erofs_super) == 128, "a superblock has 128 bytes");
_Static_assert(sizeof(struct erofs_device) == 128, "a device slot has 128 bytes");
_Static_assert(sizeof(struct erofs_inode) == 64, "an extended inode has 64 bytes");
_Static_assert(sizeof(struct erofs_dirent) == 12, "a directory entry has 12 bytes");

#endif
