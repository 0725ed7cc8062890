/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* status: how far a transfer is, as its caller wants to know it. */
#ifndef API_STATUS_H
#define API_STATUS_H

#include <errno.h>
#include <string.h>

#include "api/api.h"

/* api_status_check: there is room for more than the size itself. */
static inline int api_status_check(const struct pt_status *to,
				   struct api_error *err)
{
	if (to && to->sz > sizeof(to->sz))
		return 0;
	return api_mistake(err, "status is NULL, or its sz is not set");
}

/* api_status_give writes what the caller has room for, and how much that is. */
static inline void api_status_give(struct pt_status *to,
				   const struct pt_status *from)
{
	size_t sz = to->sz < sizeof(*from) ? to->sz : sizeof(*from);

	memcpy(to, from, sz);
	to->sz = sz;
}

#endif
