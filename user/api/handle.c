/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "api/handle.h"

#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#define HANDLES_MAX	1024
#define SLOT_BITS	12	/* of a handle; the other bits are `use` */

static struct slot {
	enum api_kind kind;
	void *object;
	uint64_t use;		/* count of this slot's handles */
	pid_t tid;		/* of the thread that made the handle */
	unsigned int taken_cnt;
	unsigned int held_cnt;	/* handles that use this one */
	bool is_own;		/* taken by api_take_own */
} slots[HANDLES_MAX];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given = PTHREAD_COND_INITIALIZER;

static const char *const names[] = {
	[API_SOURCE] = "source", [API_SINK] = "sink", [API_SEND] = "sender",
	[API_RECV] = "receiver",
};

static void *handle_of(const struct slot *s)
{
	return (void *)(uintptr_t)(s->use << SLOT_BITS | (s - slots));
}

/* slot_of returns NULL, with err, if the handle is not open. */
static struct slot *slot_of(enum api_kind kind, const void *handle,
			    struct api_error *err)
{
	uintptr_t slot = (uintptr_t)handle & ((1u << SLOT_BITS) - 1);

	if (handle && slot < HANDLES_MAX && slots[slot].kind == kind &&
	    handle_of(&slots[slot]) == handle)
		return &slots[slot];
	api_mistake(err, "%p is not an open %s", handle, names[kind]);
	return NULL;
}

static struct slot *own_slot_of(enum api_kind kind, const void *handle,
				struct api_error *err)
{
	struct slot *s = slot_of(kind, handle, err);

	if (s && s->tid != gettid()) {
		api_mistake(err, "the %s belongs to thread %d, which opened it, "
			    "and this is thread %d", names[kind], s->tid,
			    gettid());
		return NULL;
	}
	if (s && s->is_own) {
		api_mistake(err, "a callback of the %s may not call this",
			    names[kind]);
		return NULL;
	}
	return s;
}

void *api_handle_new(enum api_kind kind, void *object, struct api_error *err)
{
	void *handle = NULL;

	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < HANDLES_MAX && !handle; i++) {
		struct slot *s = &slots[i];

		if (s->kind != API_FREE)
			continue;
		*s = (struct slot){ .kind = kind, .object = object,
				    .use = s->use + 1, .tid = gettid() };
		handle = handle_of(s);
	}
	pthread_mutex_unlock(&lock);
	if (!handle)
		api_mistake(err, "%d handles are open, which is the maximum",
			    HANDLES_MAX);
	return handle;
}

void *api_take(enum api_kind kind, const void *handle, struct api_error *err)
{
	void *object = NULL;
	struct slot *s;

	pthread_mutex_lock(&lock);
	s = slot_of(kind, handle, err);
	if (s) {
		s->taken_cnt++;
		object = s->object;
	}
	pthread_mutex_unlock(&lock);
	return object;
}

static struct slot *known_slot(const void *handle)
{
	return &slots[(uintptr_t)handle & ((1u << SLOT_BITS) - 1)];
}

void api_give(const void *handle)
{
	pthread_mutex_lock(&lock);
	if (!--known_slot(handle)->taken_cnt)
		pthread_cond_broadcast(&given);
	pthread_mutex_unlock(&lock);
}

void *api_take_own(enum api_kind kind, const void *handle, struct api_error *err)
{
	void *object = NULL;
	struct slot *s;

	pthread_mutex_lock(&lock);
	s = own_slot_of(kind, handle, err);
	if (s) {
		s->is_own = true;
		object = s->object;
	}
	pthread_mutex_unlock(&lock);
	return object;
}

void api_give_own(const void *handle)
{
	pthread_mutex_lock(&lock);
	known_slot(handle)->is_own = false;
	pthread_mutex_unlock(&lock);
}

static bool hold(enum api_kind kind, const void *handle, bool alone,
		 struct api_error *err)
{
	struct slot *s;

	pthread_mutex_lock(&lock);
	s = slot_of(kind, handle, err);
	if (s && alone && s->held_cnt) {
		api_mistake(err, "another handle uses the %s", names[kind]);
		s = NULL;
	}
	if (s)
		s->held_cnt++;
	pthread_mutex_unlock(&lock);
	return s;
}

bool api_hold(enum api_kind kind, const void *handle, struct api_error *err)
{
	return hold(kind, handle, false, err);
}

bool api_hold_alone(enum api_kind kind, const void *handle,
		    struct api_error *err)
{
	return hold(kind, handle, true, err);
}

void api_release(const void *handle)
{
	pthread_mutex_lock(&lock);
	known_slot(handle)->held_cnt--;
	pthread_mutex_unlock(&lock);
}

void *api_end(enum api_kind kind, const void *handle, bool any_thread,
	      struct api_error *err)
{
	void *object = NULL;
	struct slot *s;

	pthread_mutex_lock(&lock);
	s = any_thread ? slot_of(kind, handle, err)
		       : own_slot_of(kind, handle, err);
	if (s && s->held_cnt) {
		api_mistake(err, "the %s is in use: close its users first",
			    names[kind]);
		s = NULL;
	}
	if (s) {
		s->kind = API_ENDING;	/* api_take fails from now on */
		while (s->taken_cnt)
			pthread_cond_wait(&given, &lock);
		object = s->object;
		s->kind = API_FREE;
	}
	pthread_mutex_unlock(&lock);
	return object;
}
