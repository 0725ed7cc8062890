/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "base/name.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"

/* fault returns the fault of any name: it must be one path component that
 * messages can carry. */
static const char *fault(const char *name)
{
	if (!name[0])
		return "it is empty";
	if (strchr(name, '/'))
		return "it has a '/'";
	if (!pt_text_is_clean(name, strlen(name)))
		return "it has a control character, or is not UTF-8";
	return NULL;
}

const char *pt_name_fault(const char *name)
{
	if (strlen(name) > PT_NAME_IMAGE_MAX)
		return "it has more than 128 bytes";
	return fault(name);
}

const char *pt_name_image_fault(const char *name)
{
	if (name[0] == '.')
		return "it begins with a '.'";
	return pt_name_fault(name);
}

const char *pt_name_file_fault(const char *name)
{
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return "it names a folder";
	if (!strcmp(name, PT_NAME_TABLE))
		return "the receiver's own table of segments has that name";
	if (!strcmp(name, PT_NAME_UNREADABLE))
		return "the list of unreadable pages has that name, and is sent "
		       "by itself";
	if (strlen(name) > PT_NAME_FILE_MAX)
		return "it has more than 255 bytes";
	return fault(name);
}
