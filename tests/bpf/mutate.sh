#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# mutate.sh: are the BPF tests worth anything?  Changes one token of the
# receive program or of its parser at a time, in a private copy of the tree,
# and asserts that at least one BPF test then fails.  First it asserts that
# they pass unchanged, and of each change that it is one, and that it builds
# and loads: a program that the verifier refuses would fail any test.
#
#     tests/bpf/mutate.sh            all (root; about a minute)
#     tests/bpf/mutate.sh --list     what they are
#
# Exit: 0 every change was caught, 1 one was not, 2 usage.
set -euo pipefail
cd "$(dirname "$0")/../.."

parse=include/pagetrim/parse.h
sip=include/pagetrim/siphash.h
prog=bpf/pagetrim.bpf.c

# file | sed command, on one line of it | what it changes
mutants=(
"$parse|s/version_ihl != PT_IPV4_PLAIN/version_ihl > PT_IPV4_PLAIN/|IPv4 headers of 0 to 16 bytes are read as ones of 20"
"$parse|s/version_ihl != PT_IPV4_PLAIN/version_ihl < PT_IPV4_PLAIN/|IPv4 options are read as UDP"
"$parse|s/bpf_htons(PT_IPV4_FRAGMENT)/bpf_htons(0x1fff)/|first fragments are taken for whole"
"$parse|s/next_header != PT_IPPROTO_UDP/next_header > PT_IPPROTO_UDP/|IPv6 extension headers are read as UDP"
"$parse|s/p->udp_end_off > p->ip_end_off/p->udp_end_off > p->ip_end_off + 1/|UDP may be a byte longer than IP"
"$parse|s/p->udp_end_off > p->frame_sz/p->udp_end_off >= p->frame_sz/|a frame that ends with its datagram is called cut"
"$parse|s/bpf_be64_to_cpu(pt_load(h->session_id))/pt_load(h->session_id)/|session number in the wrong byte order"
"$parse|s/f->record_cnt > PT_RECORDS_MAX/f->record_cnt >= PT_RECORDS_MAX/|95 records at most"
"$parse|s/f->lane >= PT_LANES_MAX/f->lane > PT_LANES_MAX/|lane 64 gets as far as the session"
"$parse|s/f->data_off < records_end + PT_BLOCK_SZ/f->data_off <= records_end + PT_BLOCK_SZ/|64 bytes of pad"
"$parse|s/p->udp_end_off < end_off/p->udp_end_off <= end_off/|no datagram is long enough"
"$parse|s/first > last || last >= PT_PAGE_BLOCKS/first > last || last > PT_PAGE_BLOCKS/|a range may end at block 64"
"$parse|s/first < \\*pos/first + 1 < *pos/|records may overlap in a block"
"$parse|s/~0ULL << first/~0ULL << 0/|mask bits below the range"
"$parse|s/mask > PT_GFN_MAX + 1 - gfn/mask > PT_GFN_MAX + 2 - gfn/|a run may go a page past the last"
"$parse|s/end += (mask - 1) \\* PT_PAGE_BLOCKS/end += 0 * PT_PAGE_BLOCKS/|a run counts as one page"
"$parse|s/else if (~range)/else if (~range >> 63)/|a run or a copy may start within a page"
"$parse|s/else if (~range)/else if (~range \& 1)/|a run or a copy may end within a page"
"$parse|s/(mask & PT_GFN_MAX) == gfn/mask == gfn/|a page may be a copy of itself, in some version"
"$parse|s/(mask & PT_GFN_MAX) == gfn/(mask \& PT_GFN_MAX) == gfn + 1/|a page may be a copy of itself"
"$parse|s/r->kind != PT_RECORD_COPY/r->kind < PT_RECORD_ZEROES/|kinds that are set aside are read as copies"
"$parse|s/r->kind != PT_RECORD_COPY/r->kind > PT_RECORD_ZEROES/|copies are refused"
"$parse|s/i < PT_RECORDS_MAX \&\& i < f->record_cnt/i < PT_RECORDS_MAX - 1 \&\& i < f->record_cnt/|the last of 96 records is not judged"
"$parse|s/block_cnt != f->block_cnt)/block_cnt > f->block_cnt)/|blocks that no record speaks for"
"$parse|s/? block_cnt > f->block_cnt/? block_cnt < 0 * f->block_cnt/|records of a padded frame that have no blocks"
"$parse|s/mask > PT_ZEROES_MAX/mask > PT_ZEROES_MAX + 1/|a run of 513 pages"
"$parse|s/return !f->key_epoch/return true/|a key epoch of a frame that is not sealed"
"$parse|s/return f->kind == PT_FRAME_DATA;/return true;/|padded probes"
"$parse|s/case PT_FLAG_SEALED:/case PT_FLAG_PADDED:/|padded frames for sealed ones"
"$parse|s/h, PT_HEADER_MACED_SZ \\/ 8/h, PT_HEADER_MACED_SZ \\/ 8 - 1/|the keyed check leaves out eight bytes"
"$sip|s/unsigned int i = 0; i < word_cnt/unsigned int i = 1; i < word_cnt/|the keyed check leaves out the first eight bytes"
"$sip|s/word_cnt \\* 8 << 56/word_cnt * 4 << 56/|another hash than SipHash"
"$sip|s/i < 4; i++/i < 3; i++/|SipHash with a round less"
"$prog|s/return PT_VERDICT_BAD_MAC/return PT_VERDICT_STEERED/|forged headers are taken"
"$prog|s/s->is_sealed \&\& !pt_header/!s->is_sealed \&\& !pt_header/|the keyed check is asked of the wrong sessions"
"$prog|s/!!s->is_sealed != !!(f->flags/!!s->is_sealed > !!(f->flags/|sealed frames of a session that is not"
"$prog|s/!!s->is_sealed != !!(f->flags/!!s->is_sealed < !!(f->flags/|frames that are not sealed, of a session that is"
"$prog|s/lane >= s->lane_cnt/lane > s->lane_cnt/|one lane more than the session has"
"$prog|s/f->kind == PT_FRAME_DATA \&\&/f->kind != PT_FRAME_DATA \&\&/|probes must come on the agreed queue, data need not"
"$prog|s/return false/return true/|a session answers at any endpoint"
"$prog|s/i < (int)(sizeof(\\*a) \\/ sizeof(\\*x))/i < (int)(sizeof(*a) \\/ sizeof(*x)) - 1/|a session's port is not compared"
"$prog|s/counters->seen++/counters->seen += 2/|frames are seen twice"
"$prog|s/\&pt_xsks, ctx->rx_queue_index/\&pt_xsks, 0/|all frames go to queue 0's socket"
"$prog|s/found->session_is_known = true/found->session_is_known = false/|sessions are not counted"
"$prog|s/\!bpf_core_field_exists/bpf_core_field_exists/|frames in pieces are dropped where sockets take them"
"$prog|s/return XDP_PASS/return XDP_DROP/|what is not ours is dropped"
"$prog|s/SEC(\"xdp.frags\")/SEC(\"xdp\")/|no frames in several buffers"
)

