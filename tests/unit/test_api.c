/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The public functions with wrong arguments: each returns an error, and changes
 * nothing.  tests/net/test_library.sh does the same with open ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pagetrim/pagetrim.h>

static struct pt_error err;
static const struct pt_security insecure = {
	.sz = sizeof(insecure), .insecure = true,
};

/* refused: a mistake of the caller, with word in its text. */
static void refused_with(int ret, const char *word, int line)
{
	if (ret != -EINVAL || err.code != -EINVAL ||
	    err.class_ != PT_ERROR_USAGE || !strstr(err.text, word) ||
	    strstr(err.text, "--") || strstr(err.hint, "--"))
		fail_msg("line %d: %d, '%s' (%s), want '%s'", line, ret, err.text,
			 err.hint, word);
	memset(&err, 0, sizeof(err));
}
#define refused(call, word) refused_with(call, word, __LINE__)

static char pages[4 * 4096] __attribute__((aligned(4096)));

#define REGION(page, gfn, cnt) { pages + (page) * 4096, gfn, (cnt) * 4096, NULL }

static struct pt_source *regions_source(void)
{
	const struct pt_region all = REGION(0, 0, 4);
	struct pt_source *source;

	assert_int_equal(pt_source_regions(&source, &all, 1, &err), 0);
	return source;
}

static struct pt_sink *regions_sink(void)
{
	const struct pt_region all = REGION(0, 0, 4);
	struct pt_sink *sink;

	assert_int_equal(pt_sink_regions(&sink, &all, 1, false, &err), 0);
	return sink;
}

static void regions_are_checked(void **state)
{
	static const struct row {
		const char *word;
		struct pt_region regions[2];
	} rows[] = {
		{ "overlap", { REGION(0, 0, 2), REGION(2, 1, 2) } },
		{ "overlap", { REGION(0, 0, 2), REGION(1, 9, 2) } },
		{ "", { { pages + 1, 0, 4096, NULL }, REGION(2, 9, 1) } },
		{ "", { { pages, 0, 4095, NULL }, REGION(2, 9, 1) } },
		{ "", { { pages, 0, 0, NULL }, REGION(2, 9, 1) } },
		{ "", { { NULL, 0, 4096, NULL }, REGION(2, 9, 1) } },
		{ "", { REGION(0, 1ULL << 40, 1), REGION(2, 9, 1) } },
		{ "", { { pages, 5, UINT64_MAX - 4095, NULL },
			REGION(2, 9, 1) } },
	};
	struct pt_source *source = NULL;
	struct pt_sink *sink = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		refused(pt_source_regions(&source, rows[i].regions, 2, &err),
			rows[i].word);
		refused(pt_sink_regions(&sink, rows[i].regions, 2, true, &err),
			rows[i].word);
	}
	refused(pt_source_regions(&source, NULL, 1, &err), "NULL");
	refused(pt_source_regions(NULL, rows[0].regions, 1, &err), "NULL");
	refused(pt_source_regions(&source, rows[0].regions, 0, &err), "");
	refused(pt_sink_regions(&sink, NULL, 1, true, &err), "NULL");
	assert_null(source);
	assert_null(sink);
}

static void sources_are_checked(void **state)
{
	const char *const paths[] = { "/etc/passwd", NULL };
	struct pt_process_opts opts = { .sz = 3 };
	struct pt_source *source = NULL;

	(void)state;
	refused(pt_source_files(&source, NULL, 1, &err), "NULL");
	refused(pt_source_files(&source, paths, 2, &err), "NULL");
	refused(pt_source_files(&source, paths, 0, &err), "files");
	refused(pt_source_process(&source, 0, NULL, &err), "process");
	refused(pt_source_process(&source, 1, &opts, &err), "sz is 3");
	refused(pt_source_process(&source, getpid(), NULL, &err),
		"the calling process");
	assert_int_equal(pt_source_files(&source, (const char *const[]){
		"/no/such" }, 1, &err), -ENOENT);
	assert_int_equal(err.class_, PT_ERROR_HOST);
	assert_int_equal(err.code, -ENOENT);
	assert_non_null(strstr(err.text, "/no/such: No such file"));
	assert_null(source);
	assert_int_equal(pt_source_files(&source, paths, 1, NULL), 0);
	assert_int_equal(pt_source_destroy(source, NULL), 0);
}

