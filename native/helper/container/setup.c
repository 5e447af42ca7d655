#include "setup.h"

#include "flat/start-time.h"
#include "id-maps.h"
#include "kernel.h"
#include "layers.h"
#include "mount-points.h"
#include "report.h"
#include "root.h"
#include "stages.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Returns the mount that is to become the root, or -1 with the failure reported. */
static int mount_root(struct container *container, int scratch)
{
    struct layers layers;
    int stub = -1;
    if (container->root.kind == ROOT_DIRECTORY) return mount_directory(&container->root);
    if (container->root.kept >= 0) return mount_kept(&container->root);
    if (open_layers(&container->root, &layers) < 0 || make_mount_points(container, &layers, scratch, &stub) < 0) return -1;
    return mount_overlay(&container->root, &layers, scratch, stub);
}

static int write_sysctls(const struct container *container, int root)
{
    for (uint32_t i = 0; i < container->sysctls.count; i++) {
        const struct pair *sysctl = &container->sysctls.items[i];
        char path[PATH_MAX];
        snprintf(path, sizeof path, "proc/sys/%s", sysctl->key);
        int file = kernel_open_in_root(root, path, O_WRONLY, RESOLVE_NO_SYMLINKS);
        if (file < 0 || write(file, sysctl->value, strlen(sysctl->value)) < 0) return report_failure(STAGE_SYSCTL, sysctl->key);
        close(file);
    }
    return 0;
}

/* NO_START when nobody wants to know. */
#define NO_START (-2)

static int open_start(const struct container *container)
{
    const struct container_root *root = &container->root;
    if (!*root->start) return NO_START;
    struct stat stat;
    int file = open(root->start, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0 || fstat(file, &stat) < 0) return report_failure(STAGE_ROOT, root->start);
    /* Only its owner can set its times, which is done from inside. */
    if (container->users.count && fchown(file, map_id(&container->users, 0), map_id(&container->groups, 0)) < 0) return report_failure(STAGE_ROOT, root->start);
    if (stat.st_size == 0) return file;
    close(file);
    return NO_START;
}

/* Something in the file says that the time is set: a later process in the same tree goes on with the work of the first. */
static int note_start(int file)
{
    return write(file, "s", 1) != 1 || stamp_start(file) < 0 ? -1 : close(file);
}

int prepare_setup(struct container *container, struct setup *setup)
{
    setup->start = open_start(container);
    if (setup->start == -1 || prepare_foreign_mounts(container) < 0) return -1;
    int scratch = mount_scratch();
    if (scratch < 0 || prepare_masks(&setup->masks, scratch) < 0 || prepare_mounts(container, scratch) < 0) return -1;
    setup->root = mount_root(container, scratch);
    return setup->root < 0 ? -1 : 0;
}

int enter_setup(struct container *container, struct setup *setup)
{
    int root = setup->root;
    if (prepare_filesystems(container) < 0) return -1;
    if (container->users.count && attach_root(root) < 0) return report_failure(STAGE_ROOT, "/");
    if (enter_root(root) < 0 || attach_mounts(container, root) < 0) return -1;
    if (write_sysctls(container, root) < 0 || mask_paths(container, &setup->masks, root) < 0) return -1;
    if (container->root.is_readonly && kernel_mount_setattr(root, 0, MOUNT_ATTR_RDONLY) < 0) return report_failure(STAGE_ROOT, "/");
    if (container->root_propagation && kernel_set_propagation(root, 0, container->root_propagation) < 0) return report_failure(STAGE_ROOT, "/");
    if (setup->start != NO_START && note_start(setup->start) < 0) return report_failure(STAGE_ROOT, container->root.start);
    return root;
}
