// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "doctor/gather.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "base/rights.h"
#include "seal/aead.h"
#include "trim/scan.h"
#include "wire/checksum.h"
#include "xdp/cause.h"
#include "xdp/lockfile.h"
#include "xdp/program.h"

static void gather_kernel(struct pt_facts_host *h)
{
	struct utsname name;
	unsigned int major = 0, minor = 0;
	struct statfs fs;
	int fd;

	uname(&name);
	snprintf(h->release, sizeof(h->release), "%s", name.release);
	sscanf(name.release, "%u.%u", &major, &minor);
	h->kernel = PT_KERNEL(major, minor);
	h->has_btf = !access("/sys/kernel/btf/vmlinux", R_OK);
	h->has_bpffs = !statfs("/sys/fs/bpf", &fs) &&
		       fs.f_type == BPF_FS_MAGIC;
	/* The kernel checks the family before the privilege. */
	fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	h->has_af_xdp = fd >= 0 || errno != EAFNOSUPPORT;
	h->bars_sockets = fd < 0 && errno == EPERM;
	if (fd >= 0)
		close(fd);
}

bool gather_has_cap(const struct pt_facts_host *h, int cap)
{
	return h->caps >> cap & 1;
}

bool gather_can_load(const struct pt_facts_host *h)
{
	bool admin = gather_has_cap(h, CAP_SYS_ADMIN);

	return !h->is_inner && gather_has_cap(h, CAP_NET_ADMIN) &&
	       (admin || (gather_has_cap(h, CAP_BPF) &&
			  gather_has_cap(h, CAP_PERFMON)));
}

/* folder_error returns 0 if files can be made in the folder, or -errno. */
static int folder_error(const char *path)
{
	return faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) ? -errno : 0;
}

static void gather_rights(struct pt_facts_host *h)
{
	struct rlimit limit = { 0 };

	h->caps = pt_rights_held();
	h->is_inner = pt_rights_are_inner();
	getrlimit(RLIMIT_MEMLOCK, &limit);
	h->memlock_sz = limit.rlim_cur == RLIM_INFINITY ? ~0ull :
			limit.rlim_cur;
	/* The first process that needs the folder creates it. */
	h->locks = folder_error(PT_LOCKFILE_DIR);
	if (h->locks == -ENOENT)
		h->locks = folder_error("/run");
}

static void gather_bpf(struct pt_facts_host *h)
{
	char list[PT_RIGHTS_SZ], why[PT_RIGHTS_SZ + 32];
	struct pt_error err;

	if (!gather_can_load(h)) {
		pt_rights_lacking(h->is_inner ? 0 : h->caps, PT_RIGHTS_LOAD,
				  list);
		snprintf(why, sizeof(why), "%s%s", list, h->is_inner ?
			 " in the host's namespace" : "");
		gather_not_tried(&h->program, "%s", why);
		gather_not_tried(&h->dispatcher, "%s", why);
		return;
	}
	gather_try(&h->program, pt_program_try(&err), &err);
	h->dispatcher.ret = -ENOTSUP;
	if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, NULL) == 1)
		h->dispatcher.ret = 0;
}

/* read_line reads the first line of a small file; "" if it cannot be read. */
static void read_line(const char *path, char *line, size_t sz)
{
	FILE *file = fopen(path, "re");

	if (!file || !fgets(line, sz, file))
		line[0] = '\0';
	if (file)
		fclose(file);
}

static void gather_memory(struct pt_facts_host *h)
{
	unsigned long long cnt = 0;
	char line[128];

	read_line("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages",
		  line, sizeof(line));
	sscanf(line, "%llu", &cnt);
	h->huge_free_cnt = cnt;
	read_line("/sys/kernel/mm/transparent_hugepage/enabled", line,
		  sizeof(line));
	h->thp_never = strstr(line, "[never]");
}

#ifdef __x86_64__
#include <cpuid.h>

/* By CPUID, since not every compiler's __builtin_cpu_supports knows VAES. */
static void gather_aes(struct pt_facts_host *h)
{
	unsigned int eax, ebx, ecx, edx;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
		h->has_aes = ecx & bit_AES;
	if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
		h->has_vaes = h->has_aes && ecx & bit_VAES;
}
#else
#include <sys/auxv.h>

static void gather_aes(struct pt_facts_host *h)
{
#ifdef HWCAP_AES
	h->has_aes = getauxval(AT_HWCAP) & HWCAP_AES;
#else
	h->has_aes = false;
#endif
}
#endif

static void gather_cpu(struct pt_facts_host *h)
{
	const struct pt_checksum_variant *sums;
	unsigned int cnt;

	gather_aes(h);
	h->cipher = pt_cipher_choose(pt_ciphers_here());
	h->cipher_lib = pt_aead_lib_choose(h->cipher)->name;
	h->scan = pt_scan_name();
	for (int m = PT_COMPRESSION_NONE + 1; m < PT_COMPRESSION_CNT; m++)
		h->compressions |= pt_compression_is_built(m) << m;
	sums = pt_checksum_variants(&cnt);
	for (unsigned int i = 0; i < cnt; i++)
		if (sums[i].is_supported)
			h->checksum = sums[i].name;
}

void gather_host(struct pt_facts_host *h)
{
	pt_cause_begin();	/* keeps libbpf from printing */
	gather_kernel(h);
	gather_rights(h);
	gather_bpf(h);
	gather_memory(h);
	gather_cpu(h);
}
