/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/cause.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

static __thread char cause[256];

static void keep(const char *fmt, va_list args)
{
	char line[sizeof(cause)];
	const char *text = line;

	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(text, "libbpf: ", 8) || !strncmp(text, "libxdp: ", 8))
		text += 8;
	/* The verifier's log comes as one warning of its own, many lines
	 * between two marks: the marks and its first line tell nothing. */
	if (*text && !strstr(text, "-- BEGIN") && !strstr(text, "-- END"))
		memmove(cause, text, strlen(text) + 1);
}

static int keep_libbpf(enum libbpf_print_level level, const char *fmt,
		       va_list args)
{
	if (level == LIBBPF_WARN)
		keep(fmt, args);
	return 0;
}

static int keep_libxdp(enum libxdp_print_level level, const char *fmt,
		       va_list args)
{
	if (level == LIBXDP_WARN)
		keep(fmt, args);
	return 0;
}

static void set_both(void)
{
	libbpf_set_print(keep_libbpf);
	libxdp_set_print(keep_libxdp);
}

void pt_cause_begin(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, set_both);
	cause[0] = '\0';
}

const char *pt_cause_text(void)
{
	return cause;
}
