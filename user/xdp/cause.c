/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/cause.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

static __thread char cause[256];
static __thread unsigned int held_cnt;	/* by this thread */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int holder_cnt;		/* of all threads */
static atomic_bool is_ours;		/* for the whole process, for good */
static _Atomic(libbpf_print_fn_t) libbpf_before;
static _Atomic(libxdp_print_fn_t) libxdp_before;

static void keep(const char *fmt, va_list args)
{
	char line[sizeof(cause)];
	const char *text = line;

	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(text, "libbpf: ", 8) || !strncmp(text, "libxdp: ", 8))
		text += 8;
	/* The verifier's log comes as one warning of many lines between two
	 * marks: the marks and its first line have no information. */
	if (*text && !strstr(text, "-- BEGIN") && !strstr(text, "-- END"))
		memmove(cause, text, strlen(text) + 1);
}

static int keep_libbpf(enum libbpf_print_level level, const char *fmt,
		       va_list args)
{
	libbpf_print_fn_t others = libbpf_before;

	if (!held_cnt && !is_ours)
		return others ? others(level, fmt, args) : 0;
	if (level == LIBBPF_WARN)
		keep(fmt, args);
	return 0;
}

static int keep_libxdp(enum libxdp_print_level level, const char *fmt,
		       va_list args)
{
	libxdp_print_fn_t others = libxdp_before;

	if (!held_cnt && !is_ours)
		return others ? others(level, fmt, args) : 0;
	if (level == LIBXDP_WARN)
		keep(fmt, args);
	return 0;
}

static void set_both(void)
{
	libbpf_before = libbpf_set_print(keep_libbpf);
	libxdp_before = libxdp_set_print(keep_libxdp);
}

/* put_back restores the printers, unless another one was set meanwhile. */
static void put_back(void)
{
	libbpf_print_fn_t bpf_now = libbpf_set_print(libbpf_before);
	libxdp_print_fn_t xdp_now = libxdp_set_print(libxdp_before);

	if (bpf_now != keep_libbpf)
		libbpf_set_print(bpf_now);
	if (xdp_now != keep_libxdp)
		libxdp_set_print(xdp_now);
}

void pt_cause_hold(void)
{
	pthread_mutex_lock(&lock);
	if (!holder_cnt++ && !is_ours)
		set_both();
	held_cnt++;
	pthread_mutex_unlock(&lock);
}

void pt_cause_release(void)
{
	pthread_mutex_lock(&lock);
	held_cnt--;
	if (!--holder_cnt && !is_ours)
		put_back();
	pthread_mutex_unlock(&lock);
}

void pt_cause_begin(void)
{
	cause[0] = '\0';
	if (held_cnt || is_ours)
		return;
	pthread_mutex_lock(&lock);
	if (!is_ours && !holder_cnt)
		set_both();
	is_ours = true;
	pthread_mutex_unlock(&lock);
}

const char *pt_cause_text(void)
{
	return cause;
}
