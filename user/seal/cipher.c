// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "seal/cipher.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#ifdef __aarch64__
#include <sys/auxv.h>
#include <asm/hwcap.h>
#endif

static const struct {
	const char *name;
	__u32	key_sz;
} ciphers[] = {
	[PT_CIPHER_NONE] = { "none", 0 },
	[PT_CIPHER_AES_128_GCM] = { "aes-128-gcm", 16 },
	[PT_CIPHER_AES_256_GCM] = { "aes-256-gcm", 32 },
	[PT_CIPHER_CHACHA20_POLY1305] = { "chacha20-poly1305", 32 },
};

_Static_assert(sizeof(ciphers) / sizeof(ciphers[0]) == PT_CIPHER_MAX + 1,
	       "every cipher has a name");

const char *pt_cipher_name(enum pt_cipher cipher)
{
	return (unsigned int)cipher <= PT_CIPHER_MAX ? ciphers[cipher].name :
						       "unknown";
}

int pt_cipher_parse(const char *text, enum pt_cipher *out)
{
	for (unsigned int i = 1; i <= PT_CIPHER_MAX; i++) {
		if (strcmp(text, ciphers[i].name))
			continue;
		*out = i;
		return 0;
	}
	return -EINVAL;
}

__u32 pt_cipher_key_sz(enum pt_cipher cipher)
{
	return ciphers[cipher].key_sz;
}

__u16 pt_ciphers_here(void)
{
	return PT_CIPHER_BIT(PT_CIPHER_AES_128_GCM) |
	       PT_CIPHER_BIT(PT_CIPHER_AES_256_GCM) |
	       PT_CIPHER_BIT(PT_CIPHER_CHACHA20_POLY1305);
}

static bool cpu_has_aes(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	return __builtin_cpu_supports("aes") &&
	       __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
	return getauxval(AT_HWCAP) & HWCAP_AES;
#else
	return false;
#endif
}

enum pt_cipher pt_cipher_choose(__u16 offered)
{
	static const enum pt_cipher ranks[2][PT_CIPHER_MAX] = {
		{ PT_CIPHER_CHACHA20_POLY1305, PT_CIPHER_AES_128_GCM,
		  PT_CIPHER_AES_256_GCM },
		{ PT_CIPHER_AES_128_GCM, PT_CIPHER_AES_256_GCM,
		  PT_CIPHER_CHACHA20_POLY1305 },
	};
	const enum pt_cipher *rank = ranks[cpu_has_aes()];

	for (unsigned int i = 0; i < PT_CIPHER_MAX; i++)
		if (offered & PT_CIPHER_BIT(rank[i]))
			return rank[i];
	return PT_CIPHER_NONE;
}
