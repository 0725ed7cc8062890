/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* status: fills the caller's pt_status, in the caller's size. */
#ifndef API_STATUS_H
#define API_STATUS_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "api/api.h"

/* api_status_check: sz has room for at least one field after itself. */
static inline int api_status_check(const struct pt_status *to,
				   struct api_error *err)
{
	if (to && to->sz >= offsetof(struct pt_status, phase))
		return 0;
	return api_mistake(err, "status is NULL, or its sz is not set");
}

/* api_status_give writes the fields that fit into to->sz, and sets to->sz to
 * their size. */
static inline void api_status_give(struct pt_status *to,
				   const struct pt_status *from)
{
	size_t sz = to->sz < sizeof(*from) ? to->sz : sizeof(*from);

	memcpy(to, from, sz);
	to->sz = sz;
}

#endif
