// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The system calls of a keeper.  It opens no file, makes no socket and no process, and
 * runs no program.  libseccomp would allocate memory. */
#include "lazy/keeper_impl.h"

#include <endian.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCH	AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH	AUDIT_ARCH_AARCH64
#elif defined(__s390x__)
#define ARCH	AUDIT_ARCH_S390X
#endif

#define LOW	(__BYTE_ORDER == __LITTLE_ENDIAN ? 0 : 4)
#define LOAD(at)		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define SKIP_IF_NOT(value, cnt)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, cnt)
#define RETURN(action)		BPF_STMT(BPF_RET | BPF_K, action)
#define REFUSE			RETURN(SECCOMP_RET_ERRNO | EPERM)
#define CALL(name) \
	SKIP_IF_NOT(__NR_##name, 1), RETURN(SECCOMP_RET_ALLOW)
#define CALL_WITH(name, idx, value) \
	SKIP_IF_NOT(__NR_##name, 4), \
	LOAD(offsetof(struct seccomp_data, args[idx]) + LOW), \
	SKIP_IF_NOT(value, 1), RETURN(SECCOMP_RET_ALLOW), REFUSE

int pt_keeper_confine(void)
{
#ifdef ARCH
	static struct sock_filter code[] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0), REFUSE,
		LOAD(offsetof(struct seccomp_data, nr)),
#ifdef __NR_poll
		CALL(poll), CALL(readlink),
#endif
		CALL(ppoll), CALL(clock_gettime), CALL(restart_syscall),
		CALL(recvmsg), CALL(recvfrom), CALL(sendmsg), CALL(sendto),
		CALL(accept4), CALL(getsockopt), CALL(shutdown), CALL(close),
		CALL(unlinkat), CALL(readlinkat), CALL(geteuid), CALL(mmap),
		CALL(munmap), CALL(pidfd_open), CALL(rt_sigreturn),
		CALL(exit_group),
		CALL_WITH(ioctl, 1, (__u32)UFFDIO_COPY),
		CALL_WITH(pidfd_send_signal, 1, SIGKILL),
		REFUSE,
	};
	const struct sock_fprog filter = {
		.len = sizeof(code) / sizeof(*code), .filter = code,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		return -errno;
#endif
	return 0;
}
