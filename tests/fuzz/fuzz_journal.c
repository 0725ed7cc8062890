/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A journal that parses must encode to the same bytes.  Each input is also
 * parsed with a correct hash, since the hash would hide all later checks. */
#include <stdlib.h>
#include <string.h>

#include "sink/journal.h"
#include "wire/checksum.h"
#include <pagetrim/check.h>

static void give(const __u8 *bytes, size_t sz)
{
	struct pt_journal j;
	size_t own_sz;
	__u8 *again;

	if (pt_journal_parse(&j, bytes, sz))
		return;
	own_sz = pt_journal_sz(&j);
	pt_check(own_sz <= sz);
	again = malloc(own_sz);
	pt_check(again);
	pt_journal_encode(&j, again);
	pt_check(!memcmp(again, bytes, own_sz));
	for (size_t i = own_sz; i < sz; i++)
		pt_check(!bytes[i]);
	pt_check(pt_journal_is_same(&j, &j));
	free(again);
	pt_journal_free(&j);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz);
int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	__u8 *right;
	size_t own_sz;

	give(data, sz);
	if (sz < 12 + PT_AUTH_SZ)
		return 0;
	own_sz = (size_t)data[8] << 24 | data[9] << 16 | data[10] << 8 |
		 data[11];
	if (own_sz < 12 + PT_AUTH_SZ || own_sz > sz)
		return 0;
	right = malloc(sz);
	pt_check(right);
	memcpy(right, data, sz);
	pt_checksum(&(struct pt_span){ .base = right,
				       .sz = own_sz - PT_AUTH_SZ }, 1,
		    right + own_sz - PT_AUTH_SZ);
	give(right, sz);
	free(right);
	return 0;
}
