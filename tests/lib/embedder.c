/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* embedder: a program that links libpagetrim.so, moves an image, and checks the
 * library against pagetrim.h: mistakes are refused, and the process is not
 * changed.  Built and run by tests/net/test_library.sh.
 *
 *     embedder send DEV HOST KEY IMAGE
 *     embedder receive DEV ADDR KEY IMAGE
 *
 * receive-memfd, receive-process: into a memfd, or into the memory of a child, which
 * then writes it to IMAGE.  send-zstd, send-lz4: compressed.  send-mark-mapped,
 * send-zero-mapped, send-fail-mapped: page 1 of the image, which is zero in it, cannot
 * be read; receive-mark-mapped: it comes as unreadable.
 *
 * send-mapped, receive-mapped: the same with pt_allow_sigbus, after which only
 * SIGBUS has another handler.
 *
 * It prints "ready" once a sender may connect.  Exit: 0 all held, else 1.
 */
#define _GNU_SOURCE			/* memfd_create */
#include <pagetrim/pagetrim.h>

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "poison_kit.h"

#define want(cond) do {							\
	if (!(cond)) {							\
		fprintf(stderr, "embedder: %s:%d: %s: %s\n", __FILE__,	\
			__LINE__, #cond, err.text);			\
		exit(1);						\
	}								\
} while (0)

#define refused(call) do {						\
	err.text[0] = '\0';						\
	want((call) == -EINVAL && err.code == -EINVAL &&		\
	     err.class_ == PT_ERROR_USAGE && err.text[0]);		\
} while (0)

static struct pt_error err;
static struct pt_send *sender;
static struct pt_recv *receiver;
static unsigned int event_cnt[5];
static uint64_t memory_sz;		/* that arrived */
static uint64_t unreadable_pages;	/* that are to arrive as such */

/* --- the process's state --- */

struct process {
	struct sigaction handlers[65];	/* by signal */
	sigset_t mask;
	mode_t umask;
	char folder[4096];
	libbpf_print_fn_t printer;
};

static int print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

static void look(struct process *p)
{
	memset(p, 0, sizeof(*p));
	for (int sig = 1; sig < 65; sig++)
		sigaction(sig, NULL, &p->handlers[sig]);
	pthread_sigmask(SIG_SETMASK, NULL, &p->mask);
	p->umask = umask(022);
	umask(p->umask);
	want(getcwd(p->folder, sizeof(p->folder)));
	p->printer = libbpf_set_print(print);
}

static void compare(const struct process *before, const struct process *after)
{
	strcpy(err.text, "changed");
	for (int sig = 1; sig < 65; sig++)
		if (before->handlers[sig].sa_handler !=
			    after->handlers[sig].sa_handler ||
		    before->handlers[sig].sa_flags !=
			    after->handlers[sig].sa_flags) {
			snprintf(err.text, sizeof(err.text), "signal %d", sig);
			want(!"handled as before");
		}
	want(!memcmp(&before->mask, &after->mask, sizeof(before->mask)));
	want(before->umask == after->umask);
	want(!strcmp(before->folder, after->folder));
	want(before->printer == print && after->printer == print);
}

/* look_at_threads: all threads but the first have names and block SIGTERM and
 * others. */
static void look_at_threads(void)
{
	DIR *folder = opendir("/proc/self/task");
	struct dirent *entry;

	want(folder);
	while ((entry = readdir(folder))) {
		unsigned long long blocked = 0;
		char path[300], line[128], name[64] = "";
		FILE *in;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status",
			 entry->d_name);
		in = atoi(entry->d_name) == getpid() || entry->d_name[0] == '.'
			? NULL : fopen(path, "r");
		if (!in)
			continue;
		while (fgets(line, sizeof(line), in)) {
			sscanf(line, "Name: %63s", name);
			sscanf(line, "SigBlk: %llx", &blocked);
		}
		fclose(in);
		snprintf(err.text, sizeof(err.text), "%s %llx", name, blocked);
		want(!strncmp(name, "pt-", 3));
		want(blocked >> (SIGTERM - 1) & 1);
	}
	closedir(folder);
}

/* --- mistakes, with handles that are open --- */

static void *in_another_thread(void *call)
{
	((void (*)(void))call)();
	return NULL;
}

static void elsewhere(void (*call)(void))
{
	pthread_t thread;

	want(!pthread_create(&thread, NULL, in_another_thread, (void *)call));
	pthread_join(thread, NULL);
}

static void sender_of_others(void)
{
	struct pt_status status = { .sz = sizeof(status) };

	refused(pt_send_start(sender, &err));
	refused(pt_send_step(sender, &err));
	refused(pt_send_close(sender, &err));
	want(!pt_send_status(sender, &status, &err));
	want(status.memory_sz);
}

