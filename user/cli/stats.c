/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pagetrim/clock.h>
#include "base/stop.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/options.h"
#include "cli/output.h"
#include "xdp/lease.h"
#include "xdp/program.h"

struct stats {
	const char *dev;
	__u32 watch_s;		/* 0: once */
	bool json, openmetrics;
	const char *textfile;	/* NULL: stdout */
};

static const struct pt_option required[] = {
	{ "dev", "DEV", "network device, e.g. eth1",
	  PT_OPTION(TEXT, struct stats, dev), .offers = "device",
	  .required = true },
	{ }
};

static const struct pt_option options[] = {
	{ "watch", "SECONDS",
	  "again every 1..3600 seconds (default 1), with frames a second, "
	  "until a signal",
	  PT_OPTION(NUMBER, struct stats, watch_s), .min = 1, .max = 3600,
	  .want = "1..3600 s", .bare = "1", .offers = "=1 5 10 60" },
	{ "json", NULL,
	  "one JSON object on stdout (with --watch one each time); keys: "
	  "pagetrim-stats(8)",
	  PT_OPTION(FLAG, struct stats, json) },
	{ "openmetrics", NULL,
	  "OpenMetrics text, once, for a collector such as Prometheus",
	  PT_OPTION(FLAG, struct stats, openmetrics) },
	{ "textfile", "PATH",
	  "the same to PATH, for node_exporter's textfile collector: a new file "
	  "takes its place, with --watch each time",
	  PT_OPTION(TEXT, struct stats, textfile), .offers = "file" },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Required:", required, 0 },
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_stats = {
	.name = "stats",
	.usage =
	"Usage: pagetrim stats --dev DEV [options]\n"
	"\n"
	"Prints what the receive program on DEV counted, by verdict and queue: every\n"
	"frame that entered it has one verdict.  For a program that 'pagetrim attach'\n"
	"put there, or a running 'pagetrim receive' brought along.\n",
	.groups = groups,
	.notes =
	"The maps themselves: bpftool map dump pinned\n"
	"/sys/fs/bpf/pagetrim/DEV/pt_queue_counters\n"
	"\n"
	"Exit: 0 printed, 2 wrong usage, 3 no pagetrim program runs on DEV, or this host\n"
	"      lacks something.\n"
	"Example: pagetrim stats --dev eth1 --watch=5\n",
};

/* counter: one field of struct pt_counters. */
static const struct counter {
	const char *name;
	size_t off;		/* bytes into struct pt_counters */
	const char *text;
} counters[] = {
#define COUNTER(name, text) \
	{ #name, __builtin_offsetof(struct pt_counters, name), text }
	COUNTER(seen, "frames that entered the program"),
	COUNTER(seen_bytes, "their Ethernet bytes"),
#define X(SYMBOL, name, text) COUNTER(name, text),
	PT_VERDICTS(X)
#undef X
};

#define COUNTER_CNT (sizeof(counters) / sizeof(counters[0]))
_Static_assert(COUNTER_CNT * sizeof(__u64) == sizeof(struct pt_counters),
	       "each field is printed");

struct queue {
	__u32 queue;
	struct pt_counters counters;
	bool is_leased;
	struct pt_lease_owner owner;
	bool has_socket;	/* of a receiver */
};

struct session {
	__u64 id;
	pid_t pid;		/* 0: not known */
	struct pt_counters counters;
};

/* sample: a snapshot of all counters; frames arrive meanwhile, so it is not
 * quite consistent. */
struct sample {
	struct pt_device device;
	struct pt_program_info info;
	bool sees_sockets;	/* has_socket is known, which takes CAP_BPF */
	__u32 queue_cnt, session_cnt;
	struct queue queues[PT_QUEUES_MAX];
	struct pt_counters total;
	struct session sessions[PT_SESSIONS_MAX];
};

static __u64 value(const struct pt_counters *c, size_t i)
{
	return *(const __u64 *)((const char *)c + counters[i].off);
}

static void add(struct pt_counters *sum, const struct pt_counters *c)
{
	for (size_t i = 0; i < COUNTER_CNT; i++)
		*(__u64 *)((char *)sum + counters[i].off) += value(c, i);
}

/* take_queues takes the device's queues, and former ones that received
 * frames. */
static void take_queues(struct sample *s, const struct pt_program *p)
{
	bool has_socket[PT_QUEUES_MAX] = { 0 };

	s->sees_sockets = !pt_program_sockets(p, has_socket);
	for (__u32 q = 0; q < PT_QUEUES_MAX; q++) {
		struct queue *to = &s->queues[s->queue_cnt];

		if (pt_program_queue_counters(p, q, &to->counters))
			break;
		if (q >= s->device.rx_queue_cnt && !to->counters.seen)
			continue;
		to->queue = q;
		to->is_leased = pt_lease_owner(&s->device, q, &to->owner) > 0;
		to->has_socket = has_socket[q];
		add(&s->total, &to->counters);
		s->queue_cnt++;
	}
}

static void take_sessions(struct sample *s, const struct pt_program *p)
{
	__u64 ids[PT_SESSIONS_MAX];
	__u32 cnt = pt_program_sessions(p, ids, PT_SESSIONS_MAX);

	for (__u32 i = 0; i < cnt; i++) {
		struct session *to = &s->sessions[s->session_cnt];

		if (pt_program_session_counters(p, ids[i], &to->counters))
			continue;	/* it just closed */
		to->id = ids[i];
		to->pid = pt_program_session_pid(p, ids[i]);
		s->session_cnt++;
	}
}

static int take(struct sample *s, const char *dev, struct pt_error *err)
{
	struct pt_program *p;
	int ret;

	memset(s, 0, sizeof(*s));
	ret = pt_program_device(&s->device, dev, err);
	if (ret)
		return ret;
	ret = pt_program_peek(&p, &s->device, err);
	if (ret)
		return ret;
	pt_program_info(p, &s->info);
	take_queues(s, p);
	take_sessions(s, p);
	pt_program_close(p);
	return 0;
}

static json_t *counters_json(const struct pt_counters *c)
{
	json_t *object = json_object();

	for (size_t i = 0; i < COUNTER_CNT; i++)
		json_object_set_new(object, counters[i].name,
				    json_integer(value(c, i)));
	return object;
}

/* print_json: the objects of queues hold only numbers, under the names that
 * bpftool prints, so that the two can be compared. */
static void print_json(const struct sample *s)
{
	json_t *queues = json_array(), *leases = json_array();
	json_t *sockets = json_array(), *sessions = json_array(), *object;
	char id[20];

	for (__u32 i = 0; i < s->queue_cnt; i++) {
		const struct queue *q = &s->queues[i];

		object = counters_json(&q->counters);
		json_object_set_new(object, "queue", json_integer(q->queue));
		json_array_append_new(queues, object);
		if (q->is_leased)
			json_array_append_new(leases, json_pack(
				"{s:i, s:i, s:s}", "queue", q->queue, "pid",
				q->owner.pid, "role", q->owner.role));
		if (q->has_socket)
			json_array_append_new(sockets,
					      json_integer(q->queue));
	}
	for (__u32 i = 0; i < s->session_cnt; i++) {
		const struct session *session = &s->sessions[i];

		snprintf(id, sizeof(id), "%016llx",
			 (unsigned long long)session->id);
		object = counters_json(&session->counters);
		json_object_set_new(object, "session", json_string(id));
		if (session->pid)
			json_object_set_new(object, "pid",
					    json_integer(session->pid));
		json_array_append_new(sessions, object);
	}
	if (!s->sees_sockets)
		json_decref(sockets);
	pt_out_json(json_pack("{s:o, s:s, s:I, s:b, s:b, s:b, s:o, s:o, s:o, "
		"s:o, s:o}", "device", pt_json_clean(s->device.name),
		"mode", s->info.generic ? "generic" : "native",
		"program-id", (json_int_t)s->info.id,
		"pinned", s->info.pinned, "dispatcher", s->info.dispatcher,
		"multi-buffer", s->info.multi_buffer,
		"total", counters_json(&s->total), "queues", queues,
		"leases", leases,
		"sockets", s->sees_sockets ? sockets : json_null(),
		"sessions", sessions));
}

static void print_head(const struct sample *s)
{
	printf("%s: program %u, %s, %s%s; %u session%s\n", s->device.name,
	       s->info.id, s->info.generic ? "generic" : "native",
	       s->info.pinned ? "pinned" : "of a running receiver",
	       s->info.dispatcher ? ", behind libxdp's dispatcher" : "",
	       s->session_cnt, s->session_cnt == 1 ? "" : "s");
	for (__u32 i = 0; i < s->queue_cnt; i++) {
		const struct queue *q = &s->queues[i];

		if (q->is_leased)
			printf("queue %u: pid %d, pagetrim %s\n", q->queue,
			       q->owner.pid, q->owner.role);
		else if (q->has_socket)
			printf("queue %u: a receiver with a /run of its own\n",
			       q->queue);
		else if (!s->sees_sockets)
			printf("queue %u: no lease here; CAP_BPF shows whether "
			       "a socket takes its frames\n", q->queue);
		else
			printf("queue %u: no pagetrim in sight\n", q->queue);
	}
}

static void print_sessions(const struct sample *s)
{
	for (__u32 i = 0; i < s->session_cnt; i++) {
		const struct session *session = &s->sessions[i];

		printf("session %016llx: seen %llu, steered %llu",
		       (unsigned long long)session->id,
		       session->counters.seen, session->counters.steered);
		if (session->pid)
			printf(", pid %d", session->pid);
		putchar('\n');
	}
}

/* print_text prints one row per counter and one column per queue.  before is
 * NULL, or an earlier sample. */
static void print_text(const struct sample *s, const struct sample *before,
		       double seconds)
{
	char column[16];

	print_head(s);
	printf("\n%-16s %15s", "", "total");
	if (before)
		printf(" %13s", "a second");
	for (__u32 q = 0; q < s->queue_cnt; q++) {
		snprintf(column, sizeof(column), "queue %u",
			 s->queues[q].queue);
		printf(" %15s", column);
	}
	putchar('\n');
	for (size_t i = 0; i < COUNTER_CNT; i++) {
		printf("%-16s %15llu", counters[i].name,
		       (unsigned long long)value(&s->total, i));
		if (before)
			printf(" %13.0f", (value(&s->total, i) -
			       value(&before->total, i)) / seconds);
		for (__u32 q = 0; q < s->queue_cnt; q++)
			printf(" %15llu", (unsigned long long)
			       value(&s->queues[q].counters, i));
		printf("  %s\n", counters[i].text);
	}
	print_sessions(s);
	fflush(stdout);
}

/* print_family prints the counters from first on to last - 1, with the verdict of
 * each if there are several. */
static void print_family(FILE *out, const struct sample *s, const char *name,
			 const char *help, size_t first, size_t last)
{
	fprintf(out, "# TYPE pagetrim_xdp_%s counter\n# HELP pagetrim_xdp_%s "
		"%s\n", name, name, help);
	for (__u32 q = 0; q < s->queue_cnt; q++)
		for (size_t i = first; i < last; i++) {
			fprintf(out, "pagetrim_xdp_%s_total{device=\"%s\","
				"queue=\"%u\"", name, s->device.name,
				s->queues[q].queue);
			if (last - first > 1)
				fprintf(out, ",verdict=\"%s\"",
					counters[i].name);
			fprintf(out, "} %llu\n", (unsigned long long)
				value(&s->queues[q].counters, i));
		}
}

/* print_metrics prints OpenMetrics text, which Prometheus' older format allows,
 * too. */
static void print_metrics(FILE *out, const struct sample *s)
{
	print_family(out, s, "seen_frames", "Frames that entered the program.",
		     0, 1);
	print_family(out, s, "seen_bytes", "Their Ethernet bytes.", 1, 2);
	print_family(out, s, "frames", "Frames by their verdict.", 2,
		     COUNTER_CNT);
	fprintf(out, "# TYPE pagetrim_xdp_sessions gauge\n"
		"# HELP pagetrim_xdp_sessions Sessions that are open.\n"
		"pagetrim_xdp_sessions{device=\"%s\"} %u\n# EOF\n",
		s->device.name, s->session_cnt);
}

/* write_metrics has a new file take the place of path; nobody reads half of it. */
static int write_metrics(const char *path, const struct sample *s,
			 struct pt_error *err)
{
	char own[4096];
	FILE *out;
	int fd;
	bool is_written;

	snprintf(own, sizeof(own), "%.4000s.%d", path, getpid());
	fd = open(own, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		  0644);
	if (fd < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "--textfile %s: "
				    "cannot create %s: %m", path, own);
	out = fdopen(fd, "w");
	if (!out) {
		close(fd);
		unlink(own);
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "no memory");
	}
	print_metrics(out, s);
	is_written = !ferror(out);
	is_written &= !fclose(out);
	if (is_written && !rename(own, path))
		return 0;
	pt_error_set(err, PT_EXIT_HOST, -errno, "--textfile %s: cannot write it: "
		     "%m", path);
	unlink(own);
	return -EIO;
}

/* show prints samples until a signal, or once. */
static int show(const struct stats *o, struct sample *s, struct sample *before)
{
	struct pollfd stop = { .fd = -1, .events = POLLIN };
	double at = 0, before_at = 0;
	struct pt_error err;

	if (o->watch_s)
		stop.fd = pt_stop_open();
	for (int round = 0;; round++) {
		if (take(s, o->dev, &err))
			return pt_out_fail("stats", &err);
		at = pt_clock_ns() / 1e9;
		if (o->textfile) {
			if (write_metrics(o->textfile, s, &err))
				return pt_out_fail("stats", &err);
		} else if (o->openmetrics) {
			print_metrics(stdout, s);
		} else if (o->json) {
			print_json(s);
		} else {
			if (o->watch_s && isatty(STDOUT_FILENO))
				fputs("\033[H\033[J", stdout);
			else if (round)
				putchar('\n');
			/* A new program's counters start at zero. */
			print_text(s, round && before->info.id == s->info.id ?
				   before : NULL, at - before_at);
		}
		if (!o->watch_s || ferror(stdout) ||
		    poll(&stop, 1, o->watch_s * 1000) != 0)
			return ferror(stdout) ? PT_EXIT_FAILED : PT_EXIT_OK;
		*before = *s;
		before_at = at;
	}
}

int pt_cmd_stats(int argc, char **argv)
{
	struct stats o = { 0 };
	struct sample *samples;
	int code = pt_options_parse(&pt_command_stats, &o, argc, argv);

	if (code >= 0)
		return code;
	if (o.json + o.openmetrics + !!o.textfile > 1)
		return pt_out_usage("stats", "--json, --openmetrics and "
				    "--textfile: choose one");
	if (o.openmetrics && o.watch_s)
		return pt_out_usage("stats", "--openmetrics with --watch: it ends "
				    "by # EOF");
	samples = calloc(2, sizeof(*samples));
	if (!samples)
		return pt_out_fail("stats", &(struct pt_error){
				   PT_EXIT_HOST, "no memory", 0 });
	code = show(&o, &samples[0], &samples[1]);
	free(samples);
	return code;
}
