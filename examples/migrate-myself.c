/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* migrate-myself: a program that moves to a copy of itself on another host while
 * it writes its memory, and goes on there.
 *
 *     cc -pthread migrate-myself.c $(pkg-config --cflags --libs libpagetrim)
 *     ./a.out wait DEV ADDR:PORT KEY MIB        on the host where it arrives
 *     ./a.out move DEV HOST:PORT KEY MIB RATE   on the host where it runs
 *     ./a.out tell DEV HOST:PORT KEY MIB RATE   or: it tells which pages it wrote
 *
 * DEV, KEY: as of send-my-memory.  MIB: of memory, the same on both hosts.  RATE:
 * at most so many bytes per second on the wire; 0: no limit.
 *
 * The program takes turns.  Each one writes a block of a page, or clears a page,
 * by a random number; so the number of turns tells what the memory must hold.
 * Wherever the program runs in the end, it takes some more turns and compares.
 *
 * Exit: 0 it ran here to its end, or moved away; 1 it could not begin; 3 its memory
 * is not as it should be; 4 it was to arrive, and did not; 5 it was to move away, and
 * ran here to its end; 6 it may run at the other host, so it stopped.
 */
#include <pagetrim/pagetrim.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE		4096
#define TIMEOUT_MS	5000		/* of silence of the other host */
#define TURNS_MS	20		/* turns in one millisecond */
#define MORE_TURNS	20000		/* where the program runs in the end */

/* state: all of the program besides its memory. */
struct state {
	uint64_t turn;
	uint64_t random;
};

static struct state now = { .random = 1 };
static unsigned char *memory;
static size_t memory_sz;
static char description[64];
static unsigned rounds;
static unsigned char *written;		/* by page, since it was told; NULL: the
					 * library looks by itself */

/* run_lock: held by the thread that takes turns while it takes some. */
static pthread_mutex_t run_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int is_running;
static uint64_t last_turn = UINT64_MAX;	/* the program ends after it */

static uint64_t draw(struct state *s)
{
	s->random = s->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return s->random >> 33;
}

/* begin_memory: what the memory holds before the first turn. */
static void begin_memory(unsigned char *to)
{
	struct state s = { .random = 7 };

	for (size_t at = 0; at < memory_sz; at += sizeof(uint64_t)) {
		uint64_t value = draw(&s);

		memcpy(to + at, &value, sizeof(value));
	}
}

/* take_turn: with the same state and memory before, those after are the same. */
static void take_turn(struct state *s, unsigned char *to)
{
	unsigned char *page = to + draw(s) % (memory_sz / PAGE) * PAGE;
	uint64_t how = draw(s);

	if (how % 32)
		memset(page + how / 32 % 64 * 64, (int)(s->turn % 255) + 1, 64);
	else
		memset(page, 0, PAGE);
	if (written && to == memory)
		written[(page - to) / PAGE] = 1;
	s->turn++;
}

/* work is the program: it takes turns while it runs. */
static void *work(void *arg)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	pthread_mutex_lock(&run_lock);
	while (now.turn < last_turn) {
		if (!is_running) {
			pthread_cond_wait(&changed, &run_lock);
			continue;
		}
		for (int i = 0; i < TURNS_MS && now.turn < last_turn; i++)
			take_turn(&now, memory);
		pthread_mutex_unlock(&run_lock);
		nanosleep(&ms, NULL);
		pthread_mutex_lock(&run_lock);
	}
	pthread_mutex_unlock(&run_lock);
	return arg;
}

static void set_running(int value)
{
	pthread_mutex_lock(&run_lock);
	is_running = value;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&run_lock);
}

/* finish takes more turns and compares the memory with that of a second program,
 * which takes all turns from the first one on. */
