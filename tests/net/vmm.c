// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* vmm: a peer of 'pagetrim serve', written from the public description of Firecracker's
 * page fault handling: memory without content, a userfaultfd, and one message.  Then it
 * is the guest: threads read all of the memory and compare it with the raw image, while
 * a balloon gives ranges away.
 *
 *     vmm SOCKET IMAGE [OPTION...]
 *
 *     threads=N    readers (4)           remove=N     ranges that are given away (0)
 *     regions=N    of the memory (2)     pause=US     of a reader between pages (0)
 *     huge=1       pages of 2 MiB        close=1      close our own descriptor
 *     touch=N      pages to read, then wait for the file GO (all at once)
 *     churn=N      threads only touch a page of their own and give it away, N times
 *     kib=1        page_size_kib, not page_size
 *     message=TEXT send that             fds=N        that many descriptors (1)
 *     other=1      no userfaultfd, but /dev/null
 *     hold=FIFO    connect, print "connected", and send once FIFO was written
 *     go=1         is the guest whatever was sent
 *     launcher=1   another process connects and sends, and ends
 *     shared=1     memory of a memfd
 *     mapper=1     a child has it mapped, too; mapper=2: we have, twice
 *     forks=1      asks for events of children, too
 *
 * Prints "sent", "touched N", and at the end "right: N pages, N removed, N errors",
 * where errors are memory errors (SIGBUS), or "WRONG: ..." for the first page that is
 * neither as in the image nor given away.  Exit: 0 right, 1 wrong, 2 it could not begin.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE		4096UL
#define RANGES_MAX	256
#define REGIONS_MAX	16
#define HUGE_SZ		(2UL << 20)

static struct {
	const char *socket, *image;
	unsigned long threads, remove, regions, pause, huge, close, touch, kib, fds,
		      other, churn, go, launcher, shared, mapper, forks;
	const char *message, *hold;
} opt = { .threads = 4, .regions = 2, .fds = 1 };

static const unsigned char *image;	/* raw, mapped */
static unsigned char *memory[REGIONS_MAX];
static unsigned long sz, region_sz, page_sz = PAGE;

/* A range that is given away, and how far that is. */
enum { THERE, GOES, GONE };
static struct range {
	unsigned long off, sz;
	atomic_int state;
} ranges[RANGES_MAX];

static atomic_ulong page_cnt, error_cnt;
static atomic_bool is_wrong;
static __thread sigjmp_buf bus;
static __thread volatile bool may_fail;

static void on_bus(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	if (!may_fail)
		_exit(3);
	siglongjmp(bus, 1);
}

static unsigned char *at(unsigned long off)
{
	return memory[off / region_sz] + off % region_sz;
}

static int state_of(unsigned long off)
{
	for (unsigned long i = 0; i < opt.remove; i++)
		if (off - ranges[i].off < ranges[i].sz)
			return atomic_load(&ranges[i].state);
	return THERE;
}

