/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room api: the functions of include/pagetrim/pagetrim.h.
 *
 *   knows         the public header, its handles, options and errors, and mistakes of
 *                 an embedder
 *   may use       base lane xdp xsk tls memory source sink send receive
 *   must not know the command line
 */
/* api: the public header beside those of the rooms.
 *
 * Some names are those of a struct here and of another there.  In this room the
 * public ones begin with api_; their layout and the names of functions are the
 * header's.
 */
#ifndef API_API_H
#define API_API_H

#define pt_error	api_error
#define pt_region	api_region
#define pt_source	api_source
#define pt_sink		api_sink
#include <pagetrim/pagetrim.h>
#undef pt_error
#undef pt_region
#undef pt_source
#undef pt_sink

#include <pagetrim/error.h>

/* api_fail fills out (which may be NULL) from an error of the rooms, and returns
 * ret, which is 0 or -errno; of 0 it fills nothing. */
int api_fail(struct api_error *out, int ret, const struct pt_error *err);

/* api_mistake: the caller's: returns -EINVAL. */
__attribute__((format(printf, 2, 3)))
int api_mistake(struct api_error *out, const char *fmt, ...);

/* api_enter, at the begin of each function that may reach libbpf or a file, and
 * api_leave, at its end: nothing of the process is changed in between, but the
 * handler that pt_allow_sigbus allows. */
void api_enter(void);
void api_leave(void);

#endif
