/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/files.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/rights.h"

#define OF_ANOTHER	"it is of another user namespace, where the rights of " \
			"this process do not count"

bool pt_files_are_few(void)
{
	int fds[PT_FILES_FEW], cnt = 0;
	bool are_few;

	while (cnt < PT_FILES_FEW && (fds[cnt] = eventfd(0, EFD_CLOEXEC)) >= 0)
		cnt++;
	are_few = cnt < PT_FILES_FEW;
	while (cnt-- > 0)
		close(fds[cnt]);
	return are_few;
}

const char *pt_process_remedy(int code)
{
	return code == -EACCES || code == -EPERM
		? pt_rights_remedy(PT_RIGHT(CAP_SYS_PTRACE) |
				   PT_RIGHT(CAP_DAC_READ_SEARCH),
				   "with CAP_SYS_PTRACE, and CAP_DAC_READ_SEARCH "
				   "if it is another user's", OF_ANOTHER)
		: pt_files_remedy(code);
}

const char *pt_trace_remedy(void)
{
	return pt_rights_remedy(PT_RIGHT(CAP_SYS_PTRACE), "with CAP_SYS_PTRACE",
				OF_ANOTHER);
}

const char *pt_files_remedy(int code)
{
	return code == -EMFILE || code == -ENFILE ? " (raise ulimit -n)" : "";
}

static bool is_limited(int resource)
{
	struct rlimit limit;

	return !getrlimit(resource, &limit) && limit.rlim_cur != RLIM_INFINITY;
}

bool pt_memory_is_limited(void)
{
	return is_limited(RLIMIT_AS);
}

const char *pt_room_remedy(int code)
{
	switch (code) {
	case -ENOSPC:
	case -EDQUOT:
		return " (free some space, or name another file system)";
	case -EFBIG:
		return is_limited(RLIMIT_FSIZE)
			? " (raise ulimit -f, or a service's LimitFSIZE=)"
			: " (this file system takes no file as large)";
	}
	return "";
}

const char *pt_limit_remedy(int code)
{
	const char *room = pt_room_remedy(code);

	return *room ? room : pt_files_remedy(code);
}
