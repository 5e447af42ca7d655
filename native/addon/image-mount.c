/* EROFS images, mounted where nobody sees them for as long as a descriptor is open. */
#include "addon.h"

#include <linux/mount.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool set_option(int context, const char *key, const char *value)
{
    return syscall(SYS_fsconfig, context, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0) == 0;
}

static int mount_image(const char *index, const char *tar)
{
    int context = (int)syscall(SYS_fsopen, "erofs", FSOPEN_CLOEXEC), mounted = -1;
    if (context < 0) return -1;
    if (set_option(context, "source", index) && set_option(context, "device", tar) && set_option(context, "ro", NULL) && syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
        mounted = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME);
    }
    close(context);
    return mounted;
}

/* holdImage(index, tar): a descriptor of the mount's root; -1 where the kernel refuses, which says why to the helper when that mounts it. */
static napi_value hold_image(napi_env env, napi_callback_info info)
{
    napi_value args[2];
    if (!read_args(env, info, 2, args)) return NULL;
    char *index = copy_text(env, args[0]), *tar = index ? copy_text(env, args[1]) : NULL;
    napi_value result = tar ? make_int(env, mount_image(index, tar)) : NULL;
    free(index);
    free(tar);
    return result;
}

void init_image_mount(napi_env env, napi_value exports)
{
    export_function(env, exports, "holdImage", hold_image);
}
