/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The properties that must be the same at both ends, so that a guest can move:
 *
 *	{"accelerator":"tcg","backends":{"ram":67108864},
 *	 "cpus":{"count":1,"features":{"1 ECX":"0x..."},"model":"max-x86_64-cpu"},
 *	 "devices":{"net0":{"addr":"01.0","bus":"pcie.0","type":"virtio-net-pci"}},
 *	 "machine":"pc-q35-7.2-machine","memory":{"base":67108864,"plugged":0}}
 *
 * Zero feature words and topology of 1 are left out: newer QEMUs know more of
 * them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qmp/json.h"
#include "vmm/qemu_impl.h"

#define DEVICES_MAX	4096	/* in one folder of the object tree */

static void set_text(json_t *object, const char *key, char *text)
{
	if (text)
		json_object_set_new(object, key, json_string(text));
	free(text);
}

/* talk: the questions.  QEMU may leave some out, but after a failure of its
 * monitor no more are asked: each would wait for its own deadline. */
struct talk {
	struct pt_qemu *q;
	int failed;		/* -errno; 0: not yet */
	struct pt_error why;	/* if failed */
};

static json_t *ask(struct talk *t, const char *name, json_t *args)
{
	struct pt_error why = { 0 };
	json_t *value = NULL;
	int code;

	if (t->failed) {
		json_decref(args);
		return NULL;
	}
	code = pt_qemu_do(t->q, name, args, &value, &why);
	if (code && code != -EREMOTEIO) {
		t->failed = code;
		t->why = why;
	}
	return value;
}

/* property: for free(3); NULL: there is none. */
static char *property(struct talk *t, const char *path, const char *name)
{
	json_t *value = ask(t, "qom-get", json_pack("{s:s, s:s}", "path", path,
						    "property", name));
	char *text = json_is_string(value) ? strdup(json_string_value(value))
					   : NULL;

	json_decref(value);
	return text;
}

static json_t *backends_of(struct talk *t)
{
	json_t *rows = ask(t, "query-memdev", NULL), *all = json_object();
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		json_object_set(all, pt_json_text(row, "id"),
				json_object_get(row, "size"));
	json_decref(rows);
	return all;
}

static json_t *memory_of(struct talk *t)
{
	json_t *summary = ask(t, "query-memory-size-summary", NULL);
	json_t *memory = json_object();
	json_t *plugged = json_object_get(summary, "plugged-memory");

	if (summary)
		json_object_set(memory, "base",
				json_object_get(summary, "base-memory"));
	if (plugged)
		json_object_set(memory, "plugged", plugged);
	json_decref(summary);
	return memory;
}

static const char *accelerator_of(struct talk *t)
{
	json_t *kvm = ask(t, "query-kvm", NULL);
	bool enabled = json_is_true(json_object_get(kvm, "enabled"));

	json_decref(kvm);
	return enabled ? "kvm" : "tcg";
}

/* features_of: the CPUID words of an x86 CPU; NULL for others. */
static json_t *features_of(struct talk *t, const char *cpu)
{
	json_t *words = ask(t, "qom-get", json_pack("{s:s, s:s}", "path", cpu,
						    "property",
						    "feature-words"));
	json_t *all = json_is_array(words) ? json_object() : NULL, *word;
	char key[64], value[32];
	size_t i;

	json_array_foreach(words, i, word) {
		const json_t *ecx = json_object_get(word, "cpuid-input-ecx");
		json_int_t bits = json_integer_value(
			json_object_get(word, "features"));
		json_int_t eax = json_integer_value(
			json_object_get(word, "cpuid-input-eax"));
		int sz = snprintf(key, sizeof(key), "%#llx",
				  (unsigned long long)eax);

		if (!bits)
			continue;
		if (ecx)
			sz += snprintf(key + sz, sizeof(key) - sz, ".%lld",
				       (long long)json_integer_value(ecx));
		snprintf(key + sz, sizeof(key) - sz, " %.8s",
			 pt_json_text(word, "cpuid-register"));
		snprintf(value, sizeof(value), "%#llx",
			 (unsigned long long)bits);
		json_object_set_new(all, key, json_string(value));
	}
	json_decref(words);
	return all;
}

/* count_up raises the counts of sockets, cores, ... to those that one CPU's place
 * shows. */
static void count_up(json_t *topology, json_t *place)
{
	const char *key;
	json_t *value;

	json_object_foreach(place, key, value) {
		json_int_t cnt = json_integer_value(value) + 1;

		if (cnt > 1 && cnt > json_integer_value(
				json_object_get(topology, key)))
			json_object_set_new(topology, key, json_integer(cnt));
	}
}

static json_t *cpus_of(struct talk *t)
{
	json_t *rows = ask(t, "query-cpus-fast", NULL), *cpu, *features;
	json_t *cpus = json_object(), *topology = json_object();
	const char *first = pt_json_text(json_array_get(rows, 0), "qom-path");
	size_t i;

	json_array_foreach(rows, i, cpu)
		count_up(topology, json_object_get(cpu, "props"));
	json_object_set_new(cpus, "topology", topology);
	json_object_set_new(cpus, "count", json_integer(json_array_size(rows)));
	set_text(cpus, "model", property(t, first, "type"));
	features = features_of(t, first);
	if (features)
		json_object_set_new(cpus, "features", features);
	json_decref(rows);
	return cpus;
}

static json_t *device_of(struct talk *t, const char *path)
{
	json_t *device = json_object();
	char *bus = property(t, path, "parent_bus");
	const char *slash = bus ? strrchr(bus, '/') : NULL;

	set_text(device, "type", property(t, path, "type"));
	set_text(device, "addr", property(t, path, "legacy-addr"));
	if (slash)
		json_object_set_new(device, "bus", json_string(slash + 1));
	free(bus);
	return device;
}

/* add_devices adds those of a folder: devices with an id in peripheral, those
 * without in peripheral-anon. */
static void add_devices(struct talk *t, const char *folder, json_t *devices)
{
	json_t *rows = ask(t, "qom-list", json_pack("{s:s}", "path", folder));
	json_t *row;
	char path[512];
	size_t i;

	json_array_foreach(rows, i, row) {
		const char *name = pt_json_text(row, "name");

		if (strncmp(pt_json_text(row, "type"), "child<", 6) ||
		    i >= DEVICES_MAX)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, name);
		json_object_set_new(devices, name, device_of(t, path));
	}
	json_decref(rows);
}

int pt_qemu_describe(struct pt_qemu *q, char **text, struct pt_error *err)
{
	json_t *all = json_object(), *devices = json_object();
	struct talk t = { .q = q };
	char *canonical;
	int code;

	set_text(all, "machine", property(&t, "/machine", "type"));
	json_object_set_new(all, "accelerator",
			    json_string(accelerator_of(&t)));
	json_object_set_new(all, "memory", memory_of(&t));
	json_object_set_new(all, "backends", backends_of(&t));
	json_object_set_new(all, "cpus", cpus_of(&t));
	add_devices(&t, "/machine/peripheral", devices);
	add_devices(&t, "/machine/peripheral-anon", devices);
	json_object_set_new(all, "devices", devices);
	code = t.failed;
	if (code && err)
		*err = t.why;
	canonical = json_dumps(all, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(all);
	if (!code && !canonical)
		code = pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: no memory",
				    q->name);
	if (!code && strlen(canonical) >= PT_QEMU_TEXT_MAX)
		code = pt_error_set(err, PT_EXIT_HOST, -E2BIG, "%s: the guest "
				    "has too many devices to describe",
				    q->name);
	if (code) {
		free(canonical);
		return code;
	}
	*text = canonical;
	return 0;
}