static void receiver_of_others(void)
{
	struct pt_status status = { .sz = sizeof(status) };

	refused(pt_recv_step(receiver, &err));
	refused(pt_recv_close(receiver, &err));
	want(pt_recv_status(receiver, 0, &status, &err) == -ENOENT);
}

static void on_event(const struct pt_event *event, void *arg)
{
	want(arg == event_cnt && event->sz == sizeof(*event));
	event_cnt[event->kind]++;
	refused(pt_recv_step(receiver, &err));
	refused(pt_recv_close(receiver, &err));
	if (event->kind == PT_EVENT_OPENED || event->kind == PT_EVENT_COMMITTED)
		want(event->status->memory_sz && !event->error);
	if (event->kind == PT_EVENT_COMMITTED)
		memory_sz = event->status->memory_sz;
	if (event->kind == PT_EVENT_COMMITTED)
		want(event->status->unreadable_pages == unreadable_pages);
	if (event->kind == PT_EVENT_OPENED)
		look_at_threads();
}

/* --- memory with a page that cannot be read --- */

/* fails: it has to, and says so. */
static bool fails(char **argv) { return !strcmp(argv[1], "send-fail-mapped"); }

static enum pt_unreadable_pages treatment(char **argv)
{
	return !strncmp(argv[1], "send-mark", 9) ? PT_UNREADABLE_PAGES_MARK
		: !strncmp(argv[1], "send-zero", 9) ? PT_UNREADABLE_PAGES_ZERO
		: PT_UNREADABLE_PAGES_FAIL;
}

static struct pt_source *poisoned_source(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct pt_region all = { .name = "memory" };
	struct pt_source *source;
	struct stat st;
	char *at;

	want(fd >= 0 && !fstat(fd, &st) && st.st_size % 4096 == 0);
	at = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	want(at != MAP_FAILED && kit_poison(at + 4096, 4096));
	want(pread(fd, at, 4096, 0) == 4096);
	want(pread(fd, at + 8192, st.st_size - 8192, 8192) == st.st_size - 8192);
	close(fd);
	all.addr = at;
	all.sz = st.st_size;
	want(!pt_source_regions(&source, &all, 1, &err));
	return source;
}

static struct pt_source *make_source(char **argv)
{
	struct pt_source *source;

	if (treatment(argv) || fails(argv))
		return poisoned_source(argv[5]);
	want(!pt_source_files(&source, (const char *const[]){ argv[5] }, 1, &err));
	return source;
}

/* other_sender: a second sender of one source cannot treat its pages otherwise. */
static void other_sender(char **argv, struct pt_source *source, struct pt_send_opts opts)
{
	struct pt_send *other;

	opts.on_unreadable = (opts.on_unreadable + 1) % 3;
	refused(pt_send_open(&other, source, argv[2], argv[3], &opts, &err));
	want(strstr(err.text, "on_unreadable"));
}

/* --- the two ends --- */

static void send_image(char **argv, const struct pt_security *security)
{
	const struct pt_send_opts opts = {
		.sz = sizeof(opts), .security = security,
		.compress = !strcmp(argv[1], "send-zstd") ? PT_COMPRESS_ZSTD
			: !strcmp(argv[1], "send-lz4") ? PT_COMPRESS_LZ4
			: PT_COMPRESS_AUTO,
		.on_unreadable = treatment(argv),
	};
	struct pollfd fd = { .events = POLLIN };
	struct pt_status status = { .sz = sizeof(status) };
	struct pt_source *source = make_source(argv);
	int ret;

	want(!pt_send_open(&sender, source, argv[2], argv[3], &opts, &err));
	other_sender(argv, source, opts);
	refused(pt_source_destroy(source, &err));
	refused(pt_send_step(sender, &err));
	refused(pt_recv_step((struct pt_recv *)sender, &err));
	want(!pt_send_start(sender, &err));
	refused(pt_send_start(sender, &err));
	fd.fd = pt_send_fd(sender, &err);
	want(fd.fd >= 0);
	elsewhere(sender_of_others);
	do {
		poll(&fd, 1, -1);
		ret = pt_send_step(sender, &err);
		look_at_threads();
	} while (ret > 0);
	want(ret == (fails(argv) ? -EIO : 0));
	want(!pt_send_status(sender, &status, &err));
	want(fails(argv) || (status.phase == PT_PHASE_DONE && !status.left_sz));
	want(status.unreadable_pages == (opts.on_unreadable == PT_UNREADABLE_PAGES_MARK));
	want(status.zeroed_pages == (opts.on_unreadable == PT_UNREADABLE_PAGES_ZERO));
	want(!pt_send_close(sender, &err));
	refused(pt_send_close(sender, &err));
	refused(pt_send_step(sender, &err));
	refused(pt_send_cancel(sender, &err));
	refused(pt_send_status(sender, &status, &err));
	want(!pt_source_destroy(source, &err));
	refused(pt_source_destroy(source, &err));
}

