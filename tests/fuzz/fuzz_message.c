/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A message that decodes must encode to the same bytes, for each sender and
 * each set of agreed capabilities: the first byte states both. */
#include <string.h>

#include "channel/messages.h"
#include <pagetrim/check.h>

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz);
int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	static struct pt_message_scratch scratch;
	static __u8 again[PT_MESSAGE_SZ_MAX];
	struct pt_message m;
	int ret, from = sz ? data[0] % 2 + PT_ROLE_SENDER : PT_ROLE_SENDER;
	__u64 caps = sz && data[0] & 2 ? PT_CAP_ARRIVALS : 0;

	ret = sz ? pt_message_decode(&m, &scratch, from, caps, data + 1,
				     sz - 1, NULL) : 0;
	if (ret > 0 && m.type != PT_MSG_HELLO)
		pt_check(pt_message_encode(&m, caps, again, ret, NULL) == ret &&
			 !memcmp(again, data + 1, ret));
	return 0;
}
