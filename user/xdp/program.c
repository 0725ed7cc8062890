/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/program_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include <pagetrim/check.h>
#include "xdp/cause.h"
#include "xdp/occupant.h"

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)
#endif

#define OPEN_TRIES	5	/* the program was detached during the
				 * opening */
#define CLOSE_TRIES	100	/* to settle the rest */
#define CLOSE_PAUSE_NS	1000000

struct pt_program *program_new(const struct pt_device *device)
{
	struct pt_program *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->device = *device;
	p->prog_fd = -1;
	p->link_fd = -1;
	p->pins_fd = -1;
	p->holder_fd = -1;
	p->before_fd = -1;
	p->mark_fd = -1;
	p->targets_fd = -1;
	for (int i = 0; i < MAP_CNT; i++)
		p->map_fd[i] = -1;
	pthread_mutex_init(&p->mutex, NULL);
	p->cpu_cnt = libbpf_num_possible_cpus();
	if (p->cpu_cnt > 0)
		p->percpu = calloc(p->cpu_cnt, sizeof(*p->percpu));
	p->sessions = calloc(PT_SESSIONS_MAX, sizeof(*p->sessions));
	if (p->percpu && p->sessions)
		return p;
	program_free(p);
	return NULL;
}

void program_free(struct pt_program *p)
{
	if (!p)
		return;
	program_unhold(p);
	if (p->pins_fd >= 0)
		close(p->pins_fd);
	/* The link's other holder must find its own program on the device
	 * again. */
	program_put_back(p);
	if (p->link_fd >= 0)
		close(p->link_fd);	/* the last reference: detaches */
	program_unmark(p);
	if (p->targets_fd >= 0)
		close(p->targets_fd);
	if (p->prog_fd >= 0)
		close(p->prog_fd);
	for (int i = 0; i < MAP_CNT; i++)
		if (p->map_fd[i] >= 0)
			close(p->map_fd[i]);
	pthread_mutex_destroy(&p->mutex);
	free(p->percpu);
	free(p->sessions);
	free(p);
}

/* libbpf takes the frags flag from the section's name, and only a handler of
 * that section can clear it.  The handler stays registered, since libbpf 1.1
 * frees its table twice when the last handler is removed; so it acts as libbpf
 * would, unless load_skeleton requests otherwise. */
static __thread bool without_frags;

static int set_frags(struct bpf_program *prog, struct bpf_prog_load_opts *opts,
		     long cookie)
{
	(void)prog;
	(void)cookie;
	if (!without_frags)
		opts->prog_flags |= BPF_F_XDP_HAS_FRAGS;
	return 0;
}

static int handle_section(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts,
		    .prog_prepare_load_fn = set_frags);
	static int handler;

	pthread_mutex_lock(&mutex);
	if (handler <= 0)
		handler = libbpf_register_prog_handler("xdp.frags",
				BPF_PROG_TYPE_XDP, BPF_XDP, &opts);
	pthread_mutex_unlock(&mutex);
	return handler < 0 ? handler : 0;
}

void program_set_constants(struct pagetrim_bpf *skel,
			   const struct pt_constants *constants)
{
	skel->rodata->pt_constants.ifindex = constants->ifindex;
	skel->rodata->pt_constants.netns_cookie = constants->netns_cookie;
}

static int load_skeleton(struct pagetrim_bpf **out, bool frags,
			 const struct pt_constants *constants)
{
	struct pagetrim_bpf *skel;
	int ret = frags ? 0 : handle_section();

	if (ret)
		return ret;
	without_frags = !frags;
	skel = pagetrim_bpf__open();
	if (skel)
		program_set_constants(skel, constants);
	ret = skel ? pagetrim_bpf__load(skel) : -errno;
	without_frags = false;
	if (ret) {
		pagetrim_bpf__destroy(skel);
		return ret;
	}
	*out = skel;
	return 0;
}

int pt_program_try(struct pt_error *err)
{
	struct pagetrim_bpf *skel;
	int ret;

	pt_cause_begin();
	ret = load_skeleton(&skel, true, &(struct pt_constants){ 0 });
	if (ret)
		return pt_error_set(err, PT_EXIT_HOST, ret, "%s%s%s",
				    strerror(-ret), pt_cause_text()[0] ?
				    ": " : "", pt_cause_text());
	pagetrim_bpf__destroy(skel);
	return 0;
}