static void sinks_are_checked(void **state)
{
	struct pt_sink_opts both = { .sz = sizeof(both), .resume = true,
				     .prealloc = 4096 };
	const struct pt_region region = REGION(0, 0, 1);
	struct pt_sink *sink = NULL;
	int fds[2];

	(void)state;
	refused(pt_sink_file(&sink, NULL, NULL, &err), "path");
	refused(pt_sink_file(&sink, "", NULL, &err), "path");
	refused(pt_sink_file(&sink, "/tmp/x", &both, &err), "prealloc");
	refused(pt_sink_memfd(NULL, 1, &err), "out");
	assert_int_equal(pt_sink_memfd(&sink, -1, &err), -EBADF);
	assert_int_equal(err.class_, PT_ERROR_HOST);
	assert_int_equal(pipe(fds), 0);
	refused(pt_sink_memfd(&sink, fds[0], &err), "not a memfd");
	refused(pt_sink_process(&sink, 0, &region, 1, true, &err), "process");
	refused(pt_sink_process(&sink, 1, NULL, 1, true, &err), "NULL");
	refused(pt_sink_process(&sink, getpid(), &region, 0, true, &err), "");
	assert_int_equal(pt_sink_process(&sink, 1 << 22, &region, 1, true, &err),
			 -ESRCH);
	both.sz = 0;
	refused(pt_sink_file(&sink, "/tmp/x", &both, &err), "sz is 0");
	assert_null(sink);
}

static void handles_are_checked(void **state)
{
	struct pt_source *source = regions_source(), *other;
	struct pt_sink *sink = regions_sink();
	struct pt_status status = { .sz = sizeof(status) };
	struct pt_send *none = (struct pt_send *)source;

	(void)state;
	assert_int_equal(pt_source_destroy(NULL, &err), 0);
	assert_int_equal(pt_sink_destroy(NULL, &err), 0);
	assert_int_equal(pt_send_close(NULL, &err), 0);
	assert_int_equal(pt_recv_close(NULL, &err), 0);
	refused(pt_send_start(NULL, &err), "not an open sender");
	refused(pt_send_fd(none, &err), "not an open sender");
	refused(pt_send_step(none, &err), "not an open sender");
	refused(pt_send_cancel(none, &err), "not an open sender");
	refused(pt_send_set_max_bandwidth(none, 0, &err), "not an open sender");
	refused(pt_send_set_max_bandwidth(none, 1, &err), "max_bandwidth");
	refused(pt_send_status(none, &status, &err), "not an open sender");
	refused(pt_send_close((struct pt_send *)pages, &err), "not an open sender");
	refused(pt_recv_start((struct pt_recv *)sink, &err), "not an open receiver");
	refused(pt_recv_fd(NULL, &err), "not an open receiver");
	refused(pt_recv_step((struct pt_recv *)1, &err), "not an open receiver");
	refused(pt_recv_cancel(NULL, &err), "not an open receiver");
	refused(pt_recv_status(NULL, 0, &status, &err), "not an open receiver");
	refused(pt_recv_close((struct pt_recv *)~0UL, &err), "not an open receiver");
	refused(pt_sink_destroy((struct pt_sink *)source, &err), "not an open sink");
	assert_int_equal(pt_source_destroy(source, &err), 0);
	refused(pt_source_destroy(source, &err), "not an open source");
	other = regions_source();	/* in the slot that is free again */
	assert_ptr_not_equal(other, source);
	refused(pt_source_destroy(source, &err), "not an open source");
	assert_int_equal(pt_source_destroy(other, &err), 0);
	assert_int_equal(pt_sink_destroy(sink, &err), 0);
	assert_int_equal(pt_send_step(none, NULL), -EINVAL);
}

