/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/program_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include <pagetrim/check.h>

/* Changes of pinned maps are made under a lock of the device, since several
 * processes make them; own maps need the mutex only. */
static int lock_maps(struct pt_program *p, struct pt_lockfile *lock,
		     struct pt_error *err)
{
	char path[96];

	lock->fd = -1;
	if (!p->info.pinned)
		return 0;
	pt_lockfile_path(path, &p->device, "maps");
	return pt_lockfile_wait(lock, path, "maps", err);
}

static void unlock_maps(struct pt_lockfile *lock)
{
	if (lock->fd >= 0)
		pt_lockfile_release(lock);
}

static void session_path(char path[96], const struct pt_program *p, __u64 id)
{
	char tail[24];

	snprintf(tail, sizeof(tail), "s%016llx", (unsigned long long)id);
	pt_lockfile_path(path, &p->device, tail);
}

bool program_session_owner(const struct pt_program *p, __u64 session_id,
			   struct pt_lockfile_owner *owner)
{
	char path[96];

	session_path(path, p, session_id);
	return pt_lockfile_is_held(path, owner);
}

pid_t pt_program_session_pid(const struct pt_program *p, __u64 session_id)
{
	struct pt_lockfile_owner owner;

	return program_session_owner(p, session_id, &owner) ? owner.pid : 0;
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

/* count_endpoint makes the endpoint's value the number of its sessions, as
 * the sessions themselves say: a process that died half-way leaves no wrong
 * count behind. */
static int count_endpoint(struct pt_program *p, const struct pt_endpoint *ep)
{
	__u64 ids[PT_SESSIONS_MAX];
	__u32 cnt = pt_program_sessions(p, ids, PT_SESSIONS_MAX), users = 0;
	struct pt_session session;

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

/* forget removes a session of the maps, whoever opened it.  Its counters stay
 * to be read, until their place is needed. */
static void forget(struct pt_program *p, __u64 id)
{
	struct pt_session session;
	bool known = !bpf_map_lookup_elem(p->map_fd[MAP_SESSIONS], &id,
					  &session);

	bpf_map_delete_elem(p->map_fd[MAP_SESSIONS], &id);
	if (known)
		count_endpoint(p, &session.endpoint);
}

static void prune_locked(struct pt_program *p)
{
	__u64 ids[PT_SESSIONS_MAX];
	__u32 cnt = pt_program_sessions(p, ids, PT_SESSIONS_MAX);
	struct pt_lockfile_owner owner;

	for (__u32 i = 0; i < cnt; i++)
		if (!program_session_owner(p, ids[i], &owner))
			forget(p, ids[i]);
	pt_lockfile_sweep();
}

void program_prune(struct pt_program *p)
{
	struct pt_lockfile lock;

	if (lock_maps(p, &lock, NULL))
		return;
	prune_locked(p);
	unlock_maps(&lock);
}

/* drop_old_counters makes room: sessions that are closed lose theirs. */
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

/* insert_counters: from zero, also if those of an old session of that id are
 * still there. */
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
	struct program_session *own = &p->sessions[p->session_cnt];
	struct pt_session present;
	char path[96];
	int ret;

	if (!bpf_map_lookup_elem(p->map_fd[MAP_SESSIONS], &id, &present))
		return pt_error_set(err, PT_EXIT_HOST, -EEXIST,
				    "%s: session %016llx is open already",
				    p->device.name, (unsigned long long)id);
	own->id = id;
	own->lock.fd = -1;
	if (p->info.pinned) {
		session_path(path, p, id);
		ret = pt_lockfile_take(&own->lock, path, "receive", NULL, err);
		if (ret)
			return ret;
	}
	ret = insert(p, id, session);
	if (!ret) {
		p->session_cnt++;
		return 0;
	}
	forget(p, id);
	if (own->lock.fd >= 0)
		pt_lockfile_release(&own->lock);
	return pt_error_set(err, PT_EXIT_HOST, ret,
			    "%s: cannot open a session in the XDP maps: %s "
			    "(at most %u sessions on a device)",
			    p->device.name, strerror(-ret), PT_SESSIONS_MAX);
}

int pt_program_session_add(struct pt_program *p, __u64 session_id,
			   const struct pt_session *session,
			   struct pt_error *err)
{
	struct pt_lockfile lock;
	int ret;

	pt_check(session_id);
	pt_check(session->lane_cnt >= 1 && session->lane_cnt <= PT_LANES_MAX);
	pt_check(!session->unused && !session->endpoint.unused);
	pthread_mutex_lock(&p->mutex);
	ret = lock_maps(p, &lock, err);
	if (ret)
		goto unlock;
	if (p->info.pinned)
		prune_locked(p);
	if (p->session_cnt == PT_SESSIONS_MAX)
		ret = pt_error_set(err, PT_EXIT_HOST, -E2BIG,
				   "%s: %u sessions are open, the most there "
				   "can be", p->device.name, PT_SESSIONS_MAX);
	else
		ret = add(p, session_id, session, err);
	unlock_maps(&lock);
unlock:
	pthread_mutex_unlock(&p->mutex);
	return ret;
}

static struct program_session *find_own(struct pt_program *p, __u64 id)
{
	for (__u32 i = 0; i < p->session_cnt; i++)
		if (p->sessions[i].id == id)
			return &p->sessions[i];
	return NULL;
}

void pt_program_session_remove(struct pt_program *p, __u64 session_id)
{
	struct program_session *own;
	struct pt_lockfile lock;
	int ret;

	pthread_mutex_lock(&p->mutex);
	own = find_own(p, session_id);
	if (own) {
		/* Without the lock the next user removes it, as if we died. */
		ret = lock_maps(p, &lock, NULL);
		if (!ret)
			forget(p, session_id);
		if (own->lock.fd >= 0)
			pt_lockfile_release(&own->lock);
		if (!ret)
			unlock_maps(&lock);
		*own = p->sessions[--p->session_cnt];
	}
	pthread_mutex_unlock(&p->mutex);
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
