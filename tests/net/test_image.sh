#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   raw image --pack--> X.ptrim --unpack--> raw image, the same
#                          |---- tests/reference/ptrim.py --> the same
#                          '---- a byte changed, cut, another parent --> said, exit 5
#
# Images at rest by the command line, and by the reader that was written from the
# document alone.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image() { show "$pagetrim" image "$@"; }

# reads IMAGE RAW [OPTION...]: the reference reader finds it whole, and the same.
reads()
{
	local whole=$1 raw=$2

	shift 2
	show python3 "$root/tests/reference/ptrim.py" "$whole" --raw read "$@" >&2 ||
		die "the reference reader: $whole is damaged"
	same_file "$raw" read
	rm read
}

# fails STATUS WORD VERB...: exits so, with WORD in what it prints.
fails()
{
	local want=$1 word=$2 status=0

	shift 2
	timeout 60 "$pagetrim" image "$@" >out 2>err || status=$?
	cat out err >&2
	[[ $status -eq $want ]] || die "image $*: exit $status, want $want"
	grep -q -e "$word" out err || die "image $*: does not say '$word'"
	[[ $(wc -l <err) -le 2 ]] || die "image $*: $(wc -l <err) lines of errors"
}

# round RAW [OPTION...]: pack, verify, unpack, and the other reader.
round()
{
	local raw=$1

	shift
	rm -rf x.ptrim again again.with
	image pack "$raw" x.ptrim "$@"
	image verify x.ptrim
	image unpack x.ptrim again
	same_file "$raw" again
	reads x.ptrim "$raw"
	[[ ! -e x.ptrim.partial && ! -e again.partial ]] || die "a .partial is left"
}

blocks() { stat -c %b "$1"; }

every_sort()
{
	local how

	"$here/make_image.py" raw --pages 1500 --seed 3 --tail 1234
	for how in off lz4 zstd zstd:9; do
		round raw --compress "$how"
		[[ $(blocks again) -le $(blocks raw) ]] || die "not sparse"
	done
	head -c 3000000 /dev/urandom >random
	round random
	[[ $(stat -c %s x.ptrim) -lt 3030000 ]] || die "random data became larger"
	truncate -s 3G empty
	image pack empty empty.ptrim
	image unpack empty.ptrim out
	same_file empty out
	[[ $(blocks out) -eq 0 ]] || die "holes were filled"
	[[ $(stat -c %s empty.ptrim) -lt 60000 ]] || die "holes take room"
	truncate -s 5M empty
	round empty
	head -c 1 /dev/zero >one
	round one
}

# Several files are several segments, and small files come along.
segments()
{
	"$here/make_image.py" low --pages 700 --seed 4
	"$here/make_image.py" high --pages 40 --seed 5 --tail 77
	echo state >device
	image pack low high two.ptrim --with device
	image unpack two.ptrim two
	cat low high | cmp - two || die "not low and high"
	same_file device two.with/device
	same "segments" "$(jq -r '.segments[].name' two.with/segments.json |
		xargs)" "low high"
	# The unpacked image is packed with the same segments, and all its files but
	# those that are none.
	echo more >two.with/"a b"
	ln -s device two.with/link
	image pack two again.ptrim 2>err
	grep -q "warning: two.with/link: left out" err || die "link: $(<err)"
	image unpack again.ptrim again
	same_file two again
	same_file two.with/segments.json again.with/segments.json
	same "files" "$(cd again.with && echo *)" \
		"a b device segments.json"
	same_file two.with/"a b" again.with/"a b"
	# A file of --with goes in place of one of its name.
	echo other >device
	image pack two third.ptrim --with device 2>err
	grep -q "warning: two.with/device: left out.*--with names another" err ||
		die "device: $(<err)"
	image unpack third.ptrim third
	same_file device third.with/device
	reads again.ptrim two
	fails 2 "two files of the name device" pack low high three.ptrim \
		--with device --with two.with/device
	[[ ! -e three.ptrim ]] || die "three.ptrim is there"
}

process_image()
{
	local victim

	python3 -c 'import signal; x = bytearray(b"x" * 3000000); print(flush=True); signal.pause()' \
		>ready &
	victim=$!
	until [[ -s ready ]]; do sleep 0.05; done
	kill -STOP "$victim"
	"$here/process_image.py" take "$victim" taken
	mkdir p.with
	# The table as a receiver writes it.
	jq '{version: 1, bytes: (map(.bytes) | add),
		segments: map(. + {name: "anon"})}' taken.json >p.with/segments.json
	cp taken p
	round p
	show python3 "$here/process_image.py" same taken again
}

