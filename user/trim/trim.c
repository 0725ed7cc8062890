// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "trim/trim.h"

#include <stddef.h>

static const char *const names[PT_TRIM_CNT] = {
	[PT_TRIM_NONE] = "none",
	[PT_TRIM_ENDS] = "ends",
	[PT_TRIM_BLOCKS] = "blocks",
};

const char *pt_trim_name(enum pt_trim trim)
{
	return (unsigned int)trim < PT_TRIM_CNT ? names[trim] : NULL;
}
