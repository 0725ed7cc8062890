/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* pagetrim: moves memory to another host; the API of libpagetrim.
 *
 * This is the only header that is installed.  It compiles as C and as C++.
 */
#ifndef PAGETRIM_H
#define PAGETRIM_H

#ifdef __cplusplus
extern "C" {
#endif

/* PT_API marks what libpagetrim.so exports; user/api/pagetrim.map lists it. */
#define PT_API __attribute__((visibility("default")))

/* PT_VERSION_TEXT is the version of this header. */
#define PT_VERSION_TEXT "0.1"

/* pt_version returns the version of the library that is linked, "0.1".  The
 * string is static.  Any thread. */
PT_API const char *pt_version(void);

#ifdef __cplusplus
}
#endif

#endif
