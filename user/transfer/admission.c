/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "transfer/admission.h"

#include <errno.h>
#include <string.h>

#include <pagetrim/check.h>

int pt_admission_enter(struct pt_admission *a, const struct pt_address *peer,
		       __u32 max, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT_SZ];
	__u32 cnt = 0;

	for (__u32 i = 0; i < a->cnt; i++)
		cnt += !memcmp(a->ips[i], peer->ip, sizeof(peer->ip));
	if (max && cnt >= max)
		return pt_error_set(err, PT_EXIT_HOST, -EDQUOT, "%s: has %u "
				    "transfers already, the most of one address "
				    "(receive --max-transfers)",
				    pt_address_print(peer, text), cnt);
	if (a->cnt == PT_ADMISSION_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -ENOSPC, "%u transfers "
				    "have not ended yet (wait for one to end)",
				    a->cnt);
	memcpy(a->ips[a->cnt++], peer->ip, sizeof(peer->ip));
	return 0;
}

void pt_admission_leave(struct pt_admission *a, const __u8 ip[16])
{
	__u32 i = 0;

	while (i < a->cnt && memcmp(a->ips[i], ip, sizeof(a->ips[i])))
		i++;
	pt_check(i < a->cnt);
	memcpy(a->ips[i], a->ips[--a->cnt], sizeof(a->ips[i]));
}
