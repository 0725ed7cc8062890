/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/files.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

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
		? " (run as root, or with CAP_SYS_PTRACE)"
		: pt_files_remedy(code);
}

const char *pt_files_remedy(int code)
{
	return code == -EMFILE || code == -ENFILE ? " (raise ulimit -n)" : "";
}