/* send_opened and recv_opened return the result of open with these options. */
static int send_opened_to(const char *to, const struct pt_send_opts *opts)
{
	struct pt_source *source = regions_source();
	struct pt_send *send = NULL;
	int ret = pt_send_open(&send, source, "lo", to, opts, &err);

	assert_null(send);
	assert_int_equal(pt_source_destroy(source, NULL), 0);
	return ret;
}

static int send_opened(const struct pt_send_opts *opts)
{
	return send_opened_to("127.0.0.1", opts);
}

static int recv_opened(const struct pt_recv_opts *opts)
{
	struct pt_sink *sink = regions_sink();
	struct pt_recv *recv = NULL;
	int ret = pt_recv_open(&recv, sink, "lo", "127.0.0.1", opts, &err);

	assert_null(recv);
	assert_int_equal(pt_sink_destroy(sink, NULL), 0);
	return ret;
}

#define SEND(...) send_opened(&(struct pt_send_opts){			\
	.sz = sizeof(struct pt_send_opts), .security = &insecure, __VA_ARGS__ })
#define RECV(...) recv_opened(&(struct pt_recv_opts){			\
	.sz = sizeof(struct pt_recv_opts), .security = &insecure, __VA_ARGS__ })

static void options_are_checked(void **state)
{
	const char *const with[] = { "/etc/passwd", NULL };
	const struct pt_send_opts plain = { .sz = sizeof(plain),
					    .security = &insecure };

	(void)state;
	refused(send_opened(NULL), "NULL");
	refused(SEND(.queues = 65), "queues");
	refused(SEND(.lanes = 65), "lanes");
	refused(SEND(.mtu = 1279), "mtu");
	refused(SEND(.mtu = 65536), "mtu");
	refused(SEND(.peer_timeout = 3600001), "peer_timeout");
	refused(SEND(.zero_copy = (enum pt_choice)3), "zero_copy");
	refused(SEND(.zero_copy = PT_CHOICE_ON, .generic = true), "generic");
	refused(SEND(.copies = (enum pt_choice)-1), "copies");
	refused(SEND(.hugepages = (enum pt_pages)4), "hugepages");
	refused(SEND(.on_unreadable = (enum pt_unreadable_pages)3), "on_unreadable");
	refused(SEND(.max_bandwidth = UINT64_MAX), "max_bandwidth");
	refused(SEND(.max_bandwidth = 65535), "max_bandwidth");
	refused(send_opened_to("", &plain), "no address");
	refused(send_opened_to("[::", &plain), "'[' without ']'");
	refused(send_opened_to("[a]:1", &plain), "not an IPv6 address");
	refused(send_opened_to("10.0.0.300", &plain), "not an IPv4 address");
	refused(send_opened_to("a:0", &plain), "the port");
	refused(SEND(.pad = true), "pad");
	refused(SEND(.pad = true, .copies = PT_CHOICE_ON), "pad");
	refused(SEND(.with_cnt = 1), "with is NULL");
	refused(SEND(.with = with, .with_cnt = 2), "with");
	refused(SEND(.with = with, .with_cnt = 1025), "with");
	refused(SEND(.name = "a/b"), "name");
	refused(SEND(.cpus = "none"), "");
	refused(SEND(.compress = (enum pt_compress)4), "compress");
	refused(SEND(.compress = PT_COMPRESS_ZSTD, .compress_level = 20),
		"compress_level");
	refused(SEND(.compress = PT_COMPRESS_LZ4, .compress_level = 1), "zstd");
	refused(SEND(.pad = true, .compress = PT_COMPRESS_LZ4), "compress");
	refused(SEND(.delta_cache = 1), "live");
	refused(RECV(.queues = 65), "queues");
	refused(RECV(.hugepages = (enum pt_pages)4), "hugepages");
	refused(RECV(.cpus = "1-"), "");
	refused(recv_opened(NULL), "NULL");

	/* Correct options are refused by the host: lo is no Ethernet device. */
	assert_int_not_equal(SEND(.mtu = 1280), 0);
	assert_int_equal(err.class_, PT_ERROR_HOST);
	assert_non_null(strstr(err.text, "lo: the loopback device"));
	assert_string_equal(err.hint, "two hosts on one machine need a veth pair");
	assert_int_not_equal(RECV(.queues = 64), 0);
	assert_int_equal(err.class_, PT_ERROR_HOST);
}

