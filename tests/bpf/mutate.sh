#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# mutate.sh: are the BPF tests worth anything?  Changes one token of the
# receive program or of its parser at a time, in private copies of the tree,
# and asserts that at least one BPF test then fails.  First it asserts that
# they pass unchanged, and of each change that it is one, and that it builds
# and loads: a program that the verifier refuses would fail any test.
# As many changes at once as there are CPUs, each in a copy of its own.
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
"$parse|s/f->record_cnt <= PT_RECORDS_MAX/f->record_cnt < PT_RECORDS_MAX/|95 records at most"
"$parse|s/f->lane >= PT_LANES_MAX/f->lane > PT_LANES_MAX/|lane 64 gets as far as the session"
"$parse|s/f->data_off >= records_end + PT_BLOCK_SZ/f->data_off > records_end + PT_BLOCK_SZ/|64 bytes of pad"
"$parse|s/p->udp_end_off < end_off/p->udp_end_off <= end_off/|no datagram is long enough"
"$parse|s/p->udp_end_off > end_off/p->udp_end_off > end_off + 1/|a byte behind the payload"
"$parse|s/f->payload_sz == f->data_off/f->payload_sz >= f->data_off/|blocks that no record is asked for"
"$parse|s/if (f->flags)/if (f->kind != PT_FRAME_DATA)/|contents of sealed frames are read"
"$parse|s/f->flags == PT_FLAG_SEALED/f->flags \& PT_FLAG_SEALED/|flags beside the seal"
"$parse|s/return !f->flags \&\& /return /|flags without the seal"
"$parse|s/ \&\& !f->key_epoch / \&\& true /|a key epoch of a frame that is not sealed"
"$parse|s/PT_HEADER_MACED_SZ)/PT_HEADER_MACED_SZ - 4)/|the keyed check leaves out four bytes"
"$parse|s/return block_cnt == f->block_cnt/return block_cnt <= f->block_cnt/|blocks that no record speaks for"
"$sip|s/unsigned int i = 0; i < sz \\/ 8/unsigned int i = 1; i < sz \\/ 8/|the keyed check leaves out the first eight bytes"
"$sip|s/i < sz % 8; i++/i < sz % 8 - 1; i++/|the keyed check leaves out the last byte"
"$sip|s/(__u64)sz << 56/(__u64)sz << 57/|another hash than SipHash"
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
"$parse|s/r->kind == PT_RECORD_UNREADABLE/r->kind == PT_RECORD_UNREADABLE + 1/|unreadable pages are refused"
"$parse|s/i < PT_RECORDS_MAX \&\& i < f->record_cnt/i < PT_RECORDS_MAX - 1 \&\& i < f->record_cnt/|the last of 96 records is not judged"
"$parse|s/return block_cnt > f->block_cnt/return block_cnt >= f->block_cnt/|a compressed frame that saves nothing"
"$parse|s/f->compression >= PT_COMPRESSION_CNT/f->compression > PT_COMPRESSION_CNT/|a third method of compression"
"$parse|s/f->compressed_sz + PT_BLOCK_SZ > /f->compressed_sz + PT_BLOCK_SZ >= /|a block that a compressed frame does not use"
"$parse|s/return f->compressed_sz <= f->block_cnt/return f->compressed_sz < f->block_cnt/|a unit never fills its last block"
"$parse|s/^\t       f->compressed_sz;/\t       true;/|a compressed frame without a byte"
"$parse|s/r->kind == PT_RECORD_BLOCKS || is_delta/r->kind == PT_RECORD_BLOCKS/|deltas are refused"
"$parse|s/is_delta ? 0 : r->first/r->first/|a delta's base is read as a range"
"$parse|s/mask > PT_ZEROES_MAX/mask > PT_ZEROES_MAX + 1/|a run of 513 pages"
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

all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT

# The one that takes seconds comes last.
tests=(test_verdicts test_sessions test_sealed test_cuts)

# build: only what a change here touches; the tests need nothing of user/.
build()
{
	make -s -C "$tmp" B=build build/pagetrim.skel.h &>"$tmp/log" &&
	build_test test_object
}