# change FILE OFFSET: changes a byte.
change()
{
	python3 -c 'import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]))
    byte = file.read(1)[0]
    file.seek(int(sys.argv[2]))
    file.write(bytes([byte ^ 0xff]))' "$1" "$2"
}

damage()
{
	local size

	"$here/make_image.py" raw --pages 2000 --seed 6
	image pack raw good.ptrim
	size=$(stat -c %s good.ptrim)
	# The middle: a unit, or a page table.
	cp good.ptrim x.ptrim
	change x.ptrim $((size / 2))
	fails 5 "^lost: " verify x.ptrim
	fails 5 "^lost: " unpack x.ptrim out.raw
	same "size" "$(stat -c %s out.raw)" "$(stat -c %s raw)"
	# Every page that is not named is right.
	python3 - <<-'PYTHON'
	import re
	raw, out = open("raw", "rb").read(), open("out.raw", "rb").read()
	lost = [tuple(map(int, m)) for m in
	        re.findall(r"^lost: .* bytes (\d+)\.\.(\d+)\)$", open("out").read(), re.M)]
	assert lost
	at, differ = 0, 0
	for first, last in lost + [(len(raw), len(raw))]:
	    assert raw[at:first] == out[at:first], (at, first)
	    if first < len(raw):
	        assert not any(out[first:last + 1])
	        differ += raw[first:last + 1] != out[first:last + 1]
	    at = last + 1
	assert differ
	PYTHON
	# The end is cut off.
	head -c $((size / 3)) good.ptrim >cut.ptrim
	fails 5 "^lost: " verify cut.ptrim
	fails 5 "lost" unpack cut.ptrim cut.raw
	fails 5 "" info cut.ptrim
	# Header, segments, regions.
	cp good.ptrim x.ptrim
	change x.ptrim 100
	fails 5 "its header is damaged" verify x.ptrim
	fails 5 "its header is damaged" unpack x.ptrim never
	cp good.ptrim x.ptrim
	change x.ptrim 520
	fails 5 "segments is damaged" info x.ptrim
	cp good.ptrim x.ptrim
	change x.ptrim 600
	fails 5 "^lost: 512 pages from 0x0 on" verify x.ptrim
	fails 5 "" info x.ptrim
	# No image.
	fails 3 "not an image at rest" verify raw
	: >nothing
	fails 3 "not an image at rest" info nothing
	fails 3 "No such file" info no-such-file
	fails 3 "not a regular file" info /dev/null
	cp good.ptrim x.ptrim
	printf '\0\2' | dd of=x.ptrim bs=1 seek=4 conv=notrunc status=none
	fails 3 "of version 2" verify x.ptrim
	[[ ! -e never ]] || die "never is there"
}

# not_read: a disk that fails has not damaged the image, and another copy is no help.
not_read()
{
	local size

	"$here/make_image.py" raw --pages 2000 --seed 6
	image pack raw x.ptrim
	size=$(stat -c %s x.ptrim)
	mkdir mnt
	served+=("$PWD/mnt")
	"$here/still_fs.py" mnt x.ptrim $((size / 2 / 4096 * 4096)) broken >served &
	wait_until 30 grep -qs ready served
	fails 3 "mnt/still: cannot be read: Input/output error" verify mnt/still
	! grep -q "damaged" out err || die "it says that it is damaged"
	# All other pages are given.
	fails 3 "mnt/still: cannot be read: Input/output error" unpack mnt/still out.raw
	grep -q "^lost: " out || die "lost pages have no name"
	same "size" "$(stat -c %s out.raw)" "$(stat -c %s raw)"
}

parents()
{
	"$here/make_image.py" raw --pages 4000 --seed 7
	cp --sparse=always raw later
	head -c 8192 /dev/urandom | dd of=later bs=4096 seek=700 conv=notrunc status=none
	truncate -s +8192 later
	image pack raw first.ptrim
	image pack later second.ptrim --parent first.ptrim
	[[ $(stat -c %s second.ptrim) -lt 60000 ]] || die "not only what changed"
	image verify second.ptrim
	image unpack second.ptrim again
	same_file later again
	reads second.ptrim later
	# Elsewhere, and then missing, another, damaged.
	mkdir away
	mv first.ptrim away/old.ptrim
	fails 3 "its parent, first.ptrim, is not there (--parent" verify second.ptrim
	image verify second.ptrim --parent away/old.ptrim
	reads second.ptrim later --parent away/old.ptrim
	image pack raw first.ptrim
	fails 5 "parent is another image" verify second.ptrim
	fails 5 "parent is another image" unpack second.ptrim never
	cp away/old.ptrim first.ptrim
	change first.ptrim $(($(stat -c %s first.ptrim) / 2))
	fails 5 "^damaged: first.ptrim" verify second.ptrim
	fails 5 "^lost: " unpack second.ptrim given
	fails 2 "has no parent" verify first.ptrim --parent second.ptrim
}

