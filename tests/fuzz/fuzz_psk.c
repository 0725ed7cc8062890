/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* An accepted key file is lines of bounded parts, each found by its identity; a
 * refused one leaves no key in memory. */
#include <string.h>

#include "tls/psk.h"
#include <pagetrim/check.h>

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz);
int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	static struct pt_psk_file keys, none;
	size_t id_sz, used = 0;

	if (pt_psk_parse(&keys, "f", data, sz, NULL)) {
		pt_check(!memcmp(&keys, &none, sizeof(keys)));
		return 0;
	}
	pt_check(keys.cnt && keys.cnt <= PT_PSK_CNT_MAX);
	for (__u32 i = 0; i < keys.cnt; i++) {
		const struct pt_psk *psk = &keys.all[i];

		id_sz = strlen(psk->identity);
		pt_check(id_sz && id_sz <= PT_PSK_IDENTITY_MAX);
		pt_check(psk->key_sz >= PT_PSK_KEY_MIN &&
			 psk->key_sz <= PT_PSK_KEY_MAX);
		pt_check(pt_psk_find(&keys, psk->identity, id_sz) == psk);
		pt_check(!memcmp(psk->identity, data + used, id_sz) &&
			 data[used + id_sz] == ':');
		used += id_sz + 1 + 2 * psk->key_sz;
		used += used < sz && data[used] == '\r';
		used += used < sz && data[used] == '\n';
	}
	pt_check(used == sz);
	return 0;
}
