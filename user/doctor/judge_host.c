// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "doctor/judge.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "base/rights.h"
#include "xdp/lockfile.h"

#define KERNEL_MIN	PT_KERNEL(6, 1)
#define BIT(n)		(1ull << (n))

static void judge_kernel(struct pt_findings *f, const struct pt_facts_host *h)
{
	pt_findings_add(f, h->kernel < KERNEL_MIN ? PT_FOUND_KERNEL_OLD :
			PT_FOUND_KERNEL, "%s", h->release);
	if (h->kernel < PT_TX_BUDGET_KERNEL)
		pt_findings_add(f, PT_FOUND_TX_BUDGET, "%s", h->release);
	pt_findings_say(f, h->has_btf ? PT_FOUND_BTF : PT_FOUND_BTF_NONE);
	pt_findings_say(f, h->has_af_xdp ? PT_FOUND_AF_XDP :
			PT_FOUND_AF_XDP_NONE);
	pt_findings_say(f, h->has_bpffs ? PT_FOUND_BPFFS :
			PT_FOUND_BPFFS_NONE);
}

/* needed_to_receive: a pinned program that this user could open takes a socket
 * and no more; any other program must be found by its number first. */
static __u64 needed_to_receive(const struct pt_facts *facts)
{
	const struct pt_facts_xdp *x = &facts->xdp;
	__u64 want = BIT(CAP_NET_RAW);

	if (x->ours && x->pinned)
		return want;
	want |= PT_RIGHTS_LOAD;
	return x->prog_id ? want | BIT(CAP_SYS_ADMIN) : want;
}

static void judge_caps(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_host *h = &facts->host;
	const __u64 send = BIT(CAP_NET_RAW), receive = needed_to_receive(facts);
	char list[PT_RIGHTS_SZ];

	if (pt_rights_lacking(h->caps, f->to ? send : receive, list)[0])
		pt_findings_add(f, PT_FOUND_CAPS_NONE, "%s", list);
	else if (h->bars_sockets)
		pt_findings_say(f, PT_FOUND_CAPS_NETWORK);
	else if (h->is_inner && receive != send)
		pt_findings_say(f, PT_FOUND_CAPS_INNER);
	else if (f->to && pt_rights_lacking(h->caps, receive, list)[0])
		pt_findings_add(f, PT_FOUND_CAPS_RECEIVE, "%s", list);
	else
		pt_findings_say(f, PT_FOUND_CAPS);
	if (pt_rights_lacking(h->caps, BIT(CAP_SYS_PTRACE), list)[0])
		pt_findings_add(f, PT_FOUND_CAPS_PID, "%s", list);
}

static void judge_locks(struct pt_findings *f, const struct pt_facts *facts)
{
	int ret = facts->host.locks;

	if (!ret || facts->xdp.is_given)
		pt_findings_add(f, PT_FOUND_LOCKS, "%s", PT_LOCKFILE_DIR);
	else if (ret == -EROFS)
		pt_findings_add(f, PT_FOUND_LOCKS_READONLY, "%s",
				PT_LOCKFILE_DIR);
	else
		pt_findings_add(f, PT_FOUND_LOCKS_NONE, "%s: %s",
				PT_LOCKFILE_DIR, strerror(-ret));
}

static void judge_memlock(struct pt_findings *f, const struct pt_facts *facts)
{
	const struct pt_facts_host *h = &facts->host;
	__u64 queues = h->memlock_sz / PT_QUEUE_MEMORY_SZ;

	if (h->caps & BIT(CAP_IPC_LOCK) && !h->is_inner)
		pt_findings_add(f, PT_FOUND_MEMLOCK, "any, by CAP_IPC_LOCK");
	else if (h->memlock_sz == ~0ull)
		pt_findings_add(f, PT_FOUND_MEMLOCK, "any");
	else if (!queues)
		pt_findings_add_number(f, PT_FOUND_MEMLOCK_NONE,
				       h->memlock_sz / 1024);
	else if (!facts->device.found.ret &&
		 queues < facts->device.dev.rx_queue_cnt)
		pt_findings_add_number(f, PT_FOUND_MEMLOCK_FEW, queues);
	else
		pt_findings_add(f, PT_FOUND_MEMLOCK, "%llu MiB",
				(unsigned long long)h->memlock_sz >> 20);
}

static void judge_program(struct pt_findings *f, const struct pt_facts_host *h)
{
	if (h->program.ret == PT_NOT_TRIED)
		pt_findings_add(f, PT_FOUND_PROGRAM_UNSEEN, "%s",
				h->program.why);
	else if (h->program.ret)
		pt_findings_add(f, PT_FOUND_PROGRAM_REFUSED, "%s",
				h->program.why);
	else
		pt_findings_say(f, PT_FOUND_PROGRAM);
	if (h->dispatcher.ret != PT_NOT_TRIED)
		pt_findings_say(f, h->dispatcher.ret ?
				PT_FOUND_DISPATCHER_NONE :
				PT_FOUND_DISPATCHER);
}

static void judge_memory(struct pt_findings *f, const struct pt_facts_host *h)
{
	if (h->huge_free_cnt)
		pt_findings_add_number(f, PT_FOUND_HUGE, h->huge_free_cnt);
	else
		pt_findings_say(f, PT_FOUND_HUGE_NONE);
	if (h->thp_never)
		pt_findings_say(f, PT_FOUND_THP_NEVER);
}

static void judge_cpu(struct pt_findings *f, const struct pt_facts_host *h)
{
	bool wide = strcmp(h->scan, "portable");

	if (!strcmp(h->scan, h->checksum))
		pt_findings_add(f, wide ? PT_FOUND_CPU : PT_FOUND_CPU_PORTABLE,
				"%s", h->scan);
	else
		pt_findings_add(f, wide ? PT_FOUND_CPU : PT_FOUND_CPU_PORTABLE,
				"%s and %s", h->scan, h->checksum);
	pt_findings_add(f, !h->has_aes ? PT_FOUND_CIPHER_SOFT : h->has_vaes ?
			PT_FOUND_CIPHER_WIDE : PT_FOUND_CIPHER, "%s by %s",
			pt_cipher_name(h->cipher), h->cipher_lib);
}

/* judge_compression: a finding for each method. */
static void judge_compression(struct pt_findings *f,
			      const struct pt_facts_host *h)
{
	for (int m = PT_COMPRESSION_NONE + 1; m < PT_COMPRESSION_CNT; m++)
		pt_findings_add(f, h->compressions >> m & 1 ?
				PT_FOUND_COMPRESS : PT_FOUND_COMPRESS_NONE,
				"%s", pt_compression_name(m));
}

void judge_host(struct pt_findings *f, const struct pt_facts *facts)
{
	judge_kernel(f, &facts->host);
	judge_caps(f, facts);
	judge_locks(f, facts);
	judge_memlock(f, facts);
	judge_program(f, &facts->host);
	judge_memory(f, &facts->host);
	judge_cpu(f, &facts->host);
	judge_compression(f, &facts->host);
}
