// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Names that a sender may give, one rule for both ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/name.h"
#include "channel/messages.h"

_Static_assert(sizeof(((struct pt_message *)0)->open.name) ==
	       PT_NAME_IMAGE_MAX + 1, "what OPEN carries");
_Static_assert(sizeof(((struct pt_message *)0)->file.name) ==
	       PT_NAME_FILE_MAX + 1, "what FILE carries");

/* has: the error contains that word; NULL: there is no error. */
static void has(const char *fault, const char *word)
{
	if (!fault != !word || (fault && !strstr(fault, word)))
		fail_msg("'%s' without '%s'", fault ? fault : "none",
			 word ? word : "none");
}

static void test_image(void **state)
{
	char longest[PT_NAME_IMAGE_MAX + 2] = { 0 };

	(void)state;
	has(pt_name_image_fault("vm.ram"), NULL);
	has(pt_name_image_fault("-x"), NULL);
	has(pt_name_image_fault("a b"), NULL);
	has(pt_name_image_fault("\xc3\xa4"), NULL);
	has(pt_name_image_fault("segments.json"), NULL);
	has(pt_name_image_fault(""), "empty");
	has(pt_name_image_fault("a/b"), "'/'");
	has(pt_name_image_fault("/"), "'/'");
	has(pt_name_image_fault("."), "begins");
	has(pt_name_image_fault(".."), "begins");
	has(pt_name_image_fault(".hidden"), "begins");
	has(pt_name_image_fault("a\nb"), "control");
	has(pt_name_image_fault("a\xff"), "UTF-8");
	memset(longest, 'n', PT_NAME_IMAGE_MAX);
	has(pt_name_image_fault(longest), NULL);
	longest[PT_NAME_IMAGE_MAX] = 'n';
	has(pt_name_image_fault(longest), "128");
}

static void test_file(void **state)
{
	char longest[PT_NAME_FILE_MAX + 2] = { 0 };

	(void)state;
	has(pt_name_file_fault("device-state"), NULL);
	has(pt_name_file_fault(".config"), NULL);
	has(pt_name_file_fault("..."), NULL);
	has(pt_name_file_fault(""), "empty");
	has(pt_name_file_fault("."), "folder");
	has(pt_name_file_fault(".."), "folder");
	has(pt_name_file_fault("a/b"), "'/'");
	has(pt_name_file_fault("segments.json"), "table");
	has(pt_name_file_fault("unreadable.json"), "sent by itself");
	has(pt_name_file_fault("a\x7f"), "control");
	memset(longest, 'n', PT_NAME_FILE_MAX);
	has(pt_name_file_fault(longest), NULL);
	longest[PT_NAME_FILE_MAX] = 'n';
	has(pt_name_file_fault(longest), "255");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
