/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "api/api.h"

const char *pt_version(void)
{
	return PT_VERSION_TEXT;
}
