// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* probe: prints what this machine, or the emulator of one, lacks of Linux.  Each
 * line is the name of a need, as tests/cross/known.txt has it, and why.
 *
 *	probe	exit 0; root, in a session of its own */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static bool has_call(long number)
{
	return syscall(number, -1, 0, 0, 0, 0) >= 0 || errno != ENOSYS;
}

static bool has_ptrace(void)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool has_userfaultfd(void)
{
	return has_call(SYS_userfaultfd);
}

static bool has_seccomp(void)
{
	return has_call(SYS_seccomp);
}

static bool has_bpf(void)
{
	return has_call(SYS_bpf);
}

static bool has_subreaper(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

/* A file of /proc says at once, by the kernel's own code, that it knows no such
 * request. */
static bool has_ioctl(void)
{
	int fd = open("/proc/1/maps", O_RDONLY | O_CLOEXEC);

	return ioctl(fd, _IO('?', 99), 0) < 0 && errno == ENOTTY;
}

/* A file of mappings that is open shows what is mapped later. */
static bool has_maps(void)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	FILE *in = fdopen(fd, "r");
	char line[512];
	void *at = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);

	while (in && fgets(line, sizeof(line), in))
		if (strtoull(line, NULL, 16) == (uintptr_t)at)
			return true;
	return false;
}

/* Numbers in files of /proc are in the machine's byte order: the highest bit is set
 * for each page that is there. */
static bool has_pagemap(void)
{
	static char touched[64][PAGE];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (uintptr_t)touched / PAGE * sizeof(__u64);
	__u64 words[63];

	memset(touched, 1, sizeof(touched));
	if (pread(fd, words, sizeof(words), at + sizeof(__u64)) != sizeof(words))
		return false;
	for (int i = 0; i < 63; i++)
		if (!(words[i] >> 63))
			return false;
	return true;
}

/* A process has the threads that it has started, and no more. */
static bool has_one_thread(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) == 0 && st.st_nlink == 3;
}

/* An emulator is known by its thread. */
static bool has_speed(void)
{
	return has_one_thread();
}

/* The kernel refuses an advice that it does not know. */
static bool has_madvise(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	return madvise(page, PAGE, 12345) != 0;
}

static bool has_hugetlb(void)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	void *map;

	if (fd < 0 || ftruncate(fd, 4 << 20))
		return false;
	map = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_NORESERVE, fd, 0);
	return map != MAP_FAILED;
}

static bool has_ethtool(void)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { .ifr_name = "lo", .ifr_data = (void *)&info };
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return ioctl(sock, SIOCETHTOOL, &request) == 0 || errno == EOPNOTSUPP;
}

/* --- a fault in a page beyond its file's end --- */

static sigjmp_buf faulted;
static volatile bool is_told_well;
static char *page;

static void on_sigbus(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	is_told_well = info->si_code == BUS_ADRERR && info->si_addr == page;
	siglongjmp(faulted, 1);
}

static bool has_sigbus(void)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER,
	};
	int fd = memfd_create("short", MFD_CLOEXEC);

	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	sigaction(SIGBUS, &action, NULL);
	if (!sigsetjmp(faulted, 1))
		(void)*(volatile char *)page;
	return is_told_well;
}

/* --- netlink --- */

static char answer[65536];

/* dump asks for all of a kind; returns the bytes of the first answer. */
static ssize_t dump(int type, int family)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg body;
	} ask = {
		.header = {
			.nlmsg_len = sizeof(ask), .nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.body = { .rtm_family = family },
	};
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t sz = -1;

	if (send(sock, &ask, sizeof(ask), 0) == sizeof(ask))
		sz = recv(sock, answer, sizeof(answer), 0);
	close(sock);
	return sz;
}

static bool has_neighbours(void)
{
	const struct nlmsghdr *first = (void *)answer;

	return dump(RTM_GETNEIGH, AF_INET) > 0 &&
	       first->nlmsg_type != NLMSG_ERROR;
}

/* Numbers in attributes of attributes are in the machine's byte order. */
static bool has_metrics(void)
{
	ssize_t sz = dump(RTM_GETROUTE, AF_INET);
	struct nlmsghdr *h = (void *)answer;

	for (; sz > 0 && NLMSG_OK(h, sz); h = NLMSG_NEXT(h, sz)) {
		struct rtattr *a = RTM_RTA(NLMSG_DATA(h));
		int left = RTM_PAYLOAD(h);

		for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
			struct rtattr *metric = RTA_DATA(a);

			if (a->rta_type == RTA_METRICS)
				return metric->rta_type == RTAX_MTU &&
				       *(__u32 *)RTA_DATA(metric) == 1400;
		}
	}
	return false;
}

static const struct {
	const char *name;
	bool (*has)(void);
	const char *lack;
} needs[] = {
	{ "ptrace", has_ptrace, "no ptrace" },
	{ "userfaultfd", has_userfaultfd, "no userfaultfd" },
	{ "seccomp", has_seccomp, "no seccomp" },
	{ "bpf", has_bpf, "no bpf" },
	{ "subreaper", has_subreaper, "orphans cannot be adopted" },
	{ "ioctl", has_ioctl, "an unknown ioctl gives ENOSYS, not ENOTTY" },
	{ "maps", has_maps, "/proc/self/maps is of the time of its opening" },
	{ "pagemap", has_pagemap, "/proc/PID/pagemap is not in its byte order" },
	{ "thread", has_one_thread, "a process has a thread of the emulator's" },
	{ "speed", has_speed, "takes too long when it is emulated" },
	{ "madvise", has_madvise, "madvise does nothing, and says that it did" },
	{ "hugetlb", has_hugetlb, "no mapping of huge pages" },
	{ "ethtool", has_ethtool, "no ethtool's ioctl" },
	{ "sigbus", has_sigbus, "SIGBUS does not tell the address" },
	{ "neighbours", has_neighbours, "no neighbours by netlink" },
	{ "metrics", has_metrics,
	  "netlink's nested attributes are not in its byte order" },
};

int main(void)
{
	if (unshare(CLONE_NEWNET) ||
	    system("ip link set lo up && ip route add 10.8.0.0/16 dev lo mtu 1400"))
		return 1;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (!needs[i].has())
			printf("%s %s\n", needs[i].name, needs[i].lack);
	return 0;
}
