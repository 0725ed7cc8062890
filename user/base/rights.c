/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/rights.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_USER_NS	0xEFFFFFFDu	/* PROC_USER_INIT_INO, its inode */

__u64 pt_rights_held(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, data))
		return 0;
	return data[0].effective | (__u64)data[1].effective << 32;
}

bool pt_rights_are_inner(void)
{
	struct stat ns;

	return !stat("/proc/self/ns/user", &ns) && ns.st_ino != FIRST_USER_NS;
}

const char *pt_rights_lacking(__u64 held, __u64 want, char list[PT_RIGHTS_SZ])
{
	static const struct {
		int cap;
		const char *name;
	} caps[] = {
		{ CAP_NET_RAW, "CAP_NET_RAW" },
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
		{ CAP_BPF, "CAP_BPF" },
		{ CAP_PERFMON, "CAP_PERFMON" },
		{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
		{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE" },
	};
	int used = 0;

	if (held & PT_RIGHT(CAP_SYS_ADMIN))
		held |= PT_RIGHT(CAP_BPF) | PT_RIGHT(CAP_PERFMON);
	list[0] = '\0';
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		if (want & ~held & PT_RIGHT(caps[i].cap))
			used += snprintf(list + used, PT_RIGHTS_SZ - used,
					 "%s%s", used ? ", " : "",
					 caps[i].name);
	return list;
}

const char *pt_rights_remedy(__u64 want, const char *how, const char *inner)
{
	static _Thread_local char text[PT_RIGHTS_REMEDY_SZ];
	__u64 held = pt_rights_held();

	if (held & PT_RIGHT(CAP_DAC_OVERRIDE))
		held |= PT_RIGHT(CAP_DAC_READ_SEARCH);
	if (want & ~held)
		snprintf(text, sizeof(text), geteuid() ? " (run as root, or %s)"
			 : " (run %s)", how);
	else if (pt_rights_are_inner())
		snprintf(text, sizeof(text), " (%s)", inner);
	else
		return " (this process has the right: a security module or a "
		       "seccomp filter forbids it)";
	return text;
}
