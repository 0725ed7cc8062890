/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* handle: a number, in a pointer's type, by which the caller names an object.
 * No number is used twice, so a handle that was closed, has another kind or
 * never existed is recognized, and is never dereferenced.
 *
 *     object = api_take(API_SEND, handle, err)  --> use it --> api_give(handle)
 *
 * Threads: any.
 */
#ifndef API_HANDLE_H
#define API_HANDLE_H

#include "api/api.h"

enum api_kind {
	API_FREE,
	API_SOURCE,
	API_SINK,
	API_SEND,
	API_RECV,
	API_ENDING,
};

/* api_handle_new returns a handle of object, which belongs to this thread.
 * NULL: too many are open, see err. */
void *api_handle_new(enum api_kind kind, void *object, struct api_error *err);

/* api_take returns the object, which stays valid until api_give.  NULL: a
 * mistake of the caller, see err. */
void *api_take(enum api_kind kind, const void *handle, struct api_error *err);
void api_give(const void *handle);

/* api_take_own: like api_take, but only the thread that made the handle may
 * call it, and not in a callback of the object. */
void *api_take_own(enum api_kind kind, const void *handle, struct api_error *err);
void api_give_own(const void *handle);

/* api_hold: another handle uses this one until api_release.  False: it is no
 * open handle of the kind, see err.  api_hold_alone also fails if another
 * handle uses it. */
bool api_hold(enum api_kind kind, const void *handle, struct api_error *err);
bool api_hold_alone(enum api_kind kind, const void *handle,
		    struct api_error *err);
void api_release(const void *handle);

/* api_end closes the handle, waits until all takers gave it back, and returns
 * its object, which the caller then owns.  NULL: another handle uses it, or a
 * mistake as in api_take_own; with any_thread as in api_take. */
void *api_end(enum api_kind kind, const void *handle, bool any_thread,
	      struct api_error *err);

#endif
