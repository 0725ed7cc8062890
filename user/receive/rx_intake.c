/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "receive/rx_intake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <pagetrim/clock.h>
#include "channel/frame_keys.h"
#include "session/compression.h"

#define ADDING_NS	5000000000ULL	/* at most, for the XDP maps' lock */

/* open_seals makes the seals that open each lane's frames. */
static int open_seals(struct pt_rx_session *s, struct pt_error *err)
{
	struct pt_intake *i = &s->intake;
	const struct pt_frame_keys keys = {
		.conn = s->conn,
		.session_id = i->session_id,
		.cipher = s->request.open.cipher,
		.rekey_log2 = s->request.open.rekey_log2,
	};
	int ret;

	if (!i->is_sealed)
		return 0;
	ret = pt_frame_keys_header(&keys, i->header_key, err);
	for (__u16 n = 0; !ret && n < i->lane_cnt; n++) {
		ret = pt_frame_keys_seal(&i->lanes[n].seal, &keys, n, err);
		if (!ret)
			ret = pt_frame_keys_seal(&i->lanes[n].probe_seal,
						 &keys, n, err);
		if (!ret)
			pt_seal_keep_probes(i->lanes[n].probe_seal);
	}
	return ret;
}

static int open_intake(struct pt_rx_session *s, struct pt_error *err)
{
	struct pt_intake *i = &s->intake;
	int ret;

	s->storage.adding_ns = pt_clock_ns();
	if (pt_rebuild_create(&s->memory.rebuild, s->memory.layout, s->storage.sink,
			      s->request.open.digest_key))
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "%s: no memory "
				    "for %llu pages", s->report.path,
				    pt_layout_page_cnt(s->memory.layout));
	if (getrandom(&i->session_id, sizeof(i->session_id), 0) !=
	    sizeof(i->session_id))
		return pt_error_set(err, PT_EXIT_HOST, -EIO,
				    "no random numbers (getrandom)");
	i->session_id |= 1;	/* never 0 */
	memcpy(i->endpoint.addr, s->request.open.dst_addr, sizeof(i->endpoint.addr));
	i->endpoint.port = htons(pt_conn_local(s->conn)->port);
	i->conn = s->conn;
	i->rebuild = s->memory.rebuild;
	i->wake_fd = s->poll.wake_fd;
	i->lane_cnt = s->request.open.lane_cnt;
	i->is_sealed = s->request.open.cipher;
	atomic_store(&i->reorder_min_ns, PT_REORDER_MIN_NS);
	atomic_store(&i->rtt_ns, pt_conn_rtt_ns(s->conn));
	atomic_store(&i->is_closed, s->report.is_resumed);
	i->is_profiled = s->cfg->profile;
	i->compressions = pt_compressions_of(pt_conn_capabilities(s->conn));
	i->places_apart = pt_sink_may_wait(s->storage.sink);
	ret = pt_intake_lanes_make(i);
	/* -EAGAIN from here would mean that the XDP maps are locked. */
	if (ret)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "cannot start "
				    "%u lanes: %s (memory, ulimit -u or "
				    "pids.max)", i->lane_cnt,
				    strerror(-ret));
	return open_seals(s, err);
}

int pt_rx_intake_add(struct pt_rx_session *s, struct pt_error *err)
{
	int ret = s->storage.adding_ns ? 0 : open_intake(s, err);

	if (ret)
		return ret;
	ret = pt_rx_host_add(s->host, &s->intake, err);
	if (ret == -EAGAIN && pt_clock_ns() - s->storage.adding_ns >= ADDING_NS)
		return -EBUSY;
	s->share.is_on_host = !ret;
	return ret;
}
