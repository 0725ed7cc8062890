/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* An accepted key file is one line of bounded parts; a refused one leaves no
 * key in memory. */
#include <string.h>

#include "tls/psk.h"
#include <pagetrim/check.h>

int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz);
int LLVMFuzzerTestOneInput(const __u8 *data, size_t sz)
{
	static const __u8 zero[PT_PSK_KEY_MAX];
	struct pt_psk psk;
	size_t id_sz;

	if (pt_psk_parse(&psk, "f", data, sz, NULL)) {
		pt_check(!memcmp(psk.key, zero, sizeof(zero)) && !psk.key_sz);
		return 0;
	}
	id_sz = strlen(psk.identity);
	pt_check(id_sz && id_sz <= PT_PSK_IDENTITY_MAX);
	pt_check(psk.key_sz >= PT_PSK_KEY_MIN && psk.key_sz <= PT_PSK_KEY_MAX);
	pt_check(!memcmp(psk.identity, data, id_sz) && data[id_sz] == ':');
	pt_check(sz - id_sz - 1 - 2 * psk.key_sz <= 2);
	return 0;
}
