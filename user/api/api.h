/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room api: the functions of include/pagetrim/pagetrim.h.
 *
 *   knows         the public header, its handles, options and errors, and an
 *                 embedder's mistakes
 *   may use       base lane xdp xsk tls memory source sink send receive
 *                 template
 *   must not know the command line
 */
/* api: includes the public header together with those of the rooms.
 *
 * Some structs of the public header have the same names as structs of the
 * rooms.  In this room the public ones are renamed to api_...; their layout and
 * the names of functions do not change.
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

/* api_fail returns ret, which is 0 or -errno.  If it is not 0, api_fail fills
 * out (which may be NULL) from an error of the rooms. */
int api_fail(struct api_error *out, int ret, const struct pt_error *err);

/* api_mistake fills out with a mistake of the caller, and returns -EINVAL. */
__attribute__((format(printf, 2, 3)))
int api_mistake(struct api_error *out, const char *fmt, ...);

/* api_no_memory fills out, and returns -ENOMEM. */
int api_no_memory(struct api_error *out);

/* api_enter and api_leave enclose all calls that may reach libbpf or a file.
 * In between, the library changes no state of the process, except for the
 * handler that pt_allow_sigbus allows. */
void api_enter(void);
void api_leave(void);

#endif
