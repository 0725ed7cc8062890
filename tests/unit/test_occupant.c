// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The description of the program that holds a device: its owner, and a remedy
 * that harms no running process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xdp/occupant.h"

/* X(test, name, generic, by_link, pid, command, who, remedy) */
#define ROWS(X)								\
	X(went, "", false, false, 0, "",				\
	  "an XDP program that came and went", "try again")		\
	X(receiver, "pagetrim", false, true, 77, "pagetrim receive",	\
	  "XDP program 'pagetrim' (id 5) of pid 77, pagetrim receive",	\
	  "wait until it ends, or use another device; several receivers " \
	  "share one after 'pagetrim attach --dev eth9'")		\
	X(sender, "pagetrim_pass", false, true, 77, "pagetrim send",	\
	  "XDP program 'pagetrim_pass' (id 5) of pid 77, pagetrim send", \
	  "wait until that sender ends; without generic both run on eth9") \
	X(dispatcher, "xdp_dispatcher", false, false, 0, "",		\
	  "XDP program 'xdp_dispatcher' (id 5)",			\
	  "'pagetrim attach --dev eth9' puts ours beside it, if its "	\
	  "programs and the kernel can")				\
	X(process, "firewall", true, true, 99, "fw",			\
	  "XDP program 'firewall' (id 5, generic) of pid 99, fw",	\
	  "use another device, or end pid 99 if nobody needs it")	\
	X(nobody, "firewall", false, false, 0, "",			\
	  "XDP program 'firewall' (id 5)",				\
	  "use another device, or ask who attached it whether it is "	\
	  "needed: 'bpftool prog show id 5'")				\
	X(pinned, "", false, true, 0, "",				\
	  "XDP program '?' (id 5), by a link that no process in sight "	\
	  "holds",							\
	  "use another device, or ask who attached it whether it is "	\
	  "needed: 'bpftool prog show id 5'")				\
	X(nameless, "firewall", false, true, 99, "",			\
	  "XDP program 'firewall' (id 5) of pid 99, ?",			\
	  "use another device, or end pid 99 if nobody needs it")

static void check(const struct pt_occupant *o, const char *who,
		  const char *remedy)
{
	char text[160];

	pt_occupant_print(o, text, sizeof(text));
	assert_string_equal(text, who);
	pt_occupant_remedy(o, "eth9", text, sizeof(text));
	assert_string_equal(text, remedy);
	assert_null(strstr(text, " off"));
	/* A text that does not fit is cut. */
	for (size_t sz = 1; sz < sizeof(text); sz++) {
		memset(text, 'x', sizeof(text));
		pt_occupant_print(o, text, sz);
		assert_true(strlen(text) < sz);
		assert_memory_equal(text, who, strlen(text));
	}
}

#define X(test, name_, generic_, link, pid_, command_, who, remedy)	\
static void test_##test(void **state)					\
{									\
	struct pt_occupant o = {					\
		.hook = { .generic = generic_, .name = name_ },		\
		.by_link = link, .pid = pid_, .command = command_,	\
	};								\
									\
	(void)state;							\
	o.hook.prog_id = strcmp(#test, "went") ? 5 : 0;			\
	check(&o, who, remedy);						\
}
ROWS(X)
#undef X

int main(void)
{
	const struct CMUnitTest tests[] = {
#define X(test, ...) cmocka_unit_test(test_##test),
		ROWS(X)
#undef X
	};

	return cmocka_run_group_tests_name("occupant", tests, NULL, NULL);
}
