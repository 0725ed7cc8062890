/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/program_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include <pagetrim/check.h>

pid_t pt_program_session_pid(const struct pt_program *p, __u64 session_id)
{
	struct program_holders holders;
	struct pt_session session;

	if (bpf_map_lookup_elem(p->map_fd[MAP_SESSIONS], &session_id, &session))
		return 0;
	program_holders(p, &holders);
	return program_holder_pid(&holders, session.holder);
}

__u32 pt_program_sessions(const struct pt_program *p, __u64 *ids, __u32 max)
{
	int fd = p->map_fd[MAP_SESSIONS];
	__u64 *prev = NULL;
	__u32 cnt = 0;

	while (cnt < max && !bpf_map_get_next_key(fd, prev, &ids[cnt]))
		prev = &ids[cnt++];
	return cnt;
}

/* count_endpoint sets the endpoint's value to the count of its sessions in the
 * map, so that a process that died half-way leaves no wrong count. */
static int count_endpoint(struct pt_program *p, const struct pt_endpoint *ep)
{
	static const struct pt_endpoint none;
	__u64 ids[PT_SESSIONS_MAX];
	struct pt_session session;
	__u32 cnt, users = 0;

	if (!memcmp(ep, &none, sizeof(none)))	/* of a closed session */
		return 0;
	cnt = pt_program_sessions(p, ids, PT_SESSIONS_MAX);
	for (__u32 i = 0; i < cnt; i++)
		if (!bpf_map_lookup_elem(p->map_fd[MAP_SESSIONS], &ids[i],
					 &session) &&
		    !memcmp(&session.endpoint, ep, sizeof(*ep)))
			users++;
	if (!users) {
		bpf_map_delete_elem(p->map_fd[MAP_ENDPOINTS], ep);
		return 0;
	}
	if (bpf_map_update_elem(p->map_fd[MAP_ENDPOINTS], ep, &users, BPF_ANY))
		return -errno;
	return 0;
}

/* forget removes any process's session from the maps.  Its counters stay
 * readable until their slot is needed. */
static void forget(struct pt_program *p, __u64 id)
{
	struct pt_session session;
	bool known = !bpf_map_lookup_elem(p->map_fd[MAP_SESSIONS], &id,
					  &session);

	bpf_map_delete_elem(p->map_fd[MAP_SESSIONS], &id);
	if (known)
		count_endpoint(p, &session.endpoint);
}

/* settle_locked does the postponed changes. */
static void settle_locked(struct pt_program *p)
{
	__u32 i = 0;

	while (i < p->session_cnt) {
		struct program_session *s = &p->sessions[i];

		count_endpoint(p, &s->was);
		memset(&s->was, 0, sizeof(s->was));
		if (s->is_leaving) {
			forget(p, s->id);
			*s = p->sessions[--p->session_cnt];
		} else {
			i++;
		}
	}
}

static bool is_settled(const struct pt_program *p)
{
	static const struct pt_endpoint none;

	for (__u32 i = 0; i < p->session_cnt; i++)
		if (p->sessions[i].is_leaving ||
		    memcmp(&p->sessions[i].was, &none, sizeof(none)))
			return false;
	return true;
}

/* settle: the caller holds the mutex. */
static bool settle(struct pt_program *p)
{
	if (is_settled(p))
		return true;
	if (program_try_maps(p, NULL))
		return false;
	settle_locked(p);
	program_unlock_maps(p);
	return true;
}

bool pt_program_settle(struct pt_program *p)
{
	bool ret;

	pthread_mutex_lock(&p->mutex);
	ret = settle(p);
	pthread_mutex_unlock(&p->mutex);
	return ret;
}

/* prune_sessions removes a foreign session only if the list of living holders
 * is complete, since an incomplete list proves nothing.  Returns whether it
 * removed one. */
static bool prune_sessions(struct pt_program *p)
{
	bool is_swept = false;
	struct program_holders holders;
	__u64 ids[PT_SESSIONS_MAX];
	__u32 cnt = pt_program_sessions(p, ids, PT_SESSIONS_MAX);
	struct pt_session session;

	if (program_holders(p, &holders))
		return false;
	for (__u32 i = 0; i < cnt; i++) {
		if (!bpf_map_lookup_elem(p->map_fd[MAP_SESSIONS], &ids[i],
					 &session) &&
		    session.holder != p->holder &&
		    !program_holder_pid(&holders, session.holder)) {
			forget(p, ids[i]);
			is_swept = true;
		}
	}
	program_remove_holders(p->pins_fd, false);
	return is_swept;
}