static int no_pause(void *arg)
{
	(void)arg;
	return 0;
}

static int no_throttle(uint32_t percent, void *arg)
{
	(void)percent;
	(void)arg;
	return 0;
}

static int none_changed(void (*dirty)(void *to, uint64_t gfn, uint64_t cnt),
			void *to, void *arg)
{
	(void)dirty;
	(void)to;
	(void)arg;
	return 0;
}

#define LIVE(...) SEND(.live = &(struct pt_live_send){			\
	.sz = sizeof(struct pt_live_send), .pause = no_pause, __VA_ARGS__ })
#define ARRIVES(...) RECV(.live = &(struct pt_live_recv){		\
	.sz = sizeof(struct pt_live_recv), __VA_ARGS__ })

static void live_is_checked(void **state)
{
	const struct pt_live_send plain = { .sz = sizeof(plain),
					    .pause = no_pause };
	const struct pt_live_recv run = { .sz = sizeof(run), .run = no_pause };
	const char *const paths[] = { "/etc/passwd" };
	char text[PT_LIVE_DESCRIPTION_SZ_MAX + 2];
	struct pt_source *source;
	struct pt_send *send = NULL;
	struct pt_recv *recv = NULL;
	struct pt_sink *sink;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	refused(SEND(.live = &(struct pt_live_send){ .sz = sizeof(plain) }),
		"pause");
	refused(SEND(.live = &(struct pt_live_send){ .sz = 3 }), "sz is 3");
	refused(LIVE(.downtime_limit = 60001), "downtime_limit");
	refused(LIVE(.max_rounds = 10001), "max_rounds");
	refused(LIVE(.watch = (enum pt_live_watch)3), "watch");
	refused(LIVE(.deadline = 86401), "deadline");
	refused(LIVE(.throttle = no_throttle, .stop_anyway = true), "throttle");
	refused(LIVE(.changed = none_changed, .watch = PT_LIVE_WATCH_WRITES),
		"watch");
	refused(SEND(.live = &plain, .delta_cache = (1ULL << 40) + 1),
		"delta_cache");
	refused(LIVE(.description = text), "description");
	refused(SEND(.live = &plain, .resume = true), "resume");
	refused(SEND(.live = &plain, .recheck = true), "recheck");
	refused(SEND(.live = &plain, .with = paths, .with_cnt = 1), "with");
	refused(ARRIVES(.state = NULL), "run");
	assert_int_equal(pt_source_files(&source, paths, 1, &err), 0);
	refused(pt_send_open(&send, source, "lo", "127.0.0.1",
			     &(struct pt_send_opts){
				     .sz = sizeof(struct pt_send_opts),
				     .security = &insecure, .live = &plain },
			     &err), "regions");
	assert_int_equal(pt_source_destroy(source, NULL), 0);
	assert_int_equal(pt_sink_file(&sink, "/tmp/x", NULL, &err), 0);
	refused(pt_recv_open(&recv, sink, "lo", "127.0.0.1",
			     &(struct pt_recv_opts){
				     .sz = sizeof(struct pt_recv_opts),
				     .security = &insecure, .live = &run },
			     &err), "regions");
	assert_int_equal(pt_sink_destroy(sink, NULL), 0);
	assert_int_not_equal(LIVE(.max_rounds = 10000), 0);
	assert_int_equal(err.class_, PT_ERROR_HOST);	/* lo */
	assert_int_not_equal(RECV(.live = &run), 0);
	assert_int_equal(err.class_, PT_ERROR_HOST);
}

#define SEND_BY(by) send_opened(&(struct pt_send_opts){			\
	.sz = sizeof(struct pt_send_opts), .security = (by) })
#define RECV_BY(by) recv_opened(&(struct pt_recv_opts){			\
	.sz = sizeof(struct pt_recv_opts), .security = (by) })

