/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/program_impl.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <xdp/libxdp.h>

#define PROG_MAPS_MAX 64	/* examined maps of a program */

/* libbpf's name for the map of the program's constants. */
#define CONSTANTS_NAME PT_PROGRAM_NAME ".rodata"
_Static_assert(sizeof(*((struct pagetrim_bpf *)0)->rodata) ==
	       sizeof(struct pt_constants),
	       "pt_constants is all that take_constants must look for");

static const struct wanted {
	__u32 type, key_sz, value_sz;
} wanted[MAP_CNT] = {
#define X(SYMBOL, name_, type_, key_sz_, value_sz_)			\
	[MAP_##SYMBOL] = { .type = BPF_MAP_TYPE_##type_,		\
			   .key_sz = key_sz_, .value_sz = value_sz_ },
	PROGRAM_MAPS(X)
#undef X
};

static const char *const map_name[MAP_CNT] = {
#define X(SYMBOL, name, type, key_sz, value_sz) [MAP_##SYMBOL] = #name,
	PROGRAM_MAPS(X)
#undef X
};

/* take_constants notes the version of the program's rules, and the device for
 * which it was loaded. */
static int take_constants(struct pt_program *p, int fd,
			  const struct bpf_map_info *info)
{
	__u32 key = 0;

	if (info->value_size != sizeof(p->constants) ||
	    bpf_map_lookup_elem(fd, &key, &p->constants))
		return -EPROTO;
	return 0;
}

/* take_map keeps the map if it is one of ours, by the part of the name that the
 * kernel keeps; -EPROTO if it has our name and another shape. */
static int take_map(struct pt_program *p, __u32 id)
{
	struct bpf_map_info info = { 0 };
	__u32 info_sz = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id), ret = -EPROTO;

	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_sz)) {
		close(fd);
		return -errno;
	}
	if (!strcmp(info.name, CONSTANTS_NAME))
		ret = take_constants(p, fd, &info);
	for (int i = 0; i < MAP_CNT; i++) {
		if (strncmp(info.name, map_name[i], BPF_OBJ_NAME_LEN - 1))
			continue;
		if (p->map_fd[i] >= 0 || info.type != wanted[i].type ||
		    info.key_size != wanted[i].key_sz ||
		    info.value_size != wanted[i].value_sz)
			break;
		p->map_fd[i] = fd;
		return 0;
	}
	close(fd);
	return ret;
}

int program_take(struct pt_program *p, __u32 id)
{
	__u32 map_ids[PROG_MAPS_MAX];
	struct bpf_prog_info info = {
		.nr_map_ids = PROG_MAPS_MAX,
		.map_ids = (__u64)(unsigned long)map_ids,
	};
	__u32 info_sz = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id), ret = 0;

	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_sz)) {
		ret = -errno;
	} else if (strcmp(info.name, PT_PROGRAM_NAME) ||
		   info.nr_map_ids > PROG_MAPS_MAX) {
		ret = -ENOENT;
	} else {
		/* maps of other names are skipped */
		for (__u32 i = 0; i < info.nr_map_ids; i++)
			take_map(p, map_ids[i]);
		for (int i = 0; i < MAP_CNT; i++)
			if (p->map_fd[i] < 0)
				ret = -EPROTO;
		if (p->constants.rules < PT_RULES)
			ret = -EPROTO;
	}
	if (ret && ret != -EPROTO) {
		close(fd);
		return ret;
	}
	p->prog_fd = fd;
	p->info.id = id;
	return ret;
}

int program_constants_fd(int prog_fd)
{
	__u32 map_ids[PROG_MAPS_MAX];
	struct bpf_prog_info prog = {
		.nr_map_ids = PROG_MAPS_MAX,
		.map_ids = (__u64)(unsigned long)map_ids,
	};
	__u32 sz = sizeof(prog);

	if (bpf_obj_get_info_by_fd(prog_fd, &prog, &sz))
		return -errno;
	for (__u32 i = 0; i < prog.nr_map_ids && i < PROG_MAPS_MAX; i++) {
		struct bpf_map_info info = { 0 };
		int fd = bpf_map_get_fd_by_id(map_ids[i]);

		sz = sizeof(info);
		if (fd < 0)
			return -errno;
		if (!bpf_obj_get_info_by_fd(fd, &info, &sz) &&
		    !strcmp(info.name, CONSTANTS_NAME))
			return fd;
		close(fd);
	}
	return -ENOENT;
}

/* take_component searches the programs of libxdp's dispatcher. */
static int take_component(struct pt_program *p)
{
	struct xdp_multiprog *mp =
		xdp_multiprog__get_from_ifindex(p->device.ifindex);
	struct xdp_program *component = NULL;
	int ret = -ENOENT;

	if (libxdp_get_error(mp))
		return -ENOENT;
	while (!xdp_multiprog__is_legacy(mp) && ret == -ENOENT &&
	       (component = xdp_multiprog__next_prog(component, mp)))
		ret = program_take(p, xdp_program__id(component));
	if (!ret || ret == -EPROTO) {
		p->info.dispatcher = true;
		p->info.multi_buffer = xdp_multiprog__xdp_frags_support(mp);
	}
	xdp_multiprog__close(mp);
	return ret;
}

int program_find(struct pt_program *p)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	__u32 ids[3];
	int ret = bpf_xdp_query(p->device.ifindex, 0, &query);

	if (ret)
		return ret;
	ids[0] = query.drv_prog_id;
	ids[1] = query.skb_prog_id;
	ids[2] = query.hw_prog_id;
	for (int i = 0; i < 3; i++) {
		if (!ids[i])
			continue;
		ret = program_take(p, ids[i]);
		if (ret == -ENOENT)
			ret = take_component(p);
		else if (ret == -EPERM)		/* no CAP_SYS_ADMIN */
			ret = program_take_pins(p, ids[i]);
		p->info.generic = i == 1;
		/* Only our own load reports it; assume the usual case. */
		if (!ret && !p->info.dispatcher)
			p->info.multi_buffer = true;
		return ret;
	}
	return -ENOENT;
}
