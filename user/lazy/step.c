// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lazy/step.h"

__attribute__((noinline)) void pt_lazy_enter(const void *owner, enum pt_lazy_step step)
{
	/* Or a call without effect is left out. */
	__asm__ volatile("" : : "r"(owner), "r"(step) : "memory");
}