static void security_is_checked(void **state)
{
	const char *const peers[] = { "a", NULL };
	struct pt_security s = { .sz = sizeof(s) };

	(void)state;
	refused(SEND_BY(NULL), "security is NULL");
	refused(RECV_BY(NULL), "security is NULL");
	refused(SEND_BY(&s), "want one of");
	s.psk = "/no/key";
	assert_int_equal(SEND_BY(&s), -ENOENT);
	assert_int_equal(RECV_BY(&s), -ENOENT);
	s.insecure = true;
	refused(SEND_BY(&s), "want one of");
	s.insecure = false;
	s.tls_hostname = "b";
	refused(SEND_BY(&s), "tls_hostname");
	s = (struct pt_security){ .sz = sizeof(s), .tls_cert = "c" };
	refused(RECV_BY(&s), "go together");
	s.tls_key = s.tls_ca = "c";
	s.tls_peer_cnt = 1;
	refused(RECV_BY(&s), "tls_peer is NULL");
	s.tls_peer = peers;
	s.tls_peer_cnt = 17;
	refused(RECV_BY(&s), "17 names");
	s.tls_peer_cnt = 2;
	refused(RECV_BY(&s), "name 1 of tls_peer");
	s.tls_peer_cnt = 1;
	refused(SEND_BY(&s), "a receiver's");
	s.sz = 7;
	refused(SEND_BY(&s), "sz is 7");
}

/* sizes: an older struct is accepted, a newer one if its new fields are
 * zero. */
static void sizes_are_checked(void **state)
{
	struct {
		struct pt_send_opts opts;
		char more[8];
	} newer = { .opts = { .sz = sizeof(newer), .security = &insecure } };
	struct pt_send_opts older = {
		.sz = offsetof(struct pt_send_opts, queues),
		.security = &insecure, .queues = 65, .mtu = 1,
	};
	struct pt_status status = { .sz = sizeof(status.sz) };

	(void)state;
	assert_int_not_equal(send_opened(&newer.opts), 0);
	assert_int_equal(err.class_, PT_ERROR_HOST);
	newer.more[7] = 1;
	refused(send_opened(&newer.opts), "is not zero");
	assert_int_not_equal(send_opened(&older), 0);
	assert_int_equal(err.class_, PT_ERROR_HOST);
	older.sz = (size_t)1 << 40;
	refused(send_opened(&older), "sz is");
	refused(pt_send_status(NULL, &status, &err), "sz");
	refused(pt_send_status(NULL, NULL, &err), "NULL");
	refused(pt_recv_status(NULL, 0, &status, &err), "sz");
	status.sz = offsetof(struct pt_status, phase) - 1;
	refused(pt_send_status(NULL, &status, &err), "sz");
	status.sz++;
	refused(pt_send_status(NULL, &status, &err), "not an open sender");
}

static void too_many_are_refused(void **state)
{
	static struct pt_source *all[1024];
	const struct pt_region region = REGION(0, 0, 1);
	struct pt_source *more;

	(void)state;
	for (int i = 0; i < 1024; i++)
		all[i] = regions_source();
	refused(pt_source_regions(&more, &region, 1, &err), "1024");
	for (int i = 0; i < 1024; i++)
		assert_int_equal(pt_source_destroy(all[i], &err), 0);
}

static void *destroy_main(void *source)
{
	refused(pt_source_destroy(source, &err), "belongs to thread");
	return NULL;
}

/* The thread that stopped a process resumes it. */
static void process_is_of_its_thread(void **state)
{
	struct pt_source *source;
	pthread_t thread;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		for (;;)
			pause();
	assert_int_equal(pt_source_process(&source, pid, NULL, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, destroy_main, source), 0);
	pthread_join(thread, NULL);
	assert_int_equal(pt_source_destroy(source, &err), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_are_checked),
		cmocka_unit_test(sources_are_checked),
		cmocka_unit_test(sinks_are_checked),
		cmocka_unit_test(handles_are_checked),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(live_is_checked),
		cmocka_unit_test(security_is_checked),
		cmocka_unit_test(sizes_are_checked),
		cmocka_unit_test(too_many_are_refused),
		cmocka_unit_test(process_is_of_its_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
