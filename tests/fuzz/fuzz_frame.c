/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The first two bytes say where the frame behind them is cut.  A reader that
 * opens it must hand out as many blocks as the header says. */
#include <string.h>

#include <pagetrim/check.h>
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz);
int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	__u32 at = 2, cnt = 0, blocks = 0, got, len = sz ? data[0] * 16 : 0;
	struct pt_span spans[PT_SPANS_MAX];
	struct pt_record_host record;
	struct pt_reader r;
	__u8 page[PT_PAGE_SZ];

	for (; cnt < PT_SPANS_MAX && at <= sz; len = data[1] * 16) {
		if (cnt == PT_SPANS_MAX - 1 || len > sz - at)
			len = sz - at;
		spans[cnt++] = (struct pt_span){ data + at, len };
		at += len;
	}
	if (!cnt || pt_reader_open(&r, spans, cnt) != PT_VERDICT_STEERED)
		return 0;
	pt_reader_auth_ok(&r);
	while (pt_reader_next(&r, &record))
		for (const void *b; (b = pt_reader_blocks(&r, 64, &got)); ) {
			memcpy(page, b, got * PT_BLOCK_SZ);
			blocks += got;
		}
	pt_check(blocks == (r.kind == PT_FRAME_DATA ? r.block_cnt : 0));
	return 0;
}
