// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The text of a finding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "doctor/doctor.h"

static struct pt_findings found;

/* The peer or the driver chooses a value: braces in it stay as they are, and a
 * long one is cut. */
static void test_fill(void **state)
{
	char text[PT_FINDING_TEXT_SZ], dev[2 * PT_FINDING_TEXT_SZ];

	(void)state;
	found = (struct pt_findings){ .dev = "{to}", .to = "{}" };
	pt_findings_add(&found, PT_FOUND_ROUTE_OTHER, "%s", "{dev}{");
	pt_finding_text(&found, &found.list[0], text);
	assert_string_equal(text, "{} is reached by {dev}{");

	found = (struct pt_findings){ .dev = "a\nb", .to = "h\x1b[2J" };
	pt_findings_add(&found, PT_FOUND_ROUTE_OTHER, "%s", "t\xff~");
	assert_string_equal(found.list[0].value, "t?~");
	pt_finding_text(&found, &found.list[0], text);
	assert_string_equal(text, "h?[2J is reached by t?~");

	memset(dev, 'd', sizeof(dev) - 1);
	dev[sizeof(dev) - 1] = '\0';
	found = (struct pt_findings){ .dev = dev };
	pt_findings_say(&found, PT_FOUND_DEVICE_DOWN);
	pt_finding_text(&found, &found.list[0], text);
	assert_int_equal(strlen(text), PT_FINDING_TEXT_SZ - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fill),
	};

	return cmocka_run_group_tests_name("finding", tests, NULL, NULL);
}
