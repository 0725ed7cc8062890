/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* receiver: the receive program on the far end of a veth, frames that are sent
 * to it from the near end, and its leftovers. */
#ifndef TESTS_BPF_RECEIVER_H
#define TESTS_BPF_RECEIVER_H

#include "veth.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "wire/builder.h"
#include "xdp/program.h"
#include "xsk/pass.h"
#include "xsk/xsk.h"

#define QUEUES	2
#define PORT	16644
#define ID	0x1122334455667788ull

static struct veth veth;

static inline struct pt_program_cfg native(void)
{
	return (struct pt_program_cfg){ .device = &veth.far };
}

static inline struct pt_program_cfg generic(void)
{
	return (struct pt_program_cfg){ .device = &veth.far, .generic = true };
}

static inline struct pt_program *must_open(struct pt_program_cfg cfg)
{
	struct pt_program *p = NULL;
	struct pt_error err;

	if (pt_program_open(&p, &cfg, &err))
		fail_msg("%s", err.text);
	return p;
}

static inline struct pt_pass *must_pass(void)
{
	struct pt_pass *p = NULL;
	struct pt_error err;

	if (pt_pass_open(&p, &veth.far, &err))
		fail_msg("%s", err.text);
	return p;
}

static inline struct pt_program_info must_pin(struct pt_program_cfg cfg)
{
	struct pt_program_info info;
	struct pt_error err;

	if (pt_program_pin(&cfg, &info, &err))
		fail_msg("%s", err.text);
	return info;
}

static inline void must_unpin(bool force)
{
	struct pt_error err;

	if (pt_program_unpin(&veth.far, force, &err))
		fail_msg("%s", err.text);
}

/* refused asserts that opening fails with code, and the text has word. */
static inline void refused(struct pt_program_cfg cfg, int code,
			   const char *word)
{
	struct pt_error err = { 0 };
	struct pt_program *p = NULL;

	assert_int_equal(pt_program_open(&p, &cfg, &err), code);
	assert_null(p);
	assert_int_equal(err.exit, PT_EXIT_HOST);
	if (!strstr(err.text, word) || !strstr(err.text, cfg.device->name))
		fail_msg("'%s' without '%s'", err.text, word);
}

/* attached_id returns the id of the far device's program in that mode. */
static inline __u32 attached_id(bool in_generic)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	assert_int_equal(bpf_xdp_query(veth.far.ifindex, 0, &query), 0);
	return in_generic ? query.skb_prog_id : query.drv_prog_id;
}

/* attached_soon waits for the kernel to detach what was closed: a process that looks at
 * another's descriptors keeps them for a moment. */
static inline __u32 attached_soon(bool in_generic)
{
	for (int i = 0; i < 500 && attached_id(in_generic); i++)
		usleep(10000);
	return attached_id(in_generic);
}

static inline struct pt_link link_to(unsigned int last_byte)
{
	struct pt_link link = {
		.src_port = PORT, .dst_port = PORT,
		.src_addr = { [10] = 0xff, 0xff, 10, 0, 0, 1 },
		.dst_addr = { [10] = 0xff, 0xff, 10, 0, 0, last_byte },
	};

	memcpy(link.src_mac, veth.near.mac, 6);
	memcpy(link.dst_mac, veth.far.mac, 6);
	return link;
}

static inline struct pt_session session_to(unsigned int last_byte)
{
	struct pt_link link = link_to(last_byte);
	struct pt_session session = { .lane_cnt = 1 };

	memcpy(session.endpoint.addr, link.dst_addr, 16);
	session.endpoint.port = __builtin_bswap16(PORT);
	session.lane_queue[0] = PT_QUEUE_ANY;
	return session;
}

static inline void must_add(struct pt_program *p, __u64 id,
			    unsigned int last_byte)
{
	struct pt_session session = session_to(last_byte);
	struct pt_error err;
	int ret;

	while ((ret = pt_program_session_add(p, id, &session, &err)) == -EAGAIN)
		usleep(1000);	/* a child opens its own */
	if (ret)
		fail_msg("%s", err.text);
}

static inline struct pt_xsk *must_xsk(const struct pt_xsk_cfg *cfg)
{
	struct pt_xsk *x = NULL;
	struct pt_error err;

	if (pt_xsk_open(&x, cfg, &err))
		fail_msg("%s", err.text);
	return x;
}

static inline struct pt_xsk *sender(__u32 queue)
{
	return must_xsk(&(struct pt_xsk_cfg){
		.device = &veth.near, .queue = queue, .tx_chunk_cnt = 256,
		.tx_frame_sz_max = pt_device_frame_sz(&veth.near) });
}

static inline void send_probes(struct pt_xsk *tx, unsigned int last_byte,
			       __u32 sz, int cnt)
{
	struct pt_frame_id id = { .session_id = ID };
	struct pt_link link = link_to(last_byte);
	void *frame;

	for (; cnt; cnt--, id.seq++) {
		while (!(frame = pt_xsk_tx_frame(tx)))
			assert_int_equal(pt_xsk_tx_wait(tx, 2000), 1);
		pt_probe_write(&link, &id, sz, NULL, frame);
		pt_xsk_tx_submit(tx, frame, sz);
	}
	flushed(tx);
}

static inline struct pt_counters queue_counters(struct pt_program *p,
						__u32 queue)
{
	struct pt_counters c;

	assert_int_equal(pt_program_queue_counters(p, queue, &c), 0);
	return c;
}

/* litter counts files of /run/pagetrim and pins of the far device. */
static inline int litter(void)
{
	char path[128];
	struct dirent *entry;
	struct stat st;
	int cnt = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", PT_PIN_ROOT, veth.far.name);
	cnt += !stat(path, &st);
	snprintf(path, sizeof(path), "%llu-",
		 (unsigned long long)veth.far.netns_cookie);
	dir = opendir("/run/pagetrim");
	while (dir && (entry = readdir(dir)))
		cnt += !strncmp(entry->d_name, path, strlen(path));
	if (dir)
		closedir(dir);
	return cnt;
}

/* child runs body in a process of its own, which stays until killed; returns
 * once body has returned. */
static inline pid_t child(void (*body)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);	/* a test may abort */
		body();
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static inline void kill_hard(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#endif
