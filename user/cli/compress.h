/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* compress: the words of --compress. */
#ifndef CLI_COMPRESS_H
#define CLI_COMPRESS_H

#include <stdbool.h>

#include "wire/compress.h"

/* pt_compress_parse reads off, lz4, zstd or zstd:LEVEL, 1..PT_COMPRESS_LEVEL_MAX;
 * *level: 0 if none is given.  False: anything else. */
bool pt_compress_parse(const char *text, enum pt_compression *method, int *level);

#endif
