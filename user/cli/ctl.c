/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include <getopt.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/ctl_list.h"
#include "cli/metrics.h"
#include "cli/options.h"
#include "cli/output.h"
#include "lane/rate.h"
#include "send/sender.h"

#define REQUEST_SZ	64
#define TEXT_SZ		2048

#define WAIT_MS		10000

struct ctl {
	const char *path;		/* of --control; NULL: entry */
	struct pt_ctl_entry entry;
	const char *name;		/* of the process, for its lines */
	bool json;
};

static const struct pt_option options[] = {
	{ "control", "PATH",
	  "instead of NAME: the socket of --control of the transfer, also after "
	  "its end",
	  PT_OPTION(TEXT, struct ctl, path), .offers = "file" },
	{ "json", NULL, "one JSON object on stdout; keys: pagetrim-ctl(8)",
	  PT_OPTION(FLAG, struct ctl, json) },
	{ }
};

static const struct pt_option_group groups[] = {
	{ "Options:", options, 0 },
	{ }
};

const struct pt_command pt_command_ctl = {
	.name = "ctl",
	.usage =
	"Usage: pagetrim ctl [--json]\n"
	"       pagetrim ctl [NAME] REQUEST [options]\n"
	"\n"
	"Lists the transfers that run; or asks or steers one: a 'pagetrim send' or\n"
	"'pagetrim migrate'; a 'pagetrim receive' knows status, metrics, cancel and\n"
	"drain.  NAME is the process's number, or its name in the list; without it the\n"
	"only one that runs.  REQUEST:\n"
	"  status                  how far it is, or how it ended\n"
	"  metrics                 the same as OpenMetrics text\n"
	"  pause, resume           no frame leaves meanwhile, and no guest is stopped\n"
	"  cancel [TRANSFER-ID]    end it, the source stays as it is; at a receiver\n"
	"                          with --serve, the transfer with this number alone\n"
	"  drain                   a receiver with --serve takes no new transfers, and\n"
	"                          ends once those that run have ended\n"
	"  set max-bandwidth N     Ethernet bytes a second, from 64K on, such as 64M,\n"
	"                          1.5GiB or 10Gbit/s; auto: the link's speed; 0: no\n"
	"                          limit\n"
	"  set downtime-limit MS   the expected downtime at which a guest is stopped,\n"
	"                          1..60000\n",
	.groups = groups,
	.notes =
	"Exit: 0 done, 1 the process refused, 2 wrong usage, 3 there is no such process,\n"
	"      nor has it left its last status at PATH, or it does not answer.\n"
	"Example: pagetrim ctl vm.ram set max-bandwidth 1Gbit/s\n",
	.arguments = { "=status metrics pause resume cancel drain set",
		       "=max-bandwidth downtime-limit", "=auto" },
};

static __u64 number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* human writes the bytes at key; "-": not known. */
static const char *human(const json_t *o, const char *key, char text[16])
{
	return json_object_get(o, key) ? pt_out_human(number(o, key), text) : "-";
}

/* figure writes the number at key; "-": not known. */
static const char *figure(const json_t *o, const char *key, int digits,
			  char text[32])
{
	const json_t *value = json_object_get(o, key);

	if (!json_is_number(value))
		return "-";
	snprintf(text, 32, "%.*f", digits, json_number_value(value));
	return text;
}

/* text copies the text at key; "-": not known. */
static const char *text(const json_t *o, const char *key, char clean[TEXT_SZ])
{
	const char *said = json_string_value(json_object_get(o, key));

	pt_text_clean(clean, TEXT_SZ, said ? said : "-");
	return clean;
}

/* live_text prints the rounds of memory that changes; live NULL: nothing. */
static void live_text(const json_t *live)
{
	const json_t *last = json_object_get(live, "last");
	char round[32], dirty[32], rate[32], downtime[32];
	char step[TEXT_SZ], tracker[TEXT_SZ];

	if (!last)
		return;
	printf("Round: %s (%s); %s pages dirty, %s written a second, by %s; "
	       "expected downtime %s ms\n", figure(last, "round", 0, round),
	       text(live, "step", step), figure(last, "dirty-pages", 0, dirty),
	       figure(last, "dirty-pages-rate", 0, rate),
	       text(live, "tracker", tracker),
	       figure(last, "expected-downtime", 1, downtime));
}

/* print_end prints the end that a record tells of. */
static void print_end(const json_t *o)
{
	char result[TEXT_SZ], line[TEXT_SZ], code[32];

	text(o, "result", result);
	printf("Ended: %s, exit %s\n", result, figure(o, "exit", 0, code));
	if (json_object_get(o, "error-desc"))
		printf("Reason: %s\n", text(o, "error-desc", line));
	if (json_object_get(o, "guest"))
		printf("Guest: %s\n", text(o, "guest", line));
}

