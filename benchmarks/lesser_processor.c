/* This very processor, as if it had less: for benchmarks/processors.py, preloaded into a process (LD_PRELOAD).
 *
 * OpenVINO asks the processor (CPUID) which instructions it has, in several places of its own, of oneDNN and of xbyak;
 * ONEDNN_MAX_CPU_ISA reaches only one of them. Linux can make CPUID fault (arch_prctl(ARCH_SET_CPUID, 0), Intel from Ivy
 * Bridge on): here the fault is answered with the processor's own answer, less what COMMUN_LESSER takes away:
 *
 *   avx2         no AVX-512, no AVX-VNNI, no AMX
 *   avx2_vnni    no AVX-512, no AMX
 *   avx512       no VNNI, no bfloat16, no float16, no AMX
 *   avx512_vnni  no bfloat16, no float16, no AMX
 *   avx512_bf16  no float16, no AMX
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define BIT(n) (1u << (n))

/* Leaf 7.0: EBX F DQ IFMA CD BW VL; ECX VBMI VBMI2 VNNI BITALG VPOPCNTDQ; EDX VP2INTERSECT FP16, and the three of AMX. */
#define AVX512_B (BIT(16) | BIT(17) | BIT(21) | BIT(28) | BIT(30) | BIT(31))
#define AVX512_C (BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14))
#define AVX512_D (BIT(8) | BIT(23))
#define AMX_D (BIT(22) | BIT(24) | BIT(25))
/* Leaf 7.1: EAX AVX-VNNI, AVX512-BF16, AMX-FP16, AVX-IFMA; EDX AVX-VNNI-INT8, AVX-NE-CONVERT, AMX-COMPLEX, AVX10. */
#define AVX_VNNI_A BIT(4)
#define AVX512_BF16_A BIT(5)
#define NEWER_A (BIT(21) | BIT(23))
#define NEWER_D (BIT(4) | BIT(5) | BIT(8) | BIT(10) | BIT(19))

static uint32_t less_b, less_c, less_d, less_1a;

static void take_away(uint32_t leaf, uint32_t part, uint32_t *r) {
    if (leaf == 7 && part == 0) {
        r[1] &= ~less_b;
        r[2] &= ~less_c;
        r[3] &= ~less_d;
    } else if (leaf == 7 && part == 1) {
        r[0] &= ~less_1a;
        r[3] &= ~NEWER_D;
    } else if (leaf == 0x1d || leaf == 0x1e || leaf == 0x24) {
        memset(r, 0, 4 * sizeof *r);
    }
}

static void answer(int number, siginfo_t *info, void *context) {
    (void)info;
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *at = (const uint8_t *)g[REG_RIP];
    if (at[0] != 0x0f || at[1] != 0xa2) { /* no CPUID: a fault like any other */
        signal(number, SIG_DFL);
        return;
    }
    uint32_t leaf = (uint32_t)g[REG_RAX], part = (uint32_t)g[REG_RCX], r[4];
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
    __cpuid_count(leaf, part, r[0], r[1], r[2], r[3]);
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
    take_away(leaf, part, r);
    g[REG_RAX] = r[0];
    g[REG_RBX] = r[1];
    g[REG_RCX] = r[2];
    g[REG_RDX] = r[3];
    g[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void) {
    const char *level = getenv("COMMUN_LESSER");
    if (level == NULL) return;
    less_d = AMX_D | BIT(23);
    less_1a = NEWER_A;
    if (strcmp(level, "avx512_bf16") != 0) less_1a |= AVX512_BF16_A;
    if (strcmp(level, "avx512") == 0) {
        less_c = BIT(11);
        less_1a |= AVX_VNNI_A;
    }
    if (strncmp(level, "avx2", 4) == 0) {
        less_b = AVX512_B;
        less_c = AVX512_C;
        less_d |= AVX512_D;
        if (strcmp(level, "avx2") == 0) less_1a |= AVX_VNNI_A;
    }
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) != 0) _exit(97); /* this machine cannot */
}
