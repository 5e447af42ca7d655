#include "flat/place-mark.h"

#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define MARK "tsbuild-place"
#define MARK_SIZE (2 * 20 + 2 + NAME_MAX + 1)

/* Inode numbers are used again, but not in the same place with this attribute. */
static int describe(int parent, int folder, const char *name, char *value)
{
    struct stat above, stat;
    if (fstat(parent, &above) < 0 || fstat(folder, &stat) < 0) return -1;
    return snprintf(value, MARK_SIZE, "%llu %llu %s", (unsigned long long)above.st_ino, (unsigned long long)stat.st_ino, name);
}

static void name_mark(const struct layers *layers, char *attribute)
{
    snprintf(attribute, XATTR_NAME_MAX, "%s" MARK, layers->private);
}

int set_place_mark(const struct layers *layers, int parent, int folder, const char *name)
{
    char attribute[XATTR_NAME_MAX], value[MARK_SIZE];
    int length = describe(parent, folder, name, value);
    name_mark(layers, attribute);
    return length < 0 ? -1 : fsetxattr(folder, attribute, value, (size_t)length, 0);
}

bool has_place_mark(const struct layers *layers, int parent, int folder, const char *name)
{
    char attribute[XATTR_NAME_MAX], wanted[MARK_SIZE], found[MARK_SIZE];
    int length = describe(parent, folder, name, wanted);
    name_mark(layers, attribute);
    return length >= 0 && fgetxattr(folder, attribute, found, sizeof found) == length && memcmp(wanted, found, (size_t)length) == 0;
}

bool carries_place_mark(const struct layers *layers, int folder)
{
    char attribute[XATTR_NAME_MAX];
    name_mark(layers, attribute);
    return fgetxattr(folder, attribute, NULL, 0) >= 0;
}

bool is_place_mark(const struct layers *layers, const char *attribute)
{
    size_t length = strlen(layers->private);
    return strncmp(attribute, layers->private, length) == 0 && strcmp(attribute + length, MARK) == 0;
}