static int try_attach(struct pt_program *p, const struct pt_program_cfg *cfg,
		      struct pagetrim_bpf **out, bool frags)
{
	/* The mode is always given; otherwise the kernel chooses. */
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = cfg->generic ?
		    XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	struct pagetrim_bpf *skel;
	int ret = load_skeleton(&skel, frags, &p->constants);

	if (ret)
		return ret;
	/* A program that attach pinned is no orphan, with or without
	 * sockets. */
	if (!p->constants.netns_cookie)
		ret = program_mark(p, bpf_map__fd(skel->maps.pt_xsks));
	if (!ret)
		ret = bpf_link_create(bpf_program__fd(skel->progs.pagetrim),
				      p->device.ifindex, BPF_XDP, &opts);
	if (ret == -EBUSY && !cfg->generic)
		ret = program_take_link(p,
				bpf_program__fd(skel->progs.pagetrim));
	if (ret < 0) {
		program_unmark(p);
		pagetrim_bpf__destroy(skel);
		return ret;
	}
	p->link_fd = ret;
	p->info.multi_buffer = frags;
	*out = skel;
	return 0;
}

static int keep_fd(int *to, int fd)
{
	*to = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return *to < 0 ? -errno : 0;
}

static int adopt_skeleton(struct pt_program *p, const struct pagetrim_bpf *skel)
{
	struct bpf_prog_info info = { 0 };
	__u32 info_sz = sizeof(info);
	int ret = keep_fd(&p->prog_fd, bpf_program__fd(skel->progs.pagetrim));

#define X(SYMBOL, name, type, key_sz, value_sz)				\
	if (!ret)							\
		ret = keep_fd(&p->map_fd[MAP_##SYMBOL],			\
			      bpf_map__fd(skel->maps.name));
	PROGRAM_MAPS(X)
#undef X
	if (ret)
		return ret;
	if (bpf_obj_get_info_by_fd(p->prog_fd, &info, &info_sz))
		return -errno;
	p->info.id = info.id;
	return 0;
}

int program_attach(struct pt_program *p, const struct pt_program_cfg *cfg,
		   struct pt_error *err)
{
	struct pagetrim_bpf *skel;
	int ret;

	ret = try_attach(p, cfg, &skel, !cfg->single_buffer);
	/* A driver without multi-buffer XDP returns one of these. */
	if ((ret == -EOPNOTSUPP || ret == -EINVAL) && !cfg->generic &&
	    !cfg->single_buffer)
		ret = try_attach(p, cfg, &skel, false);
	if (ret)
		return program_fail(err, cfg, ret);
	ret = adopt_skeleton(p, skel);
	pagetrim_bpf__destroy(skel);
	if (ret)
		return program_fail(err, cfg, ret);
	p->info.generic = cfg->generic;
	return 0;
}

static int adopt_pinned(struct pt_program *p, const struct pt_program_cfg *cfg,
			struct pt_error *err)
{
	const char *name = p->device.name;
	int ret;

	if (p->info.generic != cfg->generic)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
			"%s: attached in %s mode, %s was asked for (%s "
			"{generic}, or attach it anew)", name,
			p->info.generic ? "generic" : "native",
			cfg->generic ? "generic" : "native",
			p->info.generic ? "use" : "leave out");
	p->info.pinned = true;
	ret = program_hold(p, err);
	if (ret)
		return ret;
	program_prune(p);
	program_reach_open(p);
	return 0;
}

/* replace_orphan replaces a dead receiver's program, which is p. */
static int replace_orphan(struct pt_program **out, struct pt_program *p,
			  const struct pt_program_cfg *cfg,
			  struct pt_error *err)
{
	int ret;

	program_free(p);
	p = program_new(cfg->device);
	if (!p)
		return program_fail(err, cfg, -ENOMEM);
	ret = program_attach(p, cfg, err);
	if (ret) {
		program_free(p);
		return ret;
	}
	*out = p;
	return 0;
}

static int try_open(struct pt_program **out, const struct pt_program_cfg *cfg,
		    struct pt_error *err)
{
	const struct pt_device *dev = cfg->device;
	struct pt_program *p = program_new(dev);
	int ret;

