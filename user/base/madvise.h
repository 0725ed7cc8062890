/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* madvise: advice of kernels that are newer than the C library may be. */
#ifndef BASE_MADVISE_H
#define BASE_MADVISE_H

#include <sys/mman.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22	/* Linux 5.14 */
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23	/* Linux 5.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25	/* Linux 6.1 */
#endif

#endif