/* --- memory that is not the receiver's own --- */

#define MEMORY_SZ	(64UL << 20)	/* of the child; more than is sent */

static int memfd = -1, child_pipe[2];
static pid_t child;
static char *memory;

static void save(const char *path, const void *bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	want(fd >= 0 && write(fd, bytes, memory_sz) == (ssize_t)memory_sz);
	close(fd);
}

/* start_child: its memory is a copy, which this process does not see.  It saves
 * it once it is told the size. */
static void start_child(const char *path)
{
	memory = mmap(NULL, MEMORY_SZ, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	want(memory != MAP_FAILED && !pipe(child_pipe));
	child = fork();
	if (child)
		return;
	close(child_pipe[1]);
	if (read(child_pipe[0], &memory_sz, sizeof(memory_sz)) !=
	    sizeof(memory_sz))
		_exit(1);
	save(path, memory);
	_exit(0);
}

static struct pt_sink *make_sink(char **argv)
{
	struct pt_region all = { .sz = MEMORY_SZ };
	struct pt_sink *sink;

	if (!strcmp(argv[1], "receive-memfd")) {
		memfd = memfd_create("memory", 0);
		want(!pt_sink_memfd(&sink, memfd, &err));
	} else if (!strcmp(argv[1], "receive-process")) {
		start_child(argv[5]);
		all.addr = memory;
		want(!pt_sink_process(&sink, child, &all, 1, true, &err));
	} else {
		want(!pt_sink_file(&sink, argv[5], NULL, &err));
	}
	return sink;
}

/* save_sink: the sink is destroyed, and the memory is still there. */
static void save_sink(char **argv)
{
	int status = -1;

	if (memfd >= 0)
		save(argv[5], mmap(NULL, memory_sz, PROT_READ, MAP_SHARED, memfd,
				   0));
	if (!child)
		return;
	want(!memory[0]);
	want(write(child_pipe[1], &memory_sz, sizeof(memory_sz)) ==
	     sizeof(memory_sz));
	want(waitpid(child, &status, 0) == child && !status);
}

static void receive_image(char **argv, const struct pt_security *security)
{
	const struct pt_recv_opts opts = {
		.sz = sizeof(opts), .security = security,
		.event = on_event, .arg = event_cnt,
	};
	struct pollfd fd = { .events = POLLIN };
	struct pt_recv *second;
	struct pt_sink *sink = make_sink(argv);
	int ret;

	unreadable_pages = !strncmp(argv[1], "receive-mark", 12);
	want(!pt_recv_open(&receiver, sink, argv[2], argv[3], &opts, &err));
	refused(pt_sink_destroy(sink, &err));
	refused(pt_recv_open(&second, sink, argv[2], argv[3], &opts, &err));
	refused(pt_recv_step(receiver, &err));
	want(!pt_recv_start(receiver, &err));
	refused(pt_recv_start(receiver, &err));
	elsewhere(receiver_of_others);
	puts("ready");
	fflush(stdout);
	fd.fd = pt_recv_fd(receiver, &err);
	do {
		poll(&fd, 1, -1);
		ret = pt_recv_step(receiver, &err);
	} while (ret > 0);
	want(ret == 0);
	want(event_cnt[PT_EVENT_OPENED] == 1 &&
	     event_cnt[PT_EVENT_COMMITTED] == 1 && !event_cnt[PT_EVENT_FAILED]);
	want(!pt_recv_close(receiver, &err));
	refused(pt_recv_close(receiver, &err));
	want(!pt_sink_destroy(sink, &err));
	save_sink(argv);
}

/* take_sigbus accepts the new handler, and no other change from here on. */
static void take_sigbus(struct process *before, const struct process *after)
{
	strcpy(err.text, "SIGBUS is handled as before");
	want(before->handlers[SIGBUS].sa_handler !=
	     after->handlers[SIGBUS].sa_handler);
	before->handlers[SIGBUS] = after->handlers[SIGBUS];
}

int main(int argc, char **argv)
{
	static struct process before, after;
	struct pt_security security = { .sz = sizeof(security) };

	if (argc != 6)
		return 2;
	security.psk = argv[4];
	libbpf_set_print(print);
	look(&before);
	if (strstr(argv[1], "-mapped"))
		pt_allow_sigbus();
	if (!strncmp(argv[1], "send", 4))
		send_image(argv, &security);
	else
		receive_image(argv, &security);
	look(&after);
	if (strstr(argv[1], "-mapped"))
		take_sigbus(&before, &after);
	compare(&before, &after);
	return 0;
}
