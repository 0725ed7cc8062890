// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* targets: lists the programs that one program extends (freplace), as the
 * programs behind libxdp's dispatcher extend the dispatcher.  The kernel stores
 * the targets in links, and opens links by number only with CAP_SYS_ADMIN; an
 * iterator that was made with that capability can be read without it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* The kernel's own types, reduced to the fields that are read. */
#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)
struct bpf_prog_aux {
	__u32 id;
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

struct bpf_link {
	enum bpf_link_type type;
	struct bpf_prog *prog;
};

struct bpf_tracing_link {	/* begins with a bpf_link */
	struct bpf_prog *tgt_prog;
};

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_link {
	struct bpf_iter_meta *meta;
	struct bpf_link *link;
};
#pragma clang attribute pop

const volatile __u32 pt_extension;	/* number of the extending program */

/* pagetrim_target writes the number of the link's target, 4 bytes, if the link
 * belongs to the extension. */
SEC("iter/bpf_link")
int pagetrim_target(struct bpf_iter__bpf_link *ctx)
{
	struct bpf_link *link = ctx->link;
	__u32 id;

	if (!link || link->type != BPF_LINK_TYPE_TRACING ||
	    link->prog->aux->id != pt_extension)
		return 0;
	id = BPF_CORE_READ((struct bpf_tracing_link *)link, tgt_prog, aux, id);
	if (id)
		bpf_seq_write(ctx->meta->seq, &id, sizeof(id));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