/* prune_endpoints removes endpoints that a process left when it was killed. */
static void prune_endpoints(struct pt_program *p)
{
	struct pt_endpoint endpoints[PT_SESSIONS_MAX], *prev = NULL;
	int fd = p->map_fd[MAP_ENDPOINTS];
	__u32 cnt = 0;

	while (cnt < PT_SESSIONS_MAX &&
	       !bpf_map_get_next_key(fd, prev, &endpoints[cnt]))
		prev = &endpoints[cnt++];
	for (__u32 i = 0; i < cnt; i++)
		count_endpoint(p, &endpoints[i]);
}

void program_prune(struct pt_program *p)
{
	if (program_lock_maps(p, NULL))
		return;
	prune_sessions(p);
	prune_endpoints(p);
	program_unlock_maps(p);
}

/* drop_old_counters makes room by removing the counters of closed sessions. */
static void drop_old_counters(struct pt_program *p)
{
	int fd = p->map_fd[MAP_SESSION_COUNTERS];
	__u64 ids[PT_SESSIONS_MAX];
	struct pt_session session;
	__u64 *prev = NULL;
	__u32 cnt = 0;

	while (cnt < PT_SESSIONS_MAX &&
	       !bpf_map_get_next_key(fd, prev, &ids[cnt]))
		prev = &ids[cnt++];
	for (__u32 i = 0; i < cnt; i++)
		if (bpf_map_lookup_elem(p->map_fd[MAP_SESSIONS], &ids[i],
					&session))
			bpf_map_delete_elem(fd, &ids[i]);
}

/* insert_counters starts at zero, even if the counters of an old session with
 * that id remain. */
static int insert_counters(struct pt_program *p, __u64 id)
{
	memset(p->percpu, 0, p->cpu_cnt * sizeof(*p->percpu));
	if (bpf_map_update_elem(p->map_fd[MAP_SESSION_COUNTERS], &id,
				p->percpu, BPF_ANY))
		return -errno;
	return 0;
}

static int insert(struct pt_program *p, __u64 id,
		  const struct pt_session *session)
{
	int ret = insert_counters(p, id);

	if (ret == -E2BIG) {
		drop_old_counters(p);
		ret = insert_counters(p, id);
	}
	if (ret)
		return ret;
	if (bpf_map_update_elem(p->map_fd[MAP_SESSIONS], &id, session,
				BPF_NOEXIST))
		return -errno;
	return count_endpoint(p, &session->endpoint);
}

static int add(struct pt_program *p, __u64 id,
	       const struct pt_session *session, struct pt_error *err)
{
	struct pt_session held = *session, present;
	int ret;

	if (!bpf_map_lookup_elem(p->map_fd[MAP_SESSIONS], &id, &present))
		return pt_error_set(err, PT_EXIT_HOST, -EEXIST,
				    "%s: session %016llx is open already",
				    p->device.name, (unsigned long long)id);
	held.holder = p->holder;
	ret = insert(p, id, &held);
	if (!ret) {
		p->sessions[p->session_cnt++] =
			(struct program_session){ .id = id };
		return 0;
	}
	forget(p, id);
	return pt_error_set(err, PT_EXIT_HOST, ret,
			    "%s: cannot open a session in the XDP maps: %s "
			    "(at most %u sessions on a device)",
			    p->device.name, strerror(-ret), PT_SESSIONS_MAX);
}

int pt_program_session_add(struct pt_program *p, __u64 session_id,
			   const struct pt_session *session,
			   struct pt_error *err)
{
	int ret;

	pt_check(session_id);
	pt_check(session->lane_cnt >= 1 && session->lane_cnt <= PT_LANES_MAX);
	pt_check(!session->unused && !session->endpoint.unused);
	pthread_mutex_lock(&p->mutex);
	ret = program_try_maps(p, err);
	if (ret)
		goto unlock;
	settle_locked(p);
	/* A session that its process closed, but did not uncount, has left its
	 * endpoint. */
	if (p->info.pinned && prune_sessions(p))
		prune_endpoints(p);
	if (p->session_cnt == PT_SESSIONS_MAX)
		ret = pt_error_set(err, PT_EXIT_HOST, -E2BIG,
				   "%s: %u sessions are open, the most there "
				   "can be", p->device.name, PT_SESSIONS_MAX);
	else
		ret = add(p, session_id, session, err);
	program_unlock_maps(p);
unlock:
	pthread_mutex_unlock(&p->mutex);
	return ret;
}

