/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/output.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/text.h"
#include "cli/json_text.h"
#include "cli/scribe.h"

#define LINE_SZ		8192	/* of a log line; two paths and a cause */
#define CLOSE_MS	1000
/* No name in it reaches a terminal as a mark that turns text. */
#define JSON_AS		(JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9))
#define CLOSE_STDOUT_MS	800	/* of the queue; the rest is for error lines */

static atomic_bool progress_is_open;
/* By descriptor.  Both share one scribe if both are the same file, so that the
 * order is kept.  NULL: written directly. */
static struct pt_scribe *scribes[3];
static const char *place;	/* see pt_out_place */
static bool is_given_up[3];	/* the reader is stuck: write no more */
/* Guards both: pt-confine reports in its own thread, also while they are closed.  A
 * scribe may note in the midst of a put. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static void put(int fd, const char *text, size_t sz)
{
	FILE *out = fd == STDERR_FILENO ? stderr : stdout;

	pthread_mutex_lock(&lock);
	if (scribes[fd]) {
		pt_scribe_put(scribes[fd], fd, text, sz);
	} else if (!is_given_up[fd]) {
		fwrite(text, 1, sz, out);
		fflush(out);
	}
	pthread_mutex_unlock(&lock);
}

/* is_journal: systemd names the file of the descriptor that it gave us. */
static bool is_journal(void)
{
	const char *name = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	static int answer = -1;
	struct stat st;

	if (answer < 0)
		answer = name && sscanf(name, "%llu:%llu", &dev, &ino) == 2 &&
			 !fstat(STDERR_FILENO, &st) && st.st_dev == dev &&
			 st.st_ino == ino;
	return answer;
}

/* priority writes the start of a line, and returns its length. */
static int priority(char text[4], int level)
{
	return is_journal() ? snprintf(text, 4, "<%d>", level) : 0;
}

/* stamp returns its length. */
static int stamp(char text[40], int level)
{
	struct timespec now;
	struct tm utc;
	int sz = priority(text, level);

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	sz += strftime(text + sz, 40 - sz, "%Y-%m-%dT%H:%M:%S", &utc);
	return sz + snprintf(text + sz, 40 - sz, ".%03ldZ ",
			     now.tv_nsec / 1000000);
}

/* put_line queues begin, the text, cut to LINE_SZ, and a newline as one text,
 * so that no other output comes in between.  Names in the text may hold any
 * bytes. */
__attribute__((format(printf, 2, 0)))
static void put_line(const char *begin, const char *fmt, va_list args)
{
	char line[LINE_SZ], said[LINE_SZ];
	int sz = snprintf(line, LINE_SZ, "%s", begin);

	vsnprintf(said, sizeof(said), fmt, args);
	pt_text_clean(line + sz, LINE_SZ - sz, said);
	sz += strlen(line + sz);
	line[sz] = '\n';
	put(STDERR_FILENO, line, sz + 1);
}

__attribute__((format(printf, 2, 3)))
static void complain(const char *command, const char *fmt, ...)
{
	char begin[40];
	va_list args;
	int sz = priority(begin, LOG_ERR);

	snprintf(begin + sz, sizeof(begin) - sz, "pagetrim %s: ", command);
	va_start(args, fmt);
	put_line(begin, fmt, args);
	va_end(args);
}

/* is_terminal asks once: the descriptor's file system may hang later. */
static bool is_terminal(void)
{
	static int answer = -1;

	if (answer < 0)
		answer = isatty(STDERR_FILENO);
	return answer;
}

int pt_out_fail(const char *command, const struct pt_error *err)
{
	pt_out_progress("%s", "");
	complain(command, "%s", err->text);
	return err->exit;
}

void pt_out_place(const char *text)
{
	place = text;
}

int pt_out_usage(const char *command, const char *fmt, ...)
{
	char said[LINE_SZ], clean[LINE_SZ];
	int sz = snprintf(said, sizeof(said), "%.4096s%s", place ? place : "",
			  place ? ": " : "");
	va_list args;

	va_start(args, fmt);
	vsnprintf(said + sz, sizeof(said) - sz, fmt, args);
	va_end(args);
	pt_text_clean(clean, sizeof(clean), said);
	fprintf(stderr, "pagetrim %s: %s\nTry 'pagetrim %s --help'.\n",
		command, clean, command);
	return PT_EXIT_USAGE;
}

__attribute__((format(printf, 2, 0)))
static void log_line(int level, const char *fmt, va_list args)
{
	char begin[40];

	pt_out_progress("%s", "");
	stamp(begin, level);
	put_line(begin, fmt, args);
}

void pt_out_log(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(LOG_INFO, fmt, args);
	va_end(args);
}

void pt_out_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(LOG_WARNING, fmt, args);
	va_end(args);
}

void pt_out_whole(void (*print)(FILE *out, const void *arg), const void *arg)
{
	char *text = NULL;
	size_t sz = 0;
	FILE *out;

	if (!scribes[STDOUT_FILENO]) {
		print(stdout, arg);
		fflush(stdout);
		return;
	}
	out = open_memstream(&text, &sz);
	if (!out)
		return;
	print(out, arg);
	if (!fclose(out))
		put(STDOUT_FILENO, text, sz);
	free(text);
}