if [[ ${1-} == --list ]]; then
	for m in "${mutants[@]}"; do
		IFS='|' read -r file _ <<<"$m"
		printf '%-26s %s\n' "$file" "${m##*|}"
	done
	exit 0
fi
[[ $# -eq 0 ]] || { echo "usage: tests/bpf/mutate.sh [--list]" >&2; exit 2; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp -r Makefile include bpf user tests "$tmp"

tests=(test_object test_verdicts test_cuts test_sessions test_sealed)

# build: only what a change here touches; the tests need nothing of user/.
build()
{
	local t

	make -s -C "$tmp" B=build build/pagetrim.skel.h &>"$tmp/log" ||
		return 1
	for t in "${tests[@]}"; do
		cc -std=gnu11 -D_GNU_SOURCE -I"$tmp/include" -I"$tmp/user" \
			-I"$tmp/build" -o "$tmp/$t" "$tmp/tests/bpf/$t.c" \
			-lcmocka -lbpf -lxdp 2>>"$tmp/log" || return 1
	done
}

# loads: does the verifier take the program?  This test needs no more.
loads()
{
	timeout 60 "$tmp/test_object" &>"$tmp/log" || true
	grep -q ' OK \] test_map_fields' "$tmp/log"
}

# caught: prints the first test that fails; false if all pass.
caught()
{
	local t

	for t in "${tests[@]}"; do
		if ! timeout 120 "$tmp/$t" &>"$tmp/log"; then
			sed -n "s/^\[  FAILED  \] /$t: /p" "$tmp/log" |
				grep -v 'listed below' | head -n 1
			return 0
		fi
	done
	return 1
}

build || { cat "$tmp/log"; echo "mutate: does not build"; exit 1; }
loads || { cat "$tmp/log"; echo "mutate: does not load"; exit 1; }
if caught; then
	cat "$tmp/log"
	echo "mutate: the tests fail without any change"
	exit 1
fi

missed=0
for m in "${mutants[@]}"; do
	file=${m%%|*} text=${m##*|}
	change=${m#*|} change=${change%|*}

	cp "$file" "$tmp/$file"
	sed -i "$change" "$tmp/$file"
	lines=$(diff "$file" "$tmp/$file" | grep -c '^>' || true)
	if [[ $lines -ne 1 ]]; then
		verdict="changes $lines lines, not one"
	elif ! build; then
		verdict="does not build"
	elif ! loads; then
		verdict="does not load"
	elif by=$(caught); then
		printf 'caught  %s\n        by %s\n' "$text" "$by"
		cp "$file" "$tmp/$file"
		continue
	else
		verdict="no test fails"
	fi
	printf 'MISSED  %s: %s\n' "$text" "$verdict"
	missed=$((missed + 1))
	cp "$file" "$tmp/$file"
done
echo "${#mutants[@]} changes, $missed missed"
[[ $missed -eq 0 ]]
