/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* maps.bpf: the receive program's maps, as <pagetrim/maps.h> describes them.
 * Their types are declared, so that bpftool prints the fields by name. */
#ifndef BPF_MAPS_BPF_H
#define BPF_MAPS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <pagetrim/maps.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PT_SESSIONS_MAX);
	__type(key, struct pt_endpoint);
	__type(value, __u32);
} pt_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PT_SESSIONS_MAX);
	__type(key, __u64);
	__type(value, struct pt_session);
} pt_sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, PT_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} pt_xsks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PT_QUEUES_MAX);
	__type(key, __u32);
	__type(value, struct pt_counters);
} pt_queue_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, PT_SESSIONS_MAX);
	__type(key, __u64);
	__type(value, struct pt_counters);
} pt_session_counters SEC(".maps");

/* Agents read these constants from a pinned program. */
const volatile struct pt_constants pt_constants = { .rules = PT_RULES };

#endif