static void print_json(FILE *out, const void *arg)
{
	json_dumpf(arg, out, JSON_INDENT(2) | JSON_AS | PT_JSON_ASCII);
	fputc('\n', out);
}

void pt_out_json(json_t *object)
{
	pt_out_whole(print_json, object);
	json_decref(object);
}

static void print_event(FILE *out, const void *arg)
{
	json_dumpf(arg, out, JSON_AS | PT_JSON_ASCII);
	fputc('\n', out);
}

void pt_out_event(json_t *object)
{
	pt_out_whole(print_event, object);
	json_decref(object);
}

static int note_dropped(char *line, size_t sz, __u64 dropped_cnt)
{
	char begin[40];

	stamp(begin, LOG_WARNING);
	return snprintf(line, sz, "%s%llu lines or reports were dropped here: "
			"they were not taken in time\n", begin,
			(unsigned long long)dropped_cnt);
}

/* note_reports reports dropped reports of stdout on stderr. */
static int note_reports(char *line, size_t sz, __u64 dropped_cnt)
{
	(void)line;
	(void)sz;
	pt_out_warn("standard output: %llu reports were dropped: they were not "
		   "taken in time", (unsigned long long)dropped_cnt);
	return 0;
}

/* are_one: both descriptors lead to the same file. */
static bool are_one(void)
{
	struct stat out, err;

	return !fstat(STDOUT_FILENO, &out) && !fstat(STDERR_FILENO, &err) &&
	       out.st_dev == err.st_dev && out.st_ino == err.st_ino;
}

int pt_out_start(struct pt_error *err)
{
	const struct pt_scribe_cfg out_cfg = {
		.note_fd = STDERR_FILENO, .note = note_reports,
	};
	const struct pt_scribe_cfg err_cfg = {
		.note_fd = STDERR_FILENO, .note = note_dropped,
	};
	int ret;

	fflush(stdout);
	is_terminal();
	ret = pt_scribe_open(&scribes[STDERR_FILENO], &err_cfg);
	if (!ret && are_one())
		scribes[STDOUT_FILENO] = scribes[STDERR_FILENO];
	else if (!ret)
		ret = pt_scribe_open(&scribes[STDOUT_FILENO], &out_cfg);
	return ret ? pt_error_set(err, PT_EXIT_HOST, ret, "cannot start a "
				  "thread: %s (memory, ulimit -u or pids.max)",
				  strerror(-ret)) : 0;
}

static void close_scribe(int fd, __u64 deadline_ns)
{
	struct pt_scribe *s;

	pthread_mutex_lock(&lock);
	s = scribes[fd];
	scribes[fd] = NULL;
	is_given_up[fd] = true;
	pthread_mutex_unlock(&lock);
	is_given_up[fd] = !pt_scribe_close(s, pt_left_ms(deadline_ns));
}

/* close_stdout returns whether all was written. */
static bool close_stdout(const char *command, __u64 deadline_ns)
{
	const int fd = STDOUT_FILENO;
	bool is_shared = scribes[fd] == scribes[STDERR_FILENO];
	int code;

	if (!scribes[fd]) {
		code = fflush(stdout) ? errno : ferror(stdout) ? EIO : 0;
	} else {
		pt_scribe_wait(scribes[fd], pt_left_ms(deadline_ns));
		code = pt_scribe_failure(scribes[fd], fd);
	}
	if (code)
		complain(command, "standard output: cannot be written: %s",
			 strerror(code));
	if (!scribes[fd] || is_shared)
		return !code;
	close_scribe(fd, deadline_ns);
	if (is_given_up[fd])
		complain(command, "standard output: takes no more; the rest is "
			 "lost (does its reader hang, or its disk?)");
	return !code && !is_given_up[fd];
}

bool pt_out_close(const char *command)
{
	__u64 end_ns = pt_deadline_ns(CLOSE_MS);
	bool is_well = close_stdout(command, pt_deadline_ns(CLOSE_STDOUT_MS));

	if (!scribes[STDERR_FILENO])
		return is_well;
	close_scribe(STDERR_FILENO, end_ns);
	if (scribes[STDOUT_FILENO]) {	/* stdout and stderr share one */
		scribes[STDOUT_FILENO] = NULL;
		is_given_up[STDOUT_FILENO] = is_given_up[STDERR_FILENO];
	}
	return is_well && !is_given_up[STDOUT_FILENO];
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
	static const char erase[] = "\r\033[K";
	char line[160];
	int sz = snprintf(line, sizeof(line), "%s", erase);
	va_list args;
	int more;

	if (!is_terminal())
		return;
	va_start(args, fmt);
	more = vsnprintf(line + sz, sizeof(line) - sz, fmt, args);
	va_end(args);
	if (!more) {
		if (progress_is_open)
			put(STDERR_FILENO, erase, sz);
		progress_is_open = false;
		return;
	}
	if (scribes[STDERR_FILENO] &&
	    !pt_scribe_is_idle(scribes[STDERR_FILENO]))
		return;	/* the next line will replace it */
	put(STDERR_FILENO, line, strlen(line));
	progress_is_open = true;
}