static bool is_zero(const unsigned char *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

/* check reads one page. */
static void check(unsigned long off)
{
	unsigned char copy[PAGE];
	volatile int before = state_of(off);
	int after;
	bool is_same;

	may_fail = true;
	if (sigsetjmp(bus, 1)) {
		may_fail = false;
		atomic_fetch_add(&error_cnt, 1);
		return;
	}
	memcpy(copy, at(off), PAGE);
	may_fail = false;
	after = state_of(off);
	is_same = !memcmp(copy, image + off, PAGE);
	atomic_fetch_add(&page_cnt, 1);
	if ((before == GONE && !is_zero(copy)) || (after == THERE && !is_same) ||
	    (before == after && !is_same && !is_zero(copy)))
		if (!atomic_exchange(&is_wrong, true))
			printf("WRONG: page %lu, %s, state %d to %d\n", off / PAGE,
			       is_zero(copy) ? "zero" : "other bytes", before, after);
}

/* reader visits every page once, each thread in an order of its own. */
static void *reader(void *arg)
{
	unsigned long cnt = sz / PAGE, own = (unsigned long)arg;
	unsigned long step = 7919 + 2 * own, i = own * 977 % cnt;

	while (cnt % step == 0)
		step += 2;
	if (step % 2 == 0)
		step++;
	for (unsigned long n = 0; n < cnt; n++, i = (i + step) % cnt) {
		check(i * PAGE);
		if (opt.pause)
			usleep(opt.pause);
	}
	return NULL;
}

static void *balloon(void *arg)
{
	(void)arg;
	for (unsigned long i = 0; i < opt.remove; i++) {
		atomic_store(&ranges[i].state, GOES);
		/* MADV_DONTNEED takes nothing from a file. */
		if (madvise(at(ranges[i].off), ranges[i].sz,
			    opt.shared ? MADV_REMOVE : MADV_DONTNEED))
			err(2, "madvise");
		atomic_store(&ranges[i].state, GONE);
		usleep(opt.pause ? opt.pause : 200);
	}
	return NULL;
}

/* churner's page is as in the image once, and then zero. */
static void *churner(void *arg)
{
	unsigned long off = (unsigned long)arg * (sz / PAGE / opt.threads) * PAGE;
	unsigned char *page = at(off);

	for (unsigned long n = 0; n < opt.churn; n++) {
		if (n ? !is_zero(page) : memcmp(page, image + off, PAGE) != 0)
			if (!atomic_exchange(&is_wrong, true))
				printf("WRONG: page %lu, round %lu\n", off / PAGE, n);
		if (madvise(page, PAGE, MADV_DONTNEED))
			err(2, "madvise");
		atomic_fetch_add(&page_cnt, 1);
	}
	return NULL;
}

/* choose spreads the ranges, which do not overlap. */
static void choose(void)
{
	unsigned long part = opt.remove ? sz / opt.remove / page_sz * page_sz : 0;

	for (unsigned long i = 0; i < opt.remove; i++) {
		unsigned long pages = part / page_sz;

		ranges[i].off = i * part + (i * 7 % (pages / 2 + 1)) * page_sz;
		ranges[i].sz = (1 + i * 13 % ((pages + 1) / 2)) * page_sz;
		if (ranges[i].off % region_sz + ranges[i].sz > region_sz)
			ranges[i].sz = region_sz - ranges[i].off % region_sz;
	}
}

/* map_again: a mapping of the memfd that no userfaultfd knows. */
static void map_again(int memfd)
{
	pid_t parent = getpid();

	if (mmap(NULL, region_sz, PROT_READ, MAP_SHARED, memfd, 0) == MAP_FAILED)
		err(2, "mmap");
	if (opt.mapper == 2 || fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		pause();
	_exit(0);
}

static int make_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features =
		(opt.remove || opt.churn ? UFFD_FEATURE_EVENT_REMOVE : 0) |
		(opt.forks ? UFFD_FEATURE_EVENT_FORK : 0) };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), memfd = -1;

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		err(2, "userfaultfd");
	if (opt.shared) {
		memfd = memfd_create("guest", MFD_CLOEXEC);
		if (memfd < 0 || ftruncate(memfd, sz))
			err(2, "memfd");
	}
	for (unsigned long i = 0; i < opt.regions; i++) {
		struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

		memory[i] = mmap(NULL, region_sz, PROT_READ | PROT_WRITE,
				 opt.shared ? MAP_SHARED :
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
				 (opt.huge ? MAP_HUGETLB : 0), memfd, i * region_sz);
		if (memory[i] == MAP_FAILED)
			err(2, "mmap");
		reg.range.start = (unsigned long)memory[i];
		reg.range.len = region_sz;
		if (ioctl(fd, UFFDIO_REGISTER, &reg))
			err(2, "UFFDIO_REGISTER");
	}
	if (opt.mapper)
		map_again(memfd);
	return fd;
}

static void write_message(char *text)
{
	char *to = text;

	for (unsigned long i = 0; i < opt.regions; i++)
		to += sprintf(to, "%c{\"base_host_virt_addr\": %lu, \"size\": %lu, "
			      "\"offset\": %lu, \"%s\": %lu}", i ? ',' : '[',
			      (unsigned long)memory[i], region_sz, i * region_sz,
			      opt.kib ? "page_size_kib" : "page_size",
			      opt.kib ? page_sz / 1024 : page_sz);
	strcpy(to, "]");
}

