#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   raw files --image pack--> IMAGE --image unpack, info--> bytes, list, counts
#                               '-----reference reader----> the same?
#
# An image of every kind that the format has.  Each is looked at with both readers, and
# has to hold its kind: a kind that pack no longer makes is a failure.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image() { show "$pagetrim" image "$@"; }

# agree IMAGE HOLDS: both readers find the same in it, and HOLDS, of jq, is true of it.
agree()
{
	rm -rf ours ours.with theirs
	image verify "$1"
	image unpack "$1" ours
	show python3 "$root/tests/reference/ptrim.py" "$1" --raw theirs >&2 ||
		die "the reference reader: $1 is damaged"
	same_file ours theirs
	show python3 "$root/tests/reference/kinds.py" "$1" >kinds
	image info "$1" --json >told
	same "pages of $1" "$(jq -cS .pages kinds)" "$(jq -cS '.pages | del(.lost)' told)"
	same "segments and files of $1" "$(jq -c '[.segments, .files]' kinds)" \
		"$(jq -c '[.segments, .files]' told)"
	same "unreadable in $1" "$(jq -c .unreadable kinds)" "$(jq -c '[.unreadable[] |
		range(.offset; .offset + .bytes; 4096)]' ours.with/unreadable.json \
		2>/dev/null || echo '[]')"
	jq -e "$2" kinds >&2 || die "$1 is of another kind: $(<kinds)"
}

every_kind()
{
	local how

	"$here/make_image.py" raw --pages 1500 --seed 3 --tail 1234
	show fallocate --punch-hole --offset 4M --length 512K raw
	for how in off lz4 zstd; do
		image pack raw "$how.ptrim" --compress "$how"
		agree "$how.ptrim" ".units.$how > 0 and .copies > 0 and
			.pages.zero > 0 and .pages.absent > 0 and .segments == 1"
	done
	# Bytes that do not become smaller, in units that are not compressed.
	head -c 2M /dev/urandom >random
	image pack random random.ptrim --compress zstd
	agree random.ptrim ".units.off > 0 and .units.zstd == 0"
}

chain()
{
	"$here/make_image.py" raw --pages 700 --seed 3
	image pack raw first.ptrim
	head -c 1M /dev/urandom | dd of=raw bs=1M seek=1 conv=notrunc status=none
	image pack raw second.ptrim --parent first.ptrim
	agree second.ptrim ".chain == 2 and .pages.parent > 0 and .pages.data > 0"
	head -c 4096 /dev/urandom | dd of=raw bs=4096 seek=9 conv=notrunc status=none
	dd if=/dev/zero of=raw bs=4096 seek=300 count=1 conv=notrunc status=none
	image pack raw third.ptrim --parent second.ptrim
	agree third.ptrim ".chain == 3 and .pages.parent > 0 and .pages.data == 1 and
		.pages.zero + .pages.absent == 1"
	same_file raw ours
}

# Pages that could not be read, in an image and in its parent.
unreadable()
{
	"$here/make_image.py" raw --pages 900 --seed 8
	dd if=/dev/zero of=raw bs=4096 seek=600 count=2 conv=notrunc status=none
	mkdir raw.with
	echo '{"version":1,"bytes":3686400,"unreadable":[{"offset":2457600,"bytes":8192}]}' \
		>raw.with/unreadable.json
	image pack raw marked.ptrim
	agree marked.ptrim ".unreadable == [2457600, 2461696] and
		.pages.unreadable == 2"
	image pack raw child.ptrim --parent marked.ptrim
	agree child.ptrim ".unreadable == [2457600, 2461696] and .pages.unreadable == 0"
}

# Segments of a process, and small files.
process()
{
	local victim

	python3 -c 'import signal; x = bytearray(b"x" * 3000000); print(flush=True); signal.pause()' \
		>ready &
	victim=$!
	wait_until 10 test -s ready
	kill -STOP "$victim"
	"$here/process_image.py" take "$victim" p
	kill -KILL "$victim"
	mkdir p.with
	jq '{version: 1, bytes: (map(.bytes) | add),
		segments: map(. + {name: "anon"})}' p.json >p.with/segments.json
	echo state >p.with/device
	image pack p p.ptrim
	agree p.ptrim ".segments > 3 and .files == 1 and .copies > 0"
	same_file p ours
	same_file p.with/device ours.with/device
}

case_run "image kinds: compressions, copies, zeroes and holes" every_kind
case_run "image kinds: parents" chain
case_run "image kinds: unreadable pages" unreadable
case_run "image kinds: a process, and small files" process
cases_end
