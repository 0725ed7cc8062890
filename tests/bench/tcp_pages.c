// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* tcp_pages: a memory image over one TCP connection, whole zero pages left out:
 * what a careful engineer writes in a day, and so the peer to be measured by.
 *
 *	tcp_pages receive ADDRESS PORT FILE
 *	tcp_pages send ADDRESS PORT FILE
 *
 *     sender                                       receiver
 *     holes: SEEK_DATA, never read
 *     zero pages: found, left out
 *     run of pages ---{offset, length}, bytes---> FILE, empty before
 *     offset = its size, length 0 --------------> ftruncate
 *                       <------- one byte: all is written
 *
 * Tried, and slower or no faster: sendfile (nothing is copied on sending, but
 * the receiver then finds all of it cold), receiving into a mapping of FILE,
 * populating the mappings first, waiting for full buffers, socket buffers of
 * 0.5 to 4 MiB or the kernel's own choice, runs of 0.5 to 4 MiB.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <time.h>
#include <unistd.h>

#define PAGE_SZ		4096u
#define RUN_SZ_MAX	(4u << 20)	/* bytes of memory a run */
#define IOV_CNT		512		/* runs' heads and bytes a writev */
#define SOCKET_BUF_SZ	(1 << 20)
#define RECEIVE_SZ	(512u << 10)	/* stays in the L2 cache */

struct run {
	uint64_t off, sz;	/* host order: both ends are one machine */
};

static __attribute__((noreturn)) void die(const char *what)
{
	fprintf(stderr, "tcp_pages: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* ------------------------------------------------------------- sending */

struct sender {
	int sock;
	const uint8_t *memory;
	struct run runs[IOV_CNT / 2];
	struct iovec iov[IOV_CNT];
	int run_cnt;
	uint64_t page_cnt;	/* sent */
};

static bool page_is_zero(const uint8_t *page)
{
	const uint64_t *word = (const void *)page;

	/* Most pages with data show it at once. */
	if (word[0] | word[PAGE_SZ / 16] | word[PAGE_SZ / 8 - 1])
		return false;
	for (unsigned int i = 0; i < PAGE_SZ / 8; i += 32) {
		uint64_t any = 0;

		for (unsigned int j = 0; j < 32; j++)
			any |= word[i + j];
		if (any)
			return false;
	}
	return true;
}

static void write_all(int sock, struct iovec *iov, int cnt)
{
	while (cnt) {
		ssize_t n = writev(sock, iov, cnt);

		if (n < 0)
			die("writev");
		while (cnt && (size_t)n >= iov->iov_len) {
			n -= iov->iov_len;
			iov++;
			cnt--;
		}
		if (cnt) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= n;
		}
	}
}

static void flush_runs(struct sender *s)
{
	for (int i = 0; i < s->run_cnt; i++) {
		struct run *r = &s->runs[i];

		s->iov[2 * i] = (struct iovec){ r, sizeof(*r) };
		s->iov[2 * i + 1] = (struct iovec){
			(void *)(s->memory + r->off), r->sz };
	}
	write_all(s->sock, s->iov, 2 * s->run_cnt);
	s->run_cnt = 0;
}

static void add_page(struct sender *s, uint64_t off)
{
	struct run *last = s->run_cnt ? &s->runs[s->run_cnt - 1] : NULL;

	s->page_cnt++;
	if (last && last->off + last->sz == off && last->sz < RUN_SZ_MAX) {
		last->sz += PAGE_SZ;
		return;
	}
	if (s->run_cnt == IOV_CNT / 2)
		flush_runs(s);
	s->runs[s->run_cnt++] = (struct run){ off, PAGE_SZ };
}

static void send_extent(struct sender *s, uint64_t off, uint64_t end)
{
	while (off < end) {
		uint64_t stop = off + RUN_SZ_MAX < end ? off + RUN_SZ_MAX : end;

		for (; off < stop; off += PAGE_SZ)
			if (!page_is_zero(s->memory + off))
				add_page(s, off);
		flush_runs(s);	/* while they are in the cache */
	}
}

static int connect_to(const struct sockaddr_in *addr)
{
	int one = 1, sz = SOCKET_BUF_SZ;
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		die("socket");
	setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &sz, sizeof(sz));
	if (connect(sock, (const void *)addr, sizeof(*addr)))
		die("connect");
	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return sock;
}

static int send_file(const struct sockaddr_in *addr, const char *path)
{
	static struct sender s;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	double start = now_s();
	struct stat st;
	off_t off = 0;
	char done;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	s.memory = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (s.memory == MAP_FAILED)
		die("mmap");
	s.sock = connect_to(addr);
	while ((off = lseek(fd, off, SEEK_DATA)) >= 0) {
		off_t end = lseek(fd, off, SEEK_HOLE);

		send_extent(&s, off, end);
		off = end;
	}
	s.runs[s.run_cnt++] = (struct run){ st.st_size, 0 };
	flush_runs(&s);
	if (read(s.sock, &done, 1) != 1)
		die("the receiver gave up");
	printf("{\"seconds\": %.6f, \"pages\": %llu, \"bytes\": %llu}\n",
	       now_s() - start, (unsigned long long)s.page_cnt,
	       (unsigned long long)s.page_cnt * PAGE_SZ);
	return 0;
}

/* ------------------------------------------------------------ receiving */

static int accept_one(const struct sockaddr_in *addr)
{
	int one = 1, sz = SOCKET_BUF_SZ, sock;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0)
		die("socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(listener, SOL_SOCKET, SO_RCVBUFFORCE, &sz, sizeof(sz));
	if (bind(listener, (const void *)addr, sizeof(*addr)) ||
	    listen(listener, 1))
		die("listen");
	sock = accept(listener, NULL, NULL);
	if (sock < 0)
		die("accept");
	return sock;
}

static void receive_run(int sock, int fd, uint8_t *buf, const struct run *r)
{
	uint64_t done = 0;

	while (done < r->sz) {
		uint64_t left = r->sz - done;
		ssize_t n = recv(sock, buf,
				 left < RECEIVE_SZ ? left : RECEIVE_SZ, 0);

		if (n <= 0)
			die("the sender gave up");
		if (pwrite(fd, buf, n, r->off + done) != n)
			die("pwrite");
		done += n;
	}
}

static int receive_file(const struct sockaddr_in *addr, const char *path)
{
	static uint8_t buf[RECEIVE_SZ] __attribute__((aligned(4096)));
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct run r;
	int sock;

	if (fd < 0)
		die(path);
	sock = accept_one(addr);
	do {
		if (recv(sock, &r, sizeof(r), MSG_WAITALL) != sizeof(r))
			die("the sender gave up");
		receive_run(sock, fd, buf, &r);
	} while (r.sz);
	if (ftruncate(fd, r.off))
		die(path);
	if (write(sock, "", 1) != 1)
		die("the sender is gone");
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };

	if (argc == 5 && inet_pton(AF_INET, argv[2], &addr.sin_addr) == 1) {
		addr.sin_port = htons((uint16_t)atoi(argv[3]));
		if (!strcmp(argv[1], "receive"))
			return receive_file(&addr, argv[4]);
		if (!strcmp(argv[1], "send"))
			return send_file(&addr, argv[4]);
	}
	fprintf(stderr, "Usage: tcp_pages receive|send ADDRESS PORT FILE\n");
	return 2;
}
