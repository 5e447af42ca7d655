#include "tree/unpack/confine.h"

#include "container/kernel.h"
#include "report.h"
#include "tree/base/stage.h"
#include "tree/unpack/call-filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* CAP_SYS_ADMIN is what trusted.* attributes ask for. */
static const int for_writing[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP, CAP_SYS_ADMIN};
static const int for_reading[] = {CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN};

/* Where nobody can put anything, for want of a namespace, and which goes with the process. */
#define OWN_FOLDER "/proc/self/fdinfo"

/* Where no namespace can be had. CAP_SYS_CHROOT, the way out, is not among the capabilities kept. */
static int enter_by_chroot(const char *directory)
{
    if (chdir(directory) < 0 || chroot(".") < 0) return report_failure(STAGE_CONFINE, directory);
    return 0;
}

static int mount_nothing(const char *directory)
{
    return kernel_mount("nothing", directory, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

/* Devices can be made in it, and not opened. */
static int mount_harmless(const char *directory)
{
    int fd = kernel_open_tree(AT_FDCWD, directory, OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW);
    int target = fd < 0 ? -1 : open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result = target < 0 ? -1 : kernel_mount_setattr(fd, 0, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    if (result == 0) result = kernel_attach(fd, target);
    int error = errno;
    if (target >= 0) close(target);
    if (fd >= 0) close(fd);
    errno = error;
    return result;
}

/* Into the directory, or with nothing mounted over it. */
static int enter_root(const char *directory, bool is_emptied)
{
    if (unshare(CLONE_NEWNS) < 0) return errno == EPERM ? enter_by_chroot(directory) : report_failure(STAGE_CONFINE, "unshare");
    if (kernel_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return report_failure(STAGE_CONFINE, "make mounts private");
    if ((is_emptied ? mount_nothing(directory) : mount_harmless(directory)) < 0) return report_failure(STAGE_CONFINE, directory);
    if (chdir(directory) < 0 || kernel_pivot_root(".", ".") < 0) return report_failure(STAGE_CONFINE, "pivot_root");
    if (kernel_umount(".", UMOUNT_DETACH) < 0 || chdir("/") < 0) return report_failure(STAGE_CONFINE, "leave the old root");
    return 0;
}

static int keep_capabilities(const int *kept, size_t count)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2], wanted[2] = {0};
    if (syscall(SYS_capget, &header, data) < 0) return report_failure(STAGE_CONFINE, "capget");
    for (size_t i = 0; i < count; i++) wanted[CAP_TO_INDEX(kept[i])].permitted |= CAP_TO_MASK(kept[i]);
    for (int i = 0; i < 2; i++) wanted[i].permitted = wanted[i].effective = wanted[i].permitted & data[i].permitted;
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++) {
        bool is_kept = wanted[CAP_TO_INDEX(capability)].permitted & CAP_TO_MASK(capability);
        if (!is_kept && prctl(PR_CAPBSET_DROP, capability) < 0 && errno != EPERM) return report_failure(STAGE_CONFINE, "drop capabilities");
    }
    if (syscall(SYS_capset, &header, wanted) < 0) return report_failure(STAGE_CONFINE, "capset");
    return filter_calls();
}

int confine_to(const char *directory)
{
    umask(0);
    return enter_root(directory, false) < 0 ? -1 : keep_capabilities(for_writing, sizeof for_writing / sizeof *for_writing);
}

int confine_to_descriptors(void)
{
    return enter_root(OWN_FOLDER, true) < 0 ? -1 : keep_capabilities(for_reading, sizeof for_reading / sizeof *for_reading);
}