	if (!p)
		return program_fail(err, cfg, -ENOMEM);
	ret = program_find(p);
	if (ret == -EPROTO)
		ret = program_fail_version(err, p);
	else if (!ret && !program_find_pins(p))
		ret = adopt_pinned(p, cfg, err);
	else if (!ret && p->constants.netns_cookie)
		ret = program_fail_hidden(err, p);
	else if (!ret && !program_is_orphan(p))
		ret = program_fail(err, cfg, -EBUSY);	/* a receiver's own */
	else if (!ret)
		return replace_orphan(out, p, cfg, err);
	else if (ret == -ENOENT)
		ret = program_attach(p, cfg, err);
	else
		ret = program_fail(err, cfg, ret);
	if (ret) {
		program_free(p);
		return ret;
	}
	*out = p;
	return 0;
}

int pt_program_open(struct pt_program **out, const struct pt_program_cfg *cfg,
		    struct pt_error *err)
{
	int ret = -EAGAIN;

	pt_cause_begin();
	for (int i = 0; i < OPEN_TRIES && ret == -EAGAIN; i++)
		ret = try_open(out, cfg, err);
	if (ret != -EAGAIN)
		return ret;
	return pt_error_set(err, PT_EXIT_HOST, -EBUSY, "%s: pagetrim attach and "
			    "detach are at work on it (start again when they "
			    "are done)", cfg->device->name);
}

/* fail_gone: the device of that name is not here; its pins may be. */
static int fail_gone(struct pt_error *err, const struct pt_device *device)
{
	if (program_refuse_pins(device, err))
		return -ENODEV;
	return pt_error_set(err, PT_EXIT_HOST, -ENODEV, "%s: was removed "
		"(pagetrim detach {--dev} %s removes the pins that are left)",
		device->name, device->name);
}

/* fail_none: attach is no remedy if the device has a foreign program. */
static int fail_none(struct pt_error *err, const struct pt_device *device)
{
	struct pt_occupant occupant;
	char who[160], remedy[160];

	pt_occupant_find(&occupant, device);
	if (!occupant.hook.prog_id)
		return pt_error_set(err, PT_EXIT_HOST, -ENOENT, "%s: no "
			"pagetrim program runs on it (pagetrim attach {--dev} "
			"%s, or a running pagetrim receive)", device->name,
			device->name);
	pt_occupant_print(&occupant, who, sizeof(who));
	pt_occupant_remedy(&occupant, device->name, remedy, sizeof(remedy));
	return pt_error_set(err, PT_EXIT_HOST, -ENOENT, "%s: no pagetrim "
			    "program runs on it, but %s (%s)", device->name,
			    who, remedy);
}

int pt_program_peek(struct pt_program **out, const struct pt_device *device,
		    struct pt_error *err)
{
	struct pt_program_cfg cfg = { .device = device };
	struct pt_program *p = program_new(device);
	int ret;

	pt_cause_begin();
	if (!p)
		return program_fail(err, &cfg, -ENOMEM);
	ret = device->ifindex ? program_find(p) : -ENODEV;
	if (!ret) {
		p->info.pinned = !program_find_pins(p) ||
				 p->constants.netns_cookie;
		*out = p;
		return 0;
	}
	if (!device->ifindex)
		ret = fail_gone(err, device);
	else if (ret == -ENOENT)
		ret = fail_none(err, device);
	else if (ret == -EPROTO)
		ret = program_fail_version(err, p);
	else
		ret = program_fail(err, &cfg, ret);
	program_free(p);
	return ret;
}

/* The next process that opens or adds settles the rest: it finds our sessions
 * without their holder. */
void pt_program_close(struct pt_program *p)
{
	const struct timespec pause = { .tv_nsec = CLOSE_PAUSE_NS };

	if (!p)
		return;
	for (__u32 i = p->session_cnt; i-- > 0; )
		if (i < p->session_cnt)
			pt_program_session_remove(p, p->sessions[i].id);
	for (int i = 0; i < CLOSE_TRIES && !pt_program_settle(p); i++)
		nanosleep(&pause, NULL);
	program_free(p);
}

void pt_program_info(const struct pt_program *p, struct pt_program_info *info)
{
	*info = p->info;
}
