// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The object file's contract with others: bpftool names the fields of its maps,
 * libxdp's dispatcher finds its place, the kernel passes it frames in several
 * buffers. */
#include <linux/bpf.h>
#include <xdp/libxdp.h>
#include <bpf/btf.h>

#include "program.h"

static struct program program;

/* assert_fields: the type is a struct of that name, with those members. */
static void assert_fields(const struct bpf_map *map, __u32 type_id,
			  const char *name, const char *const *fields,
			  __u32 field_cnt)
{
	const struct btf *btf = bpf_object__btf(program.skel->obj);
	const struct btf_type *type = btf__type_by_id(btf, type_id);
	const struct btf_member *members;

	print_message("%s\n", bpf_map__name(map));
	assert_non_null(type);
	assert_true(btf_is_struct(type));
	assert_string_equal(btf__name_by_offset(btf, type->name_off), name);
	assert_int_equal(btf_vlen(type), field_cnt);
	members = btf_members(type);
	for (__u32 i = 0; i < field_cnt; i++)
		assert_string_equal(btf__name_by_offset(btf,
							members[i].name_off),
				    fields[i]);
}

#define CNT_OF(array)	(sizeof(array) / sizeof((array)[0]))

static void test_map_fields(void **state)
{
	static const char *const counters[] = {
		"seen", "seen_bytes",
#define X(SYMBOL, name, text) #name,
		PT_VERDICTS(X)
#undef X
	};
	static const char *const endpoint[] = { "addr", "port", "unused" };
	static const char *const session[] = {
		"endpoint", "lane_queue", "lane_cnt", "is_sealed", "unused",
		"header_key", "holder",
	};
	const struct bpf_map *map;

	(void)state;
	map = program.skel->maps.pt_queue_counters;
	assert_fields(map, bpf_map__btf_value_type_id(map), "pt_counters",
		      counters, CNT_OF(counters));
	map = program.skel->maps.pt_session_counters;
	assert_fields(map, bpf_map__btf_value_type_id(map), "pt_counters",
		      counters, CNT_OF(counters));
	map = program.skel->maps.pt_sessions;
	assert_fields(map, bpf_map__btf_value_type_id(map), "pt_session",
		      session, CNT_OF(session));
	map = program.skel->maps.pt_endpoints;
	assert_fields(map, bpf_map__btf_key_type_id(map), "pt_endpoint",
		      endpoint, CNT_OF(endpoint));
}

/* The kernel holds the types too: a pinned program needs no object file. */
static void test_kernel_has_the_types(void **state)
{
	const struct bpf_map *map = program.skel->maps.pt_queue_counters;
	struct bpf_map_info info = { 0 };
	__u32 sz = sizeof(info);
	struct btf *btf;

	(void)state;
	assert_int_equal(0, bpf_obj_get_info_by_fd(bpf_map__fd(map), &info,
						   &sz));
	assert_int_equal(info.value_size, sizeof(struct pt_counters));
	assert_int_not_equal(info.btf_id, 0);
	btf = btf__load_from_kernel_by_id(info.btf_id);
	assert_non_null(btf);
	assert_string_equal("pt_counters", btf__name_by_offset(btf,
		btf__type_by_id(btf, info.btf_value_type_id)->name_off));
	btf__free(btf);
}

static void test_place_behind_the_dispatcher(void **state)
{
	struct pagetrim_bpf *skel = pagetrim_bpf__open();
	struct xdp_program *xdp;

	(void)state;
	assert_non_null(skel);
	xdp = xdp_program__from_bpf_obj(skel->obj, "xdp.frags");
	assert_int_equal(libxdp_get_error(xdp), 0);
	assert_int_equal(xdp_program__run_prio(xdp), 20);
	assert_true(xdp_program__chain_call_enabled(xdp, XDP_PASS));
	assert_false(xdp_program__chain_call_enabled(xdp, XDP_DROP));
	assert_false(xdp_program__chain_call_enabled(xdp, XDP_REDIRECT));
	xdp_program__close(xdp);
	pagetrim_bpf__destroy(skel);
}

/* A veth refuses a program that takes no fragments when its peer's MTU is
 * above 3506. */
static void test_several_buffers(void **state)
{
	struct bpf_link *link;

	(void)state;
	assert_int_equal(0, system("ip link set " PROGRAM_PEER " mtu 65535"));
	link = bpf_program__attach_xdp(program.skel->progs.pagetrim,
				       program.ifindex);
	assert_int_equal(libbpf_get_error(link), 0);
	bpf_link__destroy(link);
}

/* The verifier's steps are most of the time in which a receiver starts, and at a
 * million it stops.  39 thousand with Linux 6.18, 49 with 6.1; compilers differ, so
 * more is allowed.  With the loop over the records inlined they are 403 thousand. */
static void test_verifier(void **state)
{
	struct pagetrim_bpf *skel = pagetrim_bpf__open();
	static char log[65536];
	unsigned int cnt = 0;
	const char *line;

	(void)state;
	assert_non_null(skel);
	bpf_program__set_log_level(skel->progs.pagetrim, 4);	/* counts only */
	bpf_program__set_log_buf(skel->progs.pagetrim, log, sizeof(log));
	assert_int_equal(pagetrim_bpf__load(skel), 0);
	line = strstr(log, "processed ");
	assert_non_null(line);
	assert_int_equal(sscanf(line, "processed %u insns", &cnt), 1);
	print_message("verifier: %u instructions\n", cnt);
	assert_in_range(cnt, 1, 150000);
	pagetrim_bpf__destroy(skel);
}

static int group_setup(void **state)
{
	(void)state;
	return program_open(&program);
}

static int group_teardown(void **state)
{
	(void)state;
	program_close(&program);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_fields),
		cmocka_unit_test(test_kernel_has_the_types),
		cmocka_unit_test(test_several_buffers),
		cmocka_unit_test(test_verifier),
		cmocka_unit_test(test_place_behind_the_dispatcher),
	};

	return cmocka_run_group_tests_name("object", tests, group_setup,
					   group_teardown);
}