build_test()
{
	cc -std=gnu11 -D_GNU_SOURCE -I"$tmp/include" -I"$tmp/user" \
		-I"$tmp/build" -o "$tmp/$1" "$tmp/tests/bpf/$1.c" \
		-lcmocka -lbpf -lxdp &>>"$tmp/log"
}

# loads: does the verifier take the program?  test_object says so, and may fail all
# the same.
loads()
{
	object_status=0
	timeout 600 "$tmp/test_object" &>"$tmp/log" || object_status=$?
	grep -q ' OK \] test_map_fields' "$tmp/log"
}

# caught: after loads, prints the first test that fails.  1 if all pass, 2 if one does
# not build.
caught()
{
	local t

	if [[ $object_status -ne 0 ]]; then
		failure_of test_object
		return 0
	fi
	for t in "${tests[@]}"; do
		build_test "$t" || return 2
		if ! timeout 600 "$tmp/$t" &>"$tmp/log"; then
			failure_of "$t"
			return 0
		fi
	done
	return 1
}

failure_of()
{
	sed -n "s/^\[  FAILED  \] /$1: /p" "$tmp/log" |
		grep -v 'listed below' | head -n 1
}

# judge NUMBER: changes the copy as mutant NUMBER says, prints what became of it, and
# changes it back.
judge()
{
	local m=${mutants[$1]} file change text lines verdict by status

	file=${m%%|*} text=${m##*|}
	change=${m#*|} change=${change%|*}

	sed -i "$change" "$tmp/$file"
	lines=$(diff "$file" "$tmp/$file" | grep -c '^>' || true)
	if [[ $lines -ne 1 ]]; then
		verdict="changes $lines lines, not one"
	elif ! build; then
		verdict="does not build"
	elif ! loads; then
		verdict="does not load"
	else
		status=0
		by=$(caught) || status=$?
		case $status in
		0)	verdict="a test fails and does not say which of its cases" ;;
		1)	verdict="no test fails" ;;
		*)	verdict="does not build" ;;
		esac
		if [[ $by ]]; then
			verdict=
			printf 'caught  %s\n        by %s\n' "$text" "$by"
		fi
	fi
	[[ ! $verdict ]] || printf 'MISSED  %s: %s\n' "$text" "$verdict"
	cp "$file" "$tmp/$file"
}

# turn FIRST: judges every worker_cnt-th mutant from FIRST on, in copy FIRST.
turn()
{
	local i

	tmp=$all/$1
	for ((i = $1; i < ${#mutants[@]}; i += worker_cnt)); do
		judge $i >"$all/verdict-$i.part"
		mv "$all/verdict-$i.part" "$all/verdict-$i"
	done
}

tmp=$all/0
mkdir "$tmp"
cp -r Makefile include bpf user tests "$tmp"
build || { cat "$tmp/log"; echo "mutate: does not build"; exit 1; }
loads || { cat "$tmp/log"; echo "mutate: does not load"; exit 1; }
status=0
caught || status=$?
if [[ $status -ne 1 ]]; then
	cat "$tmp/log"
	echo "mutate: the tests fail, or do not build, without any change"
	exit 1
fi

worker_cnt=$(nproc)
workers=()
for ((w = 0; w < worker_cnt; w++)); do
	[[ $w -eq 0 ]] || cp -a "$all/0" "$all/$w"
done
for ((w = 0; w < worker_cnt; w++)); do
	turn $w &
	workers+=($!)
done
trap 'kill "${workers[@]}" 2>/dev/null || true; wait; rm -rf "$all"' EXIT
trap 'exit 1' INT TERM

# In the order of the list.  A worker that ends early leaves verdicts out.
missed=0
for ((i = 0; i < ${#mutants[@]}; i++)); do
	until [[ -e $all/verdict-$i ]] ||
	      ! kill -0 "${workers[i % worker_cnt]}" 2>/dev/null; do
		sleep 0.1
	done
	verdict=$(cat "$all/verdict-$i" 2>/dev/null) ||
		verdict="MISSED  ${mutants[i]##*|}: not judged"
	echo "$verdict"
	[[ $verdict == caught* ]] || missed=$((missed + 1))
done
echo "${#mutants[@]} changes, $missed missed"
[[ $missed -eq 0 ]]
