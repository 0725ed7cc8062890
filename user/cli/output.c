/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool progress_is_open;

int pt_out_fail(const char *command, const struct pt_error *err)
{
	pt_out_progress("%s", "");
	fprintf(stderr, "pagetrim %s: %s\n", command, err->text);
	return err->exit;
}

int pt_out_usage(const char *command, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "pagetrim %s: ", command);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nTry 'pagetrim %s --help'.\n", command);
	return PT_EXIT_USAGE;
}

void pt_out_log(const char *fmt, ...)
{
	struct timespec now;
	struct tm utc;
	char stamp[32];
	va_list args;

	pt_out_progress("%s", "");
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	fprintf(stderr, "%s.%03ldZ ", stamp, now.tv_nsec / 1000000);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

void pt_out_json(json_t *object)
{
	json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	putchar('\n');
	fflush(stdout);
	json_decref(object);
}

const char *pt_out_human(__u64 sz, char text[16])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB",
					     "PiB" };
	double value = sz;
	unsigned unit = 0;

	while (value >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		value /= 1024;
		unit++;
	}
	snprintf(text, 16, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

void pt_out_progress(const char *fmt, ...)
{
	char line[160];
	va_list args;

	if (!isatty(STDERR_FILENO))
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (!line[0]) {
		if (progress_is_open)
			fputs("\r\033[K", stderr);
		progress_is_open = false;
		return;
	}
	fprintf(stderr, "\r\033[K%s", line);
	progress_is_open = true;
}

bool pt_out_number(const char *text, __u64 min, __u64 max, bool suffix,
		   __u64 *out)
{
	static const char suffixes[] = "KMGT";
	const char *found;
	char *end;
	__u64 value;
	unsigned shift;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (suffix && *end && (found = strchr(suffixes, *end))) {
		shift = 10 * (found - suffixes + 1);
		if (value > (~0ULL >> shift))
			return false;
		value <<= shift;
		end++;
	}
	if (*end || value < min || value > max)
		return false;
	*out = value;
	return true;
}
