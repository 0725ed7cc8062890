/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* upper_kit: whether the upper halves of the vector registers are zero. */
#ifndef TEST_UPPER_KIT_H
#define TEST_UPPER_KIT_H

#include <stdbool.h>

/* kit_upper_is_zero must follow an AVX2 function at once.  It leaves the upper
 * halves zero.  Only for a CPU with AVX2. */
static inline bool kit_upper_is_zero(void)
{
	bool is_zero = true;

#ifdef __x86_64__
	__asm__ volatile(
		"vorps %%ymm1, %%ymm0, %%ymm0\n\t"
		"vorps %%ymm2, %%ymm0, %%ymm0\n\t"
		"vorps %%ymm3, %%ymm0, %%ymm0\n\t"
		"vorps %%ymm4, %%ymm0, %%ymm0\n\t"
		"vorps %%ymm5, %%ymm0, %%ymm0\n\t"
		"vorps %%ymm6, %%ymm0, %%ymm0\n\t"
		"vorps %%ymm7, %%ymm0, %%ymm0\n\t"
		"vextractf128 $1, %%ymm0, %%xmm0\n\t"
		"vptest %%xmm0, %%xmm0\n\t"
		"setz %0\n\t"
		"vzeroupper"
		: "=r"(is_zero) : : "xmm0", "cc");
#endif
	return is_zero;
}

#endif