static void send_it(int uffd)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char text[8192], control[CMSG_SPACE(8 * sizeof(int))] = { 0 };
	struct iovec part = { .iov_base = text };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(to.sun_path, opt.socket, sizeof(to.sun_path) - 1);
	for (int i = 0; connect(fd, (struct sockaddr *)&to, sizeof(to)); i++) {
		if (i == 500)
			err(2, "%s", opt.socket);
		usleep(10000);
	}
	if (opt.hold) {
		puts("connected");
		close(open(opt.hold, O_RDONLY));	/* waits for its writer */
	}
	write_message(text);
	if (opt.message)
		strncpy(text, opt.message, sizeof(text) - 1);
	part.iov_len = strlen(text);
	if (opt.fds) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(opt.fds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(opt.fds * sizeof(int));
		for (unsigned long i = 0; i < opt.fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &uffd, sizeof(int));
	}
	if (sendmsg(fd, &m, 0) < 0)
		err(2, "sendmsg");
	close(fd);
}

/* launch: a process that is not the one whose memory it is hands that over. */
static void launch(int uffd)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		send_it(uffd);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		errx(2, "launcher");
}

static void parse(int argc, char **argv)
{
	static const struct { const char *name; unsigned long *to; } numbers[] = {
		{ "threads", &opt.threads }, { "remove", &opt.remove },
		{ "regions", &opt.regions }, { "pause", &opt.pause },
		{ "huge", &opt.huge }, { "close", &opt.close },
		{ "touch", &opt.touch }, { "kib", &opt.kib }, { "fds", &opt.fds },
		{ "other", &opt.other }, { "churn", &opt.churn },
		{ "go", &opt.go }, { "launcher", &opt.launcher },
		{ "shared", &opt.shared }, { "mapper", &opt.mapper },
		{ "forks", &opt.forks },
	};

	if (argc < 3)
		errx(2, "usage: vmm SOCKET IMAGE [OPTION=VALUE...]");
	opt.socket = argv[1];
	opt.image = argv[2];
	for (int i = 3; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value) {
			errx(2, "%s", argv[i]);
			return;		/* cppcheck does not know errx */
		}
		*value++ = '\0';
		if (!strcmp(argv[i], "message"))
			opt.message = value;
		if (!strcmp(argv[i], "hold"))
			opt.hold = value;
		for (size_t k = 0; k < sizeof(numbers) / sizeof(*numbers); k++)
			if (!strcmp(argv[i], numbers[k].name))
				*numbers[k].to = strtoul(value, NULL, 10);
	}
}

static void map_image(void)
{
	int fd = open(opt.image, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		err(2, "%s", opt.image);
	page_sz = opt.huge ? HUGE_SZ : PAGE;
	region_sz = st.st_size / opt.regions / page_sz * page_sz;
	sz = region_sz * opt.regions;
	image = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image == MAP_FAILED || !sz)
		err(2, "mmap %s", opt.image);
	close(fd);
}

static void guest(void)
{
	pthread_t threads[64], other;
	unsigned long removed = 0;

	for (unsigned long i = 0; i < opt.touch; i++)
		check(i * 37 % (sz / PAGE) * PAGE);
	printf("touched %lu\n", opt.touch);
	while (opt.touch && access("GO", F_OK))
		usleep(2000);
	atomic_store(&page_cnt, 0);
	for (unsigned long i = 0; i < opt.threads; i++)
		pthread_create(&threads[i], NULL, opt.churn ? churner : reader,
			       (void *)i);
	pthread_create(&other, NULL, balloon, NULL);
	for (unsigned long i = 0; i < opt.threads; i++)
		pthread_join(threads[i], NULL);
	pthread_join(other, NULL);
	/* All once more, now that nothing changes. */
	for (unsigned long off = 0; off < sz && !opt.churn; off += PAGE) {
		check(off);
		removed += state_of(off) == GONE;
	}
	if (!atomic_load(&is_wrong))
		printf("right: %lu pages, %lu removed, %lu errors\n",
		       atomic_load(&page_cnt), removed, atomic_load(&error_cnt));
}

int main(int argc, char **argv)
{
	const struct sigaction bus_action = {
		.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO,
	};
	int uffd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	if (opt.threads > 64 || opt.remove > RANGES_MAX || opt.regions > REGIONS_MAX ||
	    opt.fds > 8)
		errx(2, "too many");
	map_image();
	uffd = make_uffd();
	choose();
	sigaction(SIGBUS, &bus_action, NULL);
	if (opt.launcher)
		launch(uffd);
	else
		send_it(opt.other ? open("/dev/null", O_RDONLY) : uffd);
	puts("sent");
	if ((opt.message || opt.fds != 1 || opt.other) && !opt.go)
		return 0;
	if (opt.close)
		close(uffd);
	guest();
	return atomic_load(&is_wrong);
}
