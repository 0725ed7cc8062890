/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Cleaned text from a stranger is clean, fits, and is unchanged by another cleaning, as
 * is all that has no byte to be escaped. */
#include "input.h"

#include <pagetrim/check.h>
#include "base/text.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	struct input in = { data, sz };
	size_t to_sz = 1 + input_u8(&in);
	char from[1024] = "", to[256], again[256];
	size_t from_sz = in.sz < sizeof(from) ? in.sz : sizeof(from) - 1;

	input_bytes(&in, from, from_sz);
	from_sz = strlen(from);
	memset(to, 0x55, sizeof(to));
	pt_text_clean(to, to_sz, from);
	pt_check(memchr(to, 0, to_sz));
	pt_check(pt_text_is_clean(to, strlen(to)));
	pt_text_clean(again, to_sz, to);
	pt_check(!strcmp(to, again));
	if (PT_TEXT_CLEAN_SZ(from_sz) < to_sz)
		pt_check(strlen(to) >= from_sz);
	/* Marks that turn text begin so. */
	if (from_sz < to_sz && pt_text_is_clean(from, from_sz) &&
	    !strpbrk(from, "\xd8\xe2"))
		pt_check(!strcmp(to, from));
	return 0;
}