usage()
{
	echo data >raw
	image pack raw x.ptrim
	fails 3 "exists already" pack raw x.ptrim
	fails 3 "exists already" unpack x.ptrim raw
	fails 2 "want pack" verb
	fails 2 "want IN and OUT" pack raw
	fails 2 "want off, lz4" pack raw y.ptrim --compress zstd:20
	fails 2 "goes with info" verify x.ptrim --json
	fails 2 "goes with pack" verify x.ptrim --with raw
	fails 2 "goes with pack" verify x.ptrim --on-unreadable mark
	fails 2 "want mark" pack raw y.ptrim --on-unreadable never
	fails 3 "No such file" pack no-such-file y.ptrim
	fails 3 "No such file" pack raw no/such/folder
	[[ ! -e y.ptrim && ! -e y.ptrim.partial ]] || die "y.ptrim is there"
}

# stopped_at FUNCTION SIGNAL VERB...: the signal comes when it begins with the second
# region, and it ends so, with nothing left.
stopped_at()
{
	local status=0

	# Under nohup(1) the signal would be ignored.
	# shellcheck disable=SC2016 # TARGET is set there
	env "--default-signal=$2" \
		"$build/tests/net/at_entry" "$1" 1 "kill -$2 \$TARGET; sleep 0.5" \
		"$pagetrim" image "${@:3}" >out 2>image.err || status=$?
	[[ -e entered ]] || die "it did not come to $1"
	same "exit" "$status" 1
	one_error image 'interrupted; nothing is left of it'
	[[ ! -e made && ! -e made.partial && ! -e made.with ]] || die "left: $(ls)"
	rm entered
}

stopped()
{
	"$here/make_image.py" raw --pages 1500 --seed 3
	image pack raw x.ptrim
	stopped_at pt_ptrim_writer_region "$1" pack raw made
	stopped_at pt_ptrim_digest "$1" unpack x.ptrim made
	image unpack x.ptrim made
	same_file raw made
}

# Killed or out of room, it leaves nothing that could be taken for whole, and the
# next one begins anew.
not_half()
{
	local packer

	"$here/make_image.py" raw --pages 60000 --seed 8
	"$pagetrim" image pack raw x.ptrim --compress zstd:19 &
	packer=$!
	until [[ -s x.ptrim.partial ]]; do sleep 0.02; done
	kill -KILL "$packer"
	wait "$packer" || true
	[[ ! -e x.ptrim ]] || die "x.ptrim is there"
	fails 3 "not an image at rest\|cannot be mapped" verify x.ptrim.partial
	image pack raw x.ptrim --compress lz4
	image verify x.ptrim
	mkdir small
	mount -t tmpfs -o size=2m small small
	mounts+=("$dir/small")
	fails 3 "No space left.*free some space" pack raw small/x.ptrim
	same "files on the full disk" "$(ls small)" ""
	fails 3 "No space left\|free some space" unpack x.ptrim small/raw
	same "files on the full disk" "$(ls small)" ""
}

# An image at rest is sent without being unpacked; a damaged one is not.
sent()
{
	local file at

	show hosts_up "$net"
	"$here/make_image.py" raw --pages 3000 --seed 9 --tail 99
	"$here/make_image.py" more --pages 100 --seed 10
	image pack raw base.ptrim
	cp --sparse=always raw later
	head -c 8192 /dev/urandom | dd of=later bs=4096 seek=70 conv=notrunc status=none
	head -c 3000000 /dev/urandom >state
	: >nothing
	image pack later x.ptrim --parent base.ptrim --with more --with state \
		--with nothing
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" x.ptrim
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file later copy
	for file in more state nothing; do
		same_file "$file" copy.with/"$file"
	done
	same "files" "$(cd copy.with && echo *)" "more nothing segments.json state"
	# One given by name goes in place of the image's.
	echo new >given
	mkdir new
	mv given new/state
	receive_begin second --listen "$HOSTS_B4" --out copy2
	send_begin other --to "$HOSTS_B4" x.ptrim --with new/state
	ended other "$sender" 60 0
	grep -q "'state' is not sent: --with names" other.err || die "silence"
	ended second "$receiver" 10 0
	same_file new/state copy2.with/state
	same_file more copy2.with/more
	# A damaged one is refused, by its name.
	cp x.ptrim damaged.ptrim
	at=$(python3 -c 'import sys; print(open("x.ptrim", "rb").read().find(
		open("state", "rb").read(100)))')
	change damaged.ptrim $((at + 1000))
	receive_begin third --listen "$HOSTS_B4" --out copy3
	send_begin lost --to "$HOSTS_B4" damaged.ptrim
	ended lost "$sender" 60 1 "its file 'state' is damaged"
	show kill -TERM "$receiver"
	wait "$receiver" || true
	[[ ! -e copy3 ]] || die "committed all the same"
	change base.ptrim $(($(stat -c %s base.ptrim) / 2))
	receive_begin again --listen "$HOSTS_B4" --out never
	send_begin broken --to "$HOSTS_B4" x.ptrim
	ended broken "$sender" 60 1
	ended again "$receiver" 10 4
	grep -q "is damaged" broken.err || die "$(<broken.err)"
	[[ ! -e never ]] || die "a damaged image was committed"
}

