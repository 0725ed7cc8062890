/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/limits.h"

#include <sys/resource.h>

void pt_limits_raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);	/* on failure the limit stays as
						 * it was */
}
