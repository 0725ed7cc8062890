/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* handle: the number, in the shape of a pointer, by which the caller names an
 * object.  No number is used twice, so a handle that was closed, is of another kind
 * or never was one is recognized, and nothing is read through it.
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

/* api_handle_new returns a handle of object, of this thread; NULL: there are too
 * many, err says so. */
void *api_handle_new(enum api_kind kind, void *object, struct api_error *err);

/* api_take returns the object, which stays until api_give; NULL: a mistake of the
 * caller, in err. */
void *api_take(enum api_kind kind, const void *handle, struct api_error *err);
void api_give(const void *handle);

/* api_take_own: the same, in the thread that made the handle, and while it is not
 * taken so: not in a callback. */
void *api_take_own(enum api_kind kind, const void *handle, struct api_error *err);
void api_give_own(const void *handle);

/* api_hold: another handle needs this one, until api_release.  False: it is none of
 * the kind; err says so.  api_hold_alone: or another holds it. */
bool api_hold(enum api_kind kind, const void *handle, struct api_error *err);
bool api_hold_alone(enum api_kind kind, const void *handle,
		    struct api_error *err);
void api_release(const void *handle);

/* api_end ends the handle and returns its object, which is the caller's.  It waits
 * for those who took it.  NULL: it is held, or as api_take_own; any_thread: or as
 * api_take. */
void *api_end(enum api_kind kind, const void *handle, bool any_thread,
	      struct api_error *err);

#endif
