/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "cli/metrics.h"

#include <stdbool.h>
#include <string.h>

#include "send/sender.h"

#define PREFIX		"pagetrim_migration"
#define LABELS_SZ	384
#define LABEL_MAX	64	/* bytes of a label's value */

/* family: one figure.  Its value is factor * the number at key of the object
 * group of status; group NULL: of status itself. */
struct family {
	const char *name;	/* behind PREFIX, with the unit as its end */
	const char *type;
	const char *unit;	/* "": none */
	const char *group;
	const char *key;
	double factor;
	const char *help;
};

static const struct family families[] = {
	{ "_data_total_bytes", "gauge", "bytes", "ram", "total", 1,
	  "Memory to be moved." },
	{ "_data_processed_bytes", "gauge", "bytes", "ram", "transferred", 1,
	  "Ethernet bytes of data frames, without FCS." },
	{ "_data_remaining_bytes", "gauge", "bytes", "ram", "remaining", 1,
	  "Memory that is still to be sent." },
	{ "_data_placed_bytes", "gauge", "bytes", "ram", "placed", 1,
	  "Blocks that the receiver has placed." },
	{ "_dirty_memory_rate_bytes", "gauge", "bytes", "ram",
	  "dirty-pages-rate", PT_PAGE_SZ,
	  "Memory that is written per second, as of the last round." },
	{ "_memory_transfer_rate_bytes", "gauge", "bytes", NULL, "bandwidth", 1,
	  "Ethernet bytes per second, of the last second." },
	{ "_max_bandwidth_bytes", "gauge", "bytes", NULL, "max-bandwidth", 1,
	  "Limit of Ethernet bytes per second; 0 is none." },
	{ "_expected_downtime_seconds", "gauge", "seconds", NULL,
	  "expected-downtime", 1e-3,
	  "Downtime if the guest was stopped after the last round." },
	{ "_downtime_limit_seconds", "gauge", "seconds", NULL,
	  "downtime-limit", 1e-3, "Expected downtime at which it is stopped." },
	{ "_last_downtime_duration_seconds", "gauge", "seconds", NULL,
	  "downtime", 1e-3, "Downtime of a guest that has moved." },
	{ "_elapsed_seconds", "gauge", "seconds", NULL, "total-time", 1e-3,
	  "Time since the transfer began." },
	{ "_paused", "gauge", "", NULL, "paused", 1,
	  "1 while the sender is paused." },
	{ "_rounds", "gauge", "", "live", "rounds", 1,
	  "Rounds that have begun." },
	{ "_pages", "counter", "", "ram", "normal", 1,
	  "Pages with data that were sent, also again." },
	{ "_zero_pages", "counter", "", "ram", "duplicate", 1,
	  "Zero pages that were sent." },
	{ "_frames", "counter", "", NULL, "frames", 1,
	  "Data frames that were sent." },
	{ "_lost_frames", "counter", "", NULL, "frames-lost", 1,
	  "Data frames that the receiver reported missing." },
};

/* put_label appends name="value" to labels; bytes with a meaning of their own
 * are escaped. */
static void put_label(char labels[LABELS_SZ], const char *name,
		      const char *value)
{
	char clean[2 * LABEL_MAX + 1];
	size_t sz = 0, at = strlen(labels);

	for (; *value && sz < 2 * LABEL_MAX - 1; value++) {
		if (*value == '\\' || *value == '"')
			clean[sz++] = '\\';
		clean[sz++] = *value < ' ' || *value > '~' ? ' ' : *value;
	}
	clean[sz] = '\0';
	snprintf(labels + at, LABELS_SZ - at, "%s%s=\"%s\"", at ? "," : "", name,
		 clean);
}

static const char *text(const json_t *o, const char *key)
{
	const char *value = json_string_value(json_object_get(o, key));

	return value ? value : "";
}

static void print_head(FILE *out, const struct family *f)
{
	fprintf(out, "# TYPE " PREFIX "%s %s\n", f->name, f->type);
	if (f->unit[0])
		fprintf(out, "# UNIT " PREFIX "%s %s\n", f->name, f->unit);
	fprintf(out, "# HELP " PREFIX "%s %s\n", f->name, f->help);
}

/* value_of returns the figure of a transfer; NULL: it is not known. */
static const json_t *value_of(const struct family *f, const json_t *transfer)
{
	const json_t *o = f->group ? json_object_get(transfer, f->group)
				   : transfer;
	const json_t *value = json_object_get(o, f->key);

	return json_is_number(value) || json_is_boolean(value) ? value : NULL;
}

/* set_labels writes those of a transfer. */
static void set_labels(char labels[LABELS_SZ], const char *role,
		       const json_t *transfer)
{
	labels[0] = '\0';
	put_label(labels, "role", role);
	put_label(labels, "transfer_id", text(transfer, "transfer-id"));
}

static void print_family(FILE *out, const struct family *f, const char *role,
			 const json_t *transfers)
{
	char labels[LABELS_SZ];
	bool has_head = false;
	const json_t *transfer;
	size_t i;

	json_array_foreach(transfers, i, transfer) {
		const json_t *value = value_of(f, transfer);

		if (!value)
			continue;
		if (!has_head)
			print_head(out, f);
		has_head = true;
		set_labels(labels, role, transfer);
		fprintf(out, PREFIX "%s%s{%s} %.17g\n", f->name,
			strcmp(f->type, "counter") ? "" : "_total", labels,
			json_is_boolean(value) ? json_is_true(value)
			: f->factor * json_number_value(value));
	}
}

/* print_state prints the phase as one 1 among zeroes. */
static void print_state(FILE *out, const char *now, const char *labels)
{
	static const char *const phases[] = {
#define X(symbol, name) name,
		PT_SEND_PHASES(X)
#undef X
	};
	const struct family f = { "_status", "stateset", "", NULL, NULL, 0,
				  "The phase of the sender." };

	print_head(out, &f);
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
		fprintf(out, PREFIX "_status{%s," PREFIX "_status=\"%s\"} %d\n",
			labels, phases[i], !strcmp(phases[i], now));
}

/* print_ledgers prints each entry of the transfers' ledgers as a counter with one
 * label. */
static void print_ledgers(FILE *out, const char *role, const json_t *transfers)
{
	static const struct family f = {
		"_ledger_frames", "counter", "", NULL, "entry", 0,
		"The ledger's entries."
	};
	char labels[LABELS_SZ];
	bool has_head = false;
	json_t *transfer, *value;
	const char *key;
	size_t i;

	json_array_foreach(transfers, i, transfer) {
		json_t *ledger = json_object_get(transfer, "ledger");

		if (json_object_size(ledger) && !has_head)
			print_head(out, &f);
		has_head |= json_object_size(ledger) > 0;
		set_labels(labels, role, transfer);
		json_object_foreach(ledger, key, value)
			fprintf(out, PREFIX "%s_total{%s,%s=\"%s\"} %lld\n",
				f.name, labels, f.key, key,
				(long long)json_integer_value(value));
	}
}

void pt_metrics_text(FILE *out, const json_t *status)
{
	const char *role = text(status, "role");
	json_t *transfers = json_object_get(status, "transfers");
	char labels[LABELS_SZ];

	/* A sender has one, which its status is. */
	transfers = transfers ? json_incref(transfers)
			      : json_pack("[O]", (json_t *)status);
	set_labels(labels, role, status);
	if (!strcmp(role, "sender"))
		print_state(out, text(status, "status"), labels);
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		print_family(out, &families[i], role, transfers);
	print_ledgers(out, role, transfers);
	json_decref(transfers);
	fputs("# EOF\n", out);
}
