/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/compress.h"

#include <stdlib.h>
#include <string.h>

bool pt_compress_parse(const char *text, enum pt_compression *method, int *level)
{
	char *end;

	*level = 0;
	*method = PT_COMPRESSION_NONE;
	if (!strcmp(text, "off"))
		return true;
	*method = PT_COMPRESSION_LZ4;
	if (!strcmp(text, "lz4"))
		return true;
	*method = PT_COMPRESSION_ZSTD;
	if (!strcmp(text, "zstd"))
		return true;
	if (strncmp(text, "zstd:", 5) || text[5] < '1' || text[5] > '9')
		return false;
	*level = strtol(text + 5, &end, 10);
	return !*end && *level <= PT_COMPRESS_LEVEL_MAX;
}
