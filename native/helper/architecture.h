/* This machine's architecture as a filter of system calls is told it. Which calls the filters allow is written for 64-bit ones. */
#ifndef TSBUILD_ARCHITECTURE_H
#define TSBUILD_ARCHITECTURE_H

#include <linux/audit.h>

#if defined __x86_64__
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined __riscv && __riscv_xlen == 64
#define OWN_ARCHITECTURE AUDIT_ARCH_RISCV64
#elif defined __s390x__
#define OWN_ARCHITECTURE AUDIT_ARCH_S390X
#elif defined __powerpc64__ && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ARCHITECTURE AUDIT_ARCH_PPC64LE
#else
#error "name this machine's architecture as <linux/audit.h> does"
#endif

#endif