static struct program_session *find_own(struct pt_program *p, __u64 session_id)
{
	for (__u32 i = 0; i < p->session_cnt; i++)
		if (p->sessions[i].id == session_id)
			return &p->sessions[i];
	return NULL;
}

/* close_own: a closed session stays in the map, with an endpoint that no frame
 * has.  So XDP no longer finds the session, while every process that makes room
 * sees that its counters are still needed.  Only we write our own session, so
 * it needs no lock. */
static void close_own(struct pt_program *p, struct program_session *own)
{
	static const struct pt_endpoint none;
	int fd = p->map_fd[MAP_SESSIONS];
	struct pt_session session;

	if (bpf_map_lookup_elem(fd, &own->id, &session) ||
	    !memcmp(&session.endpoint, &none, sizeof(none)))
		return;
	own->was = session.endpoint;
	session.endpoint = none;
	bpf_map_update_elem(fd, &own->id, &session, BPF_EXIST);
}

static void end_own(struct pt_program *p, __u64 session_id, bool is_leaving)
{
	struct program_session *own;

	pthread_mutex_lock(&p->mutex);
	own = find_own(p, session_id);
	if (own) {
		close_own(p, own);
		own->is_leaving |= is_leaving;
		settle(p);
	}
	pthread_mutex_unlock(&p->mutex);
}

void pt_program_session_close(struct pt_program *p, __u64 session_id)
{
	end_own(p, session_id, false);
}

void pt_program_session_remove(struct pt_program *p, __u64 session_id)
{
	end_own(p, session_id, true);
}

int pt_program_lane_queue(struct pt_program *p, __u64 session_id, __u32 lane,
			  __u16 queue)
{
	int fd = p->map_fd[MAP_SESSIONS], ret = 0;
	struct pt_session session;

	pthread_mutex_lock(&p->mutex);
	if (bpf_map_lookup_elem(fd, &session_id, &session)) {
		ret = -errno;
	} else {
		pt_check(lane < session.lane_cnt);
		session.lane_queue[lane] = queue;
		if (bpf_map_update_elem(fd, &session_id, &session, BPF_EXIST))
			ret = -errno;
	}
	pthread_mutex_unlock(&p->mutex);
	return ret;
}

int pt_program_socket_set(struct pt_program *p, __u32 queue, int xsk_fd,
			  struct pt_error *err)
{
	int fd = p->map_fd[MAP_XSKS], ret;

	if (queue >= PT_QUEUES_MAX)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "%s queue %u: above %u, the highest that "
				    "pagetrim uses", p->device.name, queue,
				    PT_QUEUES_MAX - 1);
	if (xsk_fd < 0)
		ret = bpf_map_delete_elem(fd, &queue);
	else
		ret = bpf_map_update_elem(fd, &queue, &xsk_fd, BPF_ANY);
	if (!ret && xsk_fd >= 0) {
		pthread_mutex_lock(&p->mutex);
		program_unmark(p);
		pthread_mutex_unlock(&p->mutex);
	}
	if (!ret || (xsk_fd < 0 && errno == ENOENT))
		return 0;
	ret = -errno;
	return pt_error_set(err, PT_EXIT_HOST, ret,
			    "%s queue %u: cannot give its frames to the "
			    "AF_XDP socket: %s", p->device.name, queue,
			    strerror(-ret));
}

static int sum_up(const struct pt_program *p, enum program_map map,
		  const void *key, struct pt_counters *sum)
{
	struct pt_program *self = (struct pt_program *)p;
	int ret = 0;

	memset(sum, 0, sizeof(*sum));
	pthread_mutex_lock(&self->mutex);
	if (bpf_map_lookup_elem(p->map_fd[map], key, self->percpu)) {
		ret = -errno;
	} else {
		for (int cpu = 0; cpu < p->cpu_cnt; cpu++) {
			const struct pt_counters *c = &p->percpu[cpu];

			sum->seen += c->seen;
			sum->seen_bytes += c->seen_bytes;
#define X(SYMBOL, name, text) sum->name += c->name;
			PT_VERDICTS(X)
#undef X
		}
	}
	pthread_mutex_unlock(&self->mutex);
	return ret;
}

int pt_program_queue_counters(const struct pt_program *p, __u32 queue,
			      struct pt_counters *sum)
{
	return sum_up(p, MAP_QUEUE_COUNTERS, &queue, sum);
}

int pt_program_session_counters(const struct pt_program *p, __u64 session_id,
				struct pt_counters *sum)
{
	return sum_up(p, MAP_SESSION_COUNTERS, &session_id, sum);
}
