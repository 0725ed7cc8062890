// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli/ctl_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/ask.h"
#include "cli/output.h"

#define WAIT_MS	1000
#define TEXT_SZ	256

struct list {
	unsigned cnt;
	bool has_more;
	struct pt_ctl_entry entries[PT_CTL_ENTRIES_MAX];
	json_t *statuses[PT_CTL_ENTRIES_MAX];	/* NULL: no answer in time */
};

/* read_list asks all that listen. */
static struct list *read_list(void)
{
	static struct list l;
	unsigned all = pt_ctl_folder_list(l.entries, &l.has_more);

	l.cnt = 0;
	for (unsigned i = 0; i < all; i++) {
		struct pt_error err;
		json_t *status = NULL;
		int ret = pt_ask_entry(&status, &l.entries[i], "status",
				       WAIT_MS, &err);

		if (ret && ret != -ETIMEDOUT)
			continue;	/* it ended, or was killed */
		l.entries[l.cnt] = l.entries[i];
		l.statuses[l.cnt++] = status;
	}
	return &l;
}

static void free_list(struct list *l)
{
	for (unsigned i = 0; i < l->cnt; i++)
		json_decref(l->statuses[i]);
}

static const char *text(const json_t *o, const char *key, char clean[TEXT_SZ])
{
	const char *said = json_string_value(json_object_get(o, key));

	pt_text_clean(clean, TEXT_SZ, said ? said : "-");
	return clean;
}

static void print_list(const struct list *l)
{
	char role[TEXT_SZ], status[TEXT_SZ], name[TEXT_SZ];

	if (!l->cnt)
		puts("no transfer runs");
	else
		printf("%-9s%-10s%-11s%s\n", "PID", "ROLE", "STATUS", "NAME");
	for (unsigned i = 0; i < l->cnt; i++)
		printf("%-9d%-10s%-11s%s\n", l->entries[i].pid,
		       text(l->statuses[i], "role", role), l->statuses[i]
		       ? text(l->statuses[i], "status", status) : "no answer",
		       text(l->statuses[i], "name", name));
	if (l->has_more)
		printf("and more than these %d\n", PT_CTL_ENTRIES_MAX);
}

static void print_json(const struct list *l)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < l->cnt; i++) {
		json_t *o = json_pack("{s:i, s:s}", "pid", l->entries[i].pid,
				      "control", l->entries[i].path);

		for (const char *const *key = (const char *const[]){
				"role", "status", "name", NULL }; *key; key++)
			if (json_object_get(l->statuses[i], *key))
				json_object_set(o, *key, json_object_get(
						l->statuses[i], *key));
		json_array_append_new(all, o);
	}
	pt_out_json(json_pack("{s:o, s:b}", "processes", all,
			      "more", l->has_more));
}

void pt_ctl_list(bool json)
{
	struct list *l = read_list();

	if (json)
		print_json(l);
	else
		print_list(l);
	free_list(l);
}

static bool is_named(const struct list *l, unsigned i, const char *name)
{
	const char *own = json_string_value(json_object_get(l->statuses[i],
							    "name"));
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", l->entries[i].pid);
	return !name || !strcmp(name, pid) || (own && !strcmp(name, own));
}

int pt_ctl_find(struct pt_ctl_entry *found, const char *name,
		struct pt_error *err)
{
	struct list *l = read_list();
	char pids[128] = "";
	unsigned cnt = 0;

	for (unsigned i = 0; i < l->cnt; i++) {
		size_t sz = strlen(pids);

		if (!is_named(l, i, name))
			continue;
		*found = l->entries[i];
		snprintf(pids + sz, sizeof(pids) - sz, " %d", found->pid);
		cnt++;
	}
	free_list(l);
	if (cnt == 1)
		return 0;
	if (cnt)
		return pt_error_set(err, PT_EXIT_HOST, -ENOTUNIQ, "%s%sseveral "
				    "processes:%s (name one by its number)",
				    name ? name : "", name ? ": " : "", pids);
	if (!name)
		return pt_error_set(err, PT_EXIT_HOST, -ENOENT, "no transfer of "
				    "this user runs (root sees those of all; "
				    "--control PATH asks for one that has "
				    "ended)");
	return pt_error_set(err, PT_EXIT_HOST, -ENOENT, "%s: no transfer of this "
			    "user has that name or number ('pagetrim ctl' lists "
			    "those that run, root sees those of all)", name);
}
