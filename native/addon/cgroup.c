/* What a version 2 cgroup is told by system call and not by a file. */
#include "addon.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* attachDeviceProgram(cgroupFd, program): the group keeps the program, our descriptor of it is closed. */
static napi_value attach_device_program(napi_env env, napi_callback_info info)
{
    napi_value args[2], result;
    int64_t cgroup;
    const uint8_t *bytes;
    size_t length;
    if (!read_args(env, info, 2, args) || !read_int(env, args[0], &cgroup) || !read_bytes(env, args[1], &bytes, &length)) return NULL;
    union bpf_attr load;
    memset(&load, 0, sizeof load);
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insns = (uint64_t)(uintptr_t)bytes;
    load.insn_cnt = (uint32_t)(length / sizeof(struct bpf_insn));
    load.license = (uint64_t)(uintptr_t)"Apache-2.0";
    int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (program < 0) return throw_errno(env, errno, "bpf", NULL);
    union bpf_attr attach;
    memset(&attach, 0, sizeof attach);
    attach.target_fd = (uint32_t)cgroup;
    attach.attach_bpf_fd = (uint32_t)program;
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    int attached = (int)syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach), error = errno;
    close(program);
    if (attached < 0) return throw_errno(env, error, "bpf", NULL);
    napi_get_undefined(env, &result);
    return result;
}

void init_cgroup(napi_env env, napi_value exports)
{
    export_function(env, exports, "attachDeviceProgram", attach_device_program);
}
