/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* cmocka.h: the library's header, of version 1.1 or 2, as the tests expect it. */
#ifndef TEST_COMPAT_CMOCKA_H
#define TEST_COMPAT_CMOCKA_H

#include_next <cmocka.h>

/* A macro of newer versions, which hides members of this name. */
#undef stop

/* Version 2 deprecates the older name of the same comparison. */
#ifdef assert_uint_in_range
#undef assert_in_range
#define assert_in_range assert_uint_in_range
#endif

#endif