static int finish(pthread_t worker, int status)
{
	struct state expected = { .random = 1 };
	unsigned char *copy = mmap(NULL, memory_sz, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t wrong = 0;
	uint64_t from;

	if (copy == MAP_FAILED)
		return perror("mmap"), 1;
	pthread_mutex_lock(&run_lock);
	from = now.turn;
	last_turn = from + MORE_TURNS;
	pthread_mutex_unlock(&run_lock);
	pthread_join(worker, NULL);
	begin_memory(copy);
	while (expected.turn < now.turn)
		take_turn(&expected, copy);
	if (expected.random != now.random || memcmp(copy, memory, memory_sz)) {
		for (size_t at = 0; at < memory_sz; at += PAGE)
			wrong += memcmp(copy + at, memory + at, PAGE) != 0;
		fprintf(stderr, "%zu pages are not as they should be\n", wrong);
		return 3;
	}
	printf("ran from turn %llu to %llu, and all pages are right\n",
	       (unsigned long long)from, (unsigned long long)now.turn);
	return status;
}

static int complain(const char *what, const struct pt_error *err)
{
	fprintf(stderr, "migrate-myself: %s: %s%s%s%s\n", what, err->text,
		err->hint[0] ? " (" : "", err->hint, err->hint[0] ? ")" : "");
	return 1;
}

static int begin_work(pthread_t *worker)
{
	int ret = pthread_create(worker, NULL, work, NULL);

	if (ret)
		fprintf(stderr, "migrate-myself: no thread: %s\n", strerror(ret));
	return ret;
}

/* --- the program moves away ----------------------------------------------- */

static int pause_me(void *arg)
{
	(void)arg;
	set_running(0);
	return 0;
}

static int give_state(const void **bytes, uint64_t *state_sz, void *arg)
{
	(void)arg;
	*bytes = &now;
	*state_sz = sizeof(now);
	return 0;
}

static void resume_me(void *arg)
{
	(void)arg;
	puts("resumed");
	set_running(1);
}

/* tell: the turns hold run_lock while they write. */
static int tell(void (*dirty)(void *to, uint64_t gfn, uint64_t cnt), void *to,
		void *arg)
{
	const struct pt_region *region = arg;
	uint64_t cnt = 0;

	pthread_mutex_lock(&run_lock);
	for (size_t i = 0; i < memory_sz / PAGE; i++)
		if (written[i]) {
			dirty(to, region->gfn + i, 1);
			written[i] = 0;
			cnt++;
		}
	pthread_mutex_unlock(&run_lock);
	printf("told of %llu pages\n", (unsigned long long)cnt);
	return 0;
}

static void on_round(const struct pt_live_round *round, void *arg)
{
	(void)arg;
	rounds = round->idx;
	printf("round %u: %llu pages, %llu to go\n", round->idx,
	       (unsigned long long)round->pages,
	       (unsigned long long)round->dirty_pages);
	fflush(stdout);
}

static int drive_send(struct pt_send *send, struct pt_error *err)
{
	struct pollfd fd = { .events = POLLIN };
	int ret = pt_send_start(send, err);

	if (ret)
		return ret;
	fd.fd = pt_send_fd(send, err);
	do {
		poll(&fd, 1, -1);
		ret = pt_send_step(send, err);
	} while (ret > 0);
	return ret;
}

/* move returns 0 if the program has moved away, 5 if it runs on here, 6 if nobody
 * knows, 1 if it could not begin. */
static int move(struct pt_source *source, const struct pt_region *region,
		char **argv)
{
	const struct pt_security security = {
		.sz = sizeof(security), .psk = argv[4],
	};
	const struct pt_live_send live = {
		.sz = sizeof(live), .description = description,
		.pause = pause_me, .state = give_state, .resume = resume_me,
		.round = on_round, .changed = written ? tell : NULL,
		.arg = (void *)region,
	};
	const struct pt_send_opts opts = {
		.sz = sizeof(opts), .security = &security, .live = &live,
		.max_bandwidth = strtoull(argv[6], NULL, 10),
		.peer_timeout = TIMEOUT_MS,
	};
	struct pt_send *send;
	struct pt_error err;
	int ret;

	if (pt_send_open(&send, source, argv[2], argv[3], &opts, &err))
		return complain("cannot open", &err);
	ret = drive_send(send, &err);
	pt_send_close(send, NULL);
	if (!ret)
		printf("moved away at turn %llu, after %u rounds\n",
		       (unsigned long long)now.turn, rounds);
	else
		complain("did not move", &err);
	return !ret ? 0 : err.class_ == PT_ERROR_UNKNOWN ? 6 : 5;
}

static int leave(const struct pt_region *region, char **argv)
{
	struct pt_source *source;
	struct pt_error err;
	pthread_t worker;
	int status;

	if (pt_source_regions(&source, region, 1, &err))
		return complain("no source", &err);
	if (!strcmp(argv[1], "tell"))
		written = calloc(memory_sz / PAGE, 1);
	begin_memory(memory);
	set_running(1);
	if (begin_work(&worker))
		return 1;
	status = move(source, region, argv);
	pt_source_destroy(source, NULL);
	return status == 5 ? finish(worker, 5) : status;
}

/* --- the program arrives -------------------------------------------------- */

static int match(const char *theirs, void *arg)
{
	(void)arg;
	return strcmp(theirs, description) ? -EINVAL : 0;
}

static int take_state(const void *bytes, uint64_t state_sz, void *arg)
{
	(void)arg;
	if (state_sz != sizeof(now))
		return -EINVAL;
	memcpy(&now, bytes, sizeof(now));
	return 0;
}

static int run_me(void *arg)
{
	(void)arg;
	set_running(1);
	return 0;
}

static int drive_recv(struct pt_recv *recv, struct pt_error *err)
{
	struct pollfd fd = { .events = POLLIN };
	int ret = pt_recv_start(recv, err);

	if (ret)
		return ret;
	fputs("ready\n", stderr);
	fd.fd = pt_recv_fd(recv, err);
	do {
		poll(&fd, 1, -1);
		ret = pt_recv_step(recv, err);
	} while (ret > 0);
	return ret;
}

static int arrive(const struct pt_region *region, char **argv)
{
	const struct pt_security security = {
		.sz = sizeof(security), .psk = argv[4],
	};
	const struct pt_live_recv live = {
		.sz = sizeof(live), .match = match, .state = take_state,
		.run = run_me,
	};
	const struct pt_recv_opts opts = {
		.sz = sizeof(opts), .security = &security, .live = &live,
		.peer_timeout = TIMEOUT_MS,
	};
	struct pt_recv *recv;
	struct pt_sink *sink;
	struct pt_error err;
	pthread_t worker;
	int failed;

	if (pt_sink_regions(&sink, region, 1, true, &err))
		return complain("no sink", &err);
	if (pt_recv_open(&recv, sink, argv[2], argv[3], &opts, &err))
		return complain("cannot open", &err);
	if (begin_work(&worker))
		return 1;
	failed = drive_recv(recv, &err);
	pt_recv_close(recv, NULL);
	pt_sink_destroy(sink, NULL);
	if (!failed)
		return finish(worker, 0);
	complain("did not arrive", &err);
	return is_running ? 6 : 4;
}

int main(int argc, char **argv)
{
	int leaves = argc == 7 && (!strcmp(argv[1], "move") ||
				   !strcmp(argv[1], "tell"));
	struct pt_region region = { .gfn = 0x100, .name = "example" };

	if (!leaves && !(argc == 6 && !strcmp(argv[1], "wait"))) {
		fputs("usage: migrate-myself wait DEV ADDR:PORT KEY MIB\n"
		      "       migrate-myself move|tell DEV HOST:PORT KEY MIB RATE\n",
		      stderr);
		return 2;
	}
	memory_sz = (size_t)strtoul(argv[5], NULL, 10) << 20;
	snprintf(description, sizeof(description), "migrate-myself, %zu bytes",
		 memory_sz);
	memory = mmap(NULL, memory_sz, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return perror("mmap"), 1;
	region.addr = memory;
	region.sz = memory_sz;
	return leaves ? leave(&region, argv) : arrive(&region, argv);
}