# arrived RAW: x.ptrim is whole, small files and all, and gives RAW.
arrived()
{
	[[ ! -e x.ptrim.partial && ! -e x.ptrim.journal && ! -e x.ptrim.with ]] ||
		die "left behind: $(ls)"
	image verify x.ptrim
	rm -rf again again.with
	image unpack x.ptrim again
	same_file "$1" again
	reads x.ptrim "$1"
}

# received MTU: as an image at rest, and sent on from there.
received()
{
	local file

	show hosts_up "$net" --mtu "$1"
	"$here/make_image.py" raw --pages 5000 --seed 11 --tail 99
	head -c 3000000 /dev/urandom >state
	: >nothing
	receive_begin receive --listen "$HOSTS_B4" --out x.ptrim
	send_begin send --to "$HOSTS_B4" raw --with state --with nothing
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	balanced
	arrived raw
	for file in state nothing; do
		same_file "$file" again.with/"$file"
	done
	# Little more than pack needs: the notes, and copies far apart.
	image pack raw packed.ptrim --compress zstd:1 --with state
	[[ $(stat -c %s x.ptrim) -lt $(($(stat -c %s packed.ptrim) * 21 / 20)) ]] ||
		die "$(stat -c %s x.ptrim) bytes, packed $(stat -c %s packed.ptrim)"
	receive_begin onward --listen "$HOSTS_B4" --out copy
	send_begin hop --to "$HOSTS_B4" x.ptrim
	ended hop "$sender" 60 0
	ended onward "$receiver" 10 0
	same_file raw copy
	same_file state copy.with/state
}

# received_by HOW NUMBER: the method of a unit, as the format has it.
received_by()
{
	local first

	show hosts_up "$net"
	seq 600000 | head -c 4096000 >raw	# no two pages are equal
	receive_begin receive --listen "$HOSTS_B4" --out x.ptrim --compress "$1"
	send_begin send --to "$HOSTS_B4" raw
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	arrived raw
	# Behind the front, one segment and two regions: a note of eight pages.
	first=$((512 + 80 + 2 * 32 + 24 + 2 * 8))
	same "method" "$(od -An -tu1 -j $((first + 9)) -N 1 x.ptrim | tr -d ' ')" "$2"
}

received_refused()
{
	show hosts_up "$net"
	: >x.ptrim
	receive_launch there --listen "$HOSTS_B4" --out x.ptrim
	ended there "$receiver" 20 3 "x.ptrim: exists already"
	receive_launch room --listen "$HOSTS_B4" --out y.ptrim --prealloc 1M
	finish "$receiver" 20
	same "exit" "$status" 2
	one_error room "y.ptrim: --prealloc is for raw images"
	receive_launch how --listen "$HOSTS_B4" --out raw --compress lz4
	finish "$receiver" 20
	same "exit" "$status" 2
	one_error how "--compress is for an image at rest"
	[[ ! -s x.ptrim && ! -e y.ptrim && ! -e y.ptrim.partial ]] ||
		die "written all the same: $(ls)"
}

# A folder of --serve has raw images, whatever their names.
served()
{
	show hosts_up "$net"
	"$here/make_image.py" raw --pages 300 --seed 12
	mkdir in
	receive_begin receive --listen "$HOSTS_B4" --out in --serve
	send_begin send --to "$HOSTS_B4" raw --name x.ptrim
	ended send "$sender" 60 0
	show kill -TERM "$receiver"
	wait "$receiver" || true
	same_file raw in/x.ptrim
}