static void print_progress(const json_t *o)
{
	const json_t *ram = json_object_get(o, "ram");
	__u64 total = number(ram, "total"), left = number(ram, "remaining");
	__u64 limit = number(o, "max-bandwidth");
	char phase[TEXT_SZ], a[16], b[16], rtt[32];

	printf("%s%s, %.1f s: %.0f %% of %s, %s left\n",
	       text(o, "status", phase),
	       json_is_true(json_object_get(o, "paused")) ? " (paused)" : "",
	       json_number_value(json_object_get(o, "total-time")) / 1e3,
	       total ? 100.0 - 100.0 * left / total : 100,
	       pt_out_human(total, a), pt_out_human(left, b));
	printf("On the wire: %s, %s a second",
	       pt_out_human(number(ram, "transferred"), a),
	       human(o, "bandwidth", b));
	if (limit)
		printf(", at most %s\n", pt_out_human(limit, a));
	else
		printf(", no limit\n");
	if (number(o, "path-window"))
		printf("Path: takes %s a second, %s in flight, %s ms at "
		       "least\n", human(o, "path-rate", a),
		       human(o, "path-window", b),
		       figure(o, "path-rtt", 2, rtt));
	if (number(o, "files-total"))
		printf("Files: %s, %s left\n",
		       pt_out_human(number(o, "files-total"), a),
		       pt_out_human(number(o, "files-remaining"), b));
	live_text(json_object_get(o, "live"));
	if (number(o, "cpu-throttle-percentage"))
		printf("Throttled: the guest has %llu %% less CPU time\n",
		       (unsigned long long)number(o, "cpu-throttle-percentage"));
	printf("Frames: %llu, of which %llu were lost on the way\n",
	       (unsigned long long)number(o, "frames"),
	       (unsigned long long)number(o, "frames-lost"));
}

/* print_limit_of prints the limit at key, between two texts; 0 or missing: none. */
static void print_limit_of(const json_t *o, const char *key, const char *before,
			   const char *behind)
{
	char text[16];

	if (number(o, key))
		printf("%s %s%s", before, human(o, key, text), behind);
}

/* print_limits prints those of a receiver; o NULL: nothing. */
static void print_limits(const json_t *o)
{
	if (!o)
		return;
	print_limit_of(o, "max-memory", "At most", " of memory in all");
	printf("; of one peer %llu transfers",
	       (unsigned long long)number(o, "max-transfers"));
	print_limit_of(o, "max-peer-memory", ",", " of memory");
	print_limit_of(o, "max-peer-files", ",", " of files");
	print_limit_of(o, "max-files", "; of files with a transfer", "");
	putchar('\n');
}

/* print_transfers prints those of a receiver. */
static void print_transfers(const json_t *o)
{
	const json_t *transfers = json_object_get(o, "transfers"), *t;
	char id[TEXT_SZ], peer[TEXT_SZ], name[TEXT_SZ], placed[16], total[16];
	size_t i;

	if (!json_object_get(o, "result"))
		printf("%s, transfers: %llu\n", text(o, "status", name),
		       (unsigned long long)number(o, "transfer-count"));
	print_limits(json_object_get(o, "limits"));
	json_array_foreach(transfers, i, t) {
		const json_t *ram = json_object_get(t, "ram");

		printf("Transfer %s from %s: %s, %.1f s: %s of data placed, "
		       "memory %s\n", text(t, "transfer-id", id),
		       text(t, "peer", peer), text(t, "name", name),
		       json_number_value(json_object_get(t, "total-time")) / 1e3,
		       human(ram, "placed", placed), human(ram, "total", total));
		print_limit_of(t, "max-bandwidth", "  at most", " a second\n");
		print_limit_of(t, "quota", "  quota of its sender", "\n");
	}
}

/* print_status: that of a killed process has an end alone. */
static void print_status(const json_t *o)
{
	if (json_object_get(o, "result"))
		print_end(o);
	if (json_object_get(o, "transfers"))
		print_transfers(o);
	if (json_object_get(o, "ram"))
		print_progress(o);
}

static void print_limit(const struct ctl *c, const json_t *o)
{
	__u64 rate = number(o, "max-bandwidth");
	char human[16];

	if (json_object_get(o, "downtime-limit"))
		printf("%s: stopped once that is expected to take %llu ms or "
		       "less\n", c->name,
		       (unsigned long long)number(o, "downtime-limit"));
	else if (rate)
		printf("%s: at most %s a second\n", c->name,
		       pt_out_human(rate, human));
	else
		printf("%s: no limit\n", c->name);
}

