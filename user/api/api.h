/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room api: what include/pagetrim/pagetrim.h declares.
 *
 *   knows         the public header, its options and errors, mistakes of an embedder
 *   may use       no other
 *   must not know the command line
 */
#ifndef API_API_H
#define API_API_H

#include <pagetrim/pagetrim.h>

#endif