# Pages that cannot be read are marked in it, and on the next hop.
unreadable()
{
	local pid first

	show hosts_up "$net"
	"$build/tests/net/poisoned" mark 4096 1 2 700 4095 >page 2>poisoned.err &
	pid=$!
	wait_until 10 test -s page
	read -r first <page
	receive_begin receive --listen "$HOSTS_B4" --out x.ptrim
	send_begin send --to "$HOSTS_B4" --pid "$pid" --skip-shared \
		--on-unreadable mark "$@"
	ended send "$sender" 60 0
	ended receive "$receiver" 20 0
	same "unreadable" "$(jq .unreadable.pages receive.json)" 4
	image verify x.ptrim
	same "unreadable at rest" "$(image info x.ptrim --json |
		jq .pages.unreadable)" 4
	image unpack x.ptrim copy
	"$here/unreadable.py" pattern copy "$first" 4096 ||
		die "the image is not as it was"
	reads x.ptrim copy
	image pack copy again.ptrim
	same "unreadable when packed" "$(image info again.ptrim --json |
		jq .pages.unreadable)" 4
	image pack copy zero.ptrim --on-unreadable zero 2>err
	grep -q "zero.ptrim: 4 pages that could not be read count as zero" err ||
		die "no warning: $(cat err)"
	same "unreadable when packed as zero" "$(image info zero.ptrim --json |
		jq .pages.unreadable)" 0
	show kill -KILL "$pid"
}

live_unreadable() { unreadable --live; }

# under_way: a slow transfer of raw to x.ptrim, of which some has arrived.
under_way()
{
	receive_begin receive --listen "$HOSTS_B4" --out x.ptrim --resume
	send_begin send --to "$HOSTS_B4" --resume --max-bandwidth 8M raw
	wait_until 20 has_arrived "$1"
}

has_arrived() { [[ -s x.ptrim.partial && $(stat -c %s x.ptrim.partial) -gt $1 ]]; }

# A receiver that is killed leaves what a later one goes on from.
interrupted()
{
	local held

	show hosts_up "$net"
	"$here/make_image.py" raw --pages 8000 --seed 13
	head -c 30000 /dev/urandom >state
	under_way 4000000
	show kill -KILL "$receiver"
	ended send "$sender" 60 4
	[[ ! -e x.ptrim && -e x.ptrim.partial && -e x.ptrim.journal ]] ||
		die "not kept: $(ls)"
	# Damaged pages, and all behind them, are sent again.
	change x.ptrim.partial 3000000
	receive_begin receive --listen "$HOSTS_B4" --out x.ptrim --resume
	send_begin send --to "$HOSTS_B4" --resume raw --with state
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same resumed "$(field send .resumed) $(field receive .resumed)" "true true"
	held=$(field receive '."held-pages"')
	[[ $held -gt 500 && $held -lt 8000 ]] || die "held $held pages"
	arrived raw
	same_file state again.with/state
}

# A sender that is killed leaves no image.
abandoned()
{
	show hosts_up "$net"
	"$here/make_image.py" raw --pages 8000 --seed 14
	receive_begin receive --listen "$HOSTS_B4" --out x.ptrim
	send_begin send --to "$HOSTS_B4" --max-bandwidth 8M raw
	wait_until 20 has_arrived 1000000
	show kill -KILL "$sender"
	ended receive "$receiver" 60 4
	[[ ! -e x.ptrim && ! -e x.ptrim.partial ]] || die "left behind: $(ls)"
}

case_run "image: pages of every sort come back" every_sort
case_run "image: segments, and files that come along" segments
case_run "image: of a process" process_image
case_run "image: damage is named, and all else is given" damage
case_run "image: a disk that fails" not_read
case_run "image: parents" parents
case_run "image: wrong usage" usage
case_run "image: sent as it is" sent
case_run "image: never half a file" not_half
for signal in TERM HUP INT; do
	case_run "image: pack and unpack are interrupted: SIG$signal" \
		stopped "$signal"
done
case_run "image: received, and sent on" received 9000
case_run "image: received in pieces, and sent on" received 1500
case_run "image: received, not compressed" received_by off 0
case_run "image: received by LZ4" received_by lz4 1
case_run "image: received by zstd, level 9" received_by zstd:9 2
case_run "image: no place to receive it" received_refused
case_run "image: a folder stays raw" served
case_run "image: unreadable pages received" unreadable
case_run "image: unreadable pages received live" live_unreadable
case_run "image: a receiver killed, and resumed" interrupted
case_run "image: a sender killed" abandoned
cases_end