/* ask sends the request, and prints the answer. */
static int ask(const struct ctl *c, const char *request)
{
	const char *line = strcmp(request, "metrics") ? request : "status";
	struct pt_error err;
	json_t *answer;

	if (c->path ? pt_ask(&answer, c->path, line, &err)
		    : pt_ask_entry(&answer, &c->entry, line, WAIT_MS, &err))
		return pt_out_fail("ctl", &err);
	if (!strcmp(request, "metrics"))
		pt_metrics_text(stdout, answer);
	else if (c->json)
		pt_out_json(json_incref(answer));
	else if (!strcmp(request, "status"))
		print_status(answer);
	else if (!strncmp(request, "set ", 4))
		print_limit(c, answer);
	else
		printf("%s: %s\n", c->name,
		       json_string_value(json_object_get(answer, "done")));
	json_decref(answer);
	return PT_EXIT_OK;
}

/* setting writes the request that changes a setting.  -1: done, or an exit
 * code. */
static int setting(char request[REQUEST_SZ], const char *name,
		   const char *value)
{
	bool is_rate = !strcmp(name, "max-bandwidth");
	__u64 to;

	if (!is_rate && strcmp(name, "downtime-limit"))
		return pt_out_usage("ctl", "'%s': cannot be set (want "
				    "max-bandwidth or downtime-limit)", name);
	if (is_rate && !strcmp(value, "auto"))
		snprintf(request, REQUEST_SZ, "set max-bandwidth auto");
	else if (pt_size_parse(value, is_rate ? PT_SIZE_RATE : PT_SIZE_PLAIN,
			       is_rate ? 0 : 1,
			       is_rate ? PT_RATE_MAX : PT_DOWNTIME_MAX_MS, &to) &&
		 (!is_rate || !to || to >= PT_RATE_MIN))
		snprintf(request, REQUEST_SZ, "set %s %llu", name,
			 (unsigned long long)to);
	else if (is_rate)
		return pt_out_usage("ctl", "max-bandwidth '%s': want "
				    PT_RATE_WANT ", or auto", value);
	else
		return pt_out_usage("ctl", "downtime-limit '%s': want 1..60000",
				    value);
	return -1;
}

static const char *const plain[] = {
	"status", "metrics", "pause", "resume", "cancel", "drain",
};

#define ID_DIGITS	16	/* of a transfer, hexadecimal */

static bool is_plain(const char *word)
{
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (!strcmp(word, plain[i]))
			return true;
	return false;
}

/* request_of writes the request of the words.  -1: done, or an exit code. */
static int request_of(char request[REQUEST_SZ], const struct ctl *c, int argc,
		      char **argv)
{
	if (c->json && !strcmp(argv[0], "metrics"))
		return pt_out_usage("ctl", "--json: metrics are OpenMetrics text "
				    "('status --json' has the figures)");
	if (argc == 2 && !strcmp(argv[0], "cancel")) {
		if (strlen(argv[1]) != ID_DIGITS ||
		    strspn(argv[1], "0123456789abcdef") != ID_DIGITS)
			return pt_out_usage("ctl", "cancel '%s': want the 16 "
					    "hexadecimal digits of a transfer "
					    "('status' shows them)", argv[1]);
		snprintf(request, REQUEST_SZ, "cancel %s", argv[1]);
		return -1;
	}
	if (is_plain(argv[0]) && argc > 1)
		return pt_out_usage("ctl", "'%s': %s is enough", argv[1],
				    argv[0]);
	if (is_plain(argv[0])) {
		strcpy(request, argv[0]);
		return -1;
	}
	if (strcmp(argv[0], "set"))
		return pt_out_usage("ctl", "'%s': want status, metrics, pause, "
				    "resume, cancel, drain or set", argv[0]);
	if (argc != 3)
		return pt_out_usage("ctl", "set: want max-bandwidth N or "
				    "downtime-limit MS");
	return setting(request, argv[1], argv[2]);
}

/* find finds the process; name NULL: there is only one. */
static int find(struct ctl *c, const char *name)
{
	static char number[16];
	struct pt_error err;

	c->name = c->path ? c->path : name;
	if (c->path)
		return -1;
	if (pt_ctl_find(&c->entry, name, &err))
		return pt_out_fail("ctl", &err);
	snprintf(number, sizeof(number), "%d", c->entry.pid);
	if (!name)
		c->name = number;
	return -1;
}

int pt_cmd_ctl(int argc, char **argv)
{
	const char *name = NULL;
	char request[REQUEST_SZ];
	struct ctl c = { 0 };
	int code = pt_options_parse(&pt_command_ctl, &c, argc, argv);

	if (code >= 0)
		return code;
	argv += optind;
	argc -= optind;
	if (!argc && c.path)
		return pt_out_usage("ctl", "REQUEST is missing");
	if (!argc) {
		pt_ctl_list(c.json);
		return PT_EXIT_OK;
	}
	if (argc > 1 && !c.path && !is_plain(argv[0]) && strcmp(argv[0], "set")) {
		name = *argv++;
		argc--;
	}
	code = request_of(request, &c, argc, argv);
	if (code < 0)
		code = find(&c, name);
	return code < 0 ? ask(&c, request) : code;
}
