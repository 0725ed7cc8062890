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

static json_t *ask(struct pt_qemu *q, const char *name, json_t *args)
{
	json_t *value = NULL;

	pt_qemu_do(q, name, args, &value, NULL);
	return value;
}

static json_t *backends_of(struct pt_qemu *q)
{
	json_t *rows = ask(q, "query-memdev", NULL), *all = json_object();
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		json_object_set(all, pt_json_text(row, "id"),
				json_object_get(row, "size"));
	json_decref(rows);
	return all;
}

static json_t *memory_of(struct pt_qemu *q)
{
	json_t *summary = ask(q, "query-memory-size-summary", NULL);
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

static const char *accelerator_of(struct pt_qemu *q)
{
	json_t *kvm = ask(q, "query-kvm", NULL);
	bool enabled = json_is_true(json_object_get(kvm, "enabled"));

	json_decref(kvm);
	return enabled ? "kvm" : "tcg";
}

/* features_of: the CPUID words of an x86 CPU; NULL for others. */
static json_t *features_of(struct pt_qemu *q, const char *cpu)
{
	json_t *words = ask(q, "qom-get", json_pack("{s:s, s:s}", "path", cpu,
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

static json_t *cpus_of(struct pt_qemu *q)
{
	json_t *rows = ask(q, "query-cpus-fast", NULL), *cpu, *features;
	json_t *cpus = json_object(), *topology = json_object();
	const char *first = pt_json_text(json_array_get(rows, 0), "qom-path");
	size_t i;

	json_array_foreach(rows, i, cpu)
		count_up(topology, json_object_get(cpu, "props"));
	json_object_set_new(cpus, "topology", topology);
	json_object_set_new(cpus, "count", json_integer(json_array_size(rows)));
	set_text(cpus, "model", pt_qemu_property(q, first, "type"));
	features = features_of(q, first);
	if (features)
		json_object_set_new(cpus, "features", features);
	json_decref(rows);
	return cpus;
}

static json_t *device_of(struct pt_qemu *q, const char *path)
{
	json_t *device = json_object();
	char *bus = pt_qemu_property(q, path, "parent_bus");
	const char *slash = bus ? strrchr(bus, '/') : NULL;

	set_text(device, "type", pt_qemu_property(q, path, "type"));
	set_text(device, "addr", pt_qemu_property(q, path, "legacy-addr"));
	if (slash)
		json_object_set_new(device, "bus", json_string(slash + 1));
	free(bus);
	return device;
}

/* add_devices adds those of a folder: devices with an id in peripheral, those
 * without in peripheral-anon. */
static void add_devices(struct pt_qemu *q, const char *folder, json_t *devices)
{
	json_t *rows = ask(q, "qom-list", json_pack("{s:s}", "path", folder));
	json_t *row;
	char path[512];
	size_t i;

	json_array_foreach(rows, i, row) {
		const char *name = pt_json_text(row, "name");

		if (strncmp(pt_json_text(row, "type"), "child<", 6) ||
		    i >= DEVICES_MAX)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, name);
		json_object_set_new(devices, name, device_of(q, path));
	}
	json_decref(rows);
}

int pt_qemu_describe(struct pt_qemu *q, char **text, struct pt_error *err)
{
	json_t *all = json_object(), *devices = json_object();
	json_t *status = NULL;
	char *canonical;
	int code = pt_qemu_do(q, "query-status", NULL, &status, err);

	json_decref(status);
	if (!code) {
		set_text(all, "machine",
			 pt_qemu_property(q, "/machine", "type"));
		json_object_set_new(all, "accelerator",
				    json_string(accelerator_of(q)));
		json_object_set_new(all, "memory", memory_of(q));
		json_object_set_new(all, "backends", backends_of(q));
		json_object_set_new(all, "cpus", cpus_of(q));
		add_devices(q, "/machine/peripheral", devices);
		add_devices(q, "/machine/peripheral-anon", devices);
		/* It fails now if it failed above. */
		code = pt_qemu_do(q, "query-status", NULL, NULL, err);
	}
	json_object_set_new(all, "devices", devices);
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
