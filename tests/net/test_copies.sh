#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   one   |256 pages, each twice|     2560 pages     |512 of these again| short |
#   two   |     hole     |256 of the 2560 again|     hole     |the short one cut|
#
# Pages that equal others, next to each other, far apart, in another segment:
# they go as copies and arrive as pages, whatever the network does, and only
# where they may.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Pages with the first of their contents, and the others.  More than a window of
# pages with data follows each first one, so it has arrived when the next sweep
# comes to its equal.  Then at least so many of these go as copies: a lane's
# table loses some to other contents.
first=2817 again=1025
most=$((again * 85 / 100))

# memory: the two segments, made once: $one, $two, and $both in a row.
memory()
{
	one=$tmp/one two=$tmp/two both=$tmp/both
	[[ ! -e $both ]] || return 0
	python3 - "$one" "$two" "$both" <<-'END'
		import random
		import sys

		PAGE = 4096
		rnd = random.Random(1)
		twice = [rnd.randbytes(PAGE) for _ in range(256)]
		once = [rnd.randbytes(PAGE) for _ in range(2560)]
		short = rnd.randbytes(100)
		order = rnd.sample(range(512), 512)

		def one(out, at):
		    out.seek(at)
		    out.write(b"".join(page * 2 for page in twice))
		    out.write(b"".join(once + [once[i] for i in order]))
		    out.write(short.ljust(PAGE, b"\0"))
		    out.truncate(at + (16 << 20))

		def two(out, at):
		    out.seek(at + (16 << 20))
		    out.write(b"".join(once[500 + i] for i in order[:256]))
		    out.seek(at + (64 << 20))
		    out.write(short)

		for path, parts in zip(sys.argv[1:], ((one,), (two,), (one, two))):
		    with open(path, "wb") as out:
		        for i, part in enumerate(parts):
		            part(out, i * (16 << 20))
	END
}

# unsealed COMMAND...: where frames have a checksum.
unsealed()
{
	local -a security=(--insecure)

	"$@"
}

# moved SEND-OPTION...: both segments go from a to b, to $to, and arrive.
moved()
{
	memory
	receive_begin receive --listen "$HOSTS_B4" --out copy \
		"${receive_options[@]}"
	send_begin send --to "${to:-$HOSTS_B4}" --trim none "$@" "$one" "$two"
	arrived "$both"
}

arrived()
{
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	jq -c '{copies, ram, frames, "block-bytes", ledger}' send.json >&2
	same_file "$1" copy
	balanced
}

copies() { field send .copies.pages; }

# each_once: after on_time every page was sent once, and the data bytes equal
# the blocks of the frames.
each_once()
{
	same "pages with data" "$(field send .ram.normal)" $((first + again))
	same "bytes of blocks" "$(field send '."block-bytes"')" \
		$((4096 * (first + again - $(copies))))
}

# measured COMMAND...: sets wire to the bytes that leave the device meanwhile.
measured()
{
	local before

	before=$(sent_bytes)
	"$@"
	wire=$(($(sent_bytes) - before))
}

# none: no page went as a copy, or waited to.
none()
{
	same copies "$(field send '.copies | @json')" \
		'{"used":false,"pages":0,"put-off":0}'
}

near_and_far()
{
	local wire

	show hosts_up "$net" --mtu "$1"
	on_time measured moved
	same used "$(field send .copies.used)" true
	within copies "$(copies)" "$most" "$again"
	each_once
	# The first of each pair is in no frame yet when the second is scanned.
	within "put off" "$(field send '.copies."put-off"')" 128 "$again"
	# Headers, records and control: less than an eighth, at an MTU of 1500.
	within "bytes that left the device" "$wire" $((first * 4096)) \
		$(((first + again - most) * 4096 * 9 / 8))
	nothing_left
}

without()
{
	show hosts_up "$net" --mtu 9000
	on_time moved "$@"
	none
	each_once
	nothing_left
}

sealed()
{
	show hosts_up "$net" --mtu 9000
	on_time moved "$@"
	same cipher "$(field send .cipher)" aes-128-gcm
	within copies "$(copies)" "$most" "$again"
	each_once
	nothing_left
}

# padded: equal pages, short ones and zeroes cost what others do.
padded()
{
	show hosts_up "$net" --mtu 9000
	moved --pad
	none
	same "bytes of blocks" "$(field send '."block-bytes"')" \
		$((4096 * $(field send .pages)))
	nothing_left
}

# An original's frame was lost, late or damaged, and is sent again while its
# equals are in flight: none may get the older content of that place.
disturbed()
{
	local -a receive_options=(--queues 2)

	show hosts_up "$net" --wire --mtu "$1" --queues 2
	show hosts_wire_start "$net" wire "$wire" --drop 200 --repeat 30 \
		--reorder 200 --delay 50 --flip 20 --seed "$2"
	moved --queues 2
	show hosts_wire_stop
	as_the_wire_says
	within "frames lost" "$(field send '."frames-lost"')" 1 \
		"$(field send .frames)"
	# The pairs lie on one lane; those whose first page arrived the first
	# time are half of them: at the least MTU, in three frames.
	within copies "$(copies)" 64 "$(field send .ram.normal)"
	nothing_left
}

two_lanes()
{
	local -a receive_options=(--queues 2)

	show hosts_up "$net" --mtu 9000 --queues 2
	on_time moved --queues 2
	within copies "$(copies)" $((256 * 3 / 4)) "$again"
	each_once
	nothing_left
}

# Where the image's pages exist before, they are copied in another way.
allocated()
{
	local -a receive_options=(--prealloc 80M)

	show hosts_up "$net" --mtu 9000
	moved
	within copies "$(copies)" "$most" "$again"
	nothing_left
}

# process: a process's memory with half of its pages twice.
process()
{
	local pid

	show hosts_up "$net" --mtu 9000
	python3 - pages <<-'END' >process &
		import mmap
		import random
		import sys
		import time

		half = random.Random(1).randbytes(6 << 20)
		private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
		memory = mmap.mmap(-1, 12 << 20, flags=private)
		memory[:] = half * 2
		with open(sys.argv[1], "wb") as out:
		    out.write(memory)
		print("ready", flush=True)
		while True:
		    time.sleep(0.01)
	END
	pid=$!
	wait_until 10 test -s process
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --pid "$pid"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	kill "$pid"
	balanced
	within copies "$(copies)" 1300 "$(field send .ram.normal)"
	python3 -c 'if True:
		import sys
		pages, copy = (open(path, "rb").read() for path in sys.argv[1:])
		sys.exit(pages not in copy)' pages copy ||
		die "its pages are nowhere in the copy"
	nothing_left
}

# The data of the interrupted transfer is compared by digest, copies like other
# pages.
resumed()
{
	local -a receive_options=(--resume) options

	memory
	show hosts_up "$net" --mtu 9000
	options=(--to "$HOSTS_B4" --resume --name both --trim none)
	receive_begin receive --listen "$HOSTS_B4" --out copy --resume
	send_begin send "${options[@]}" --max-bandwidth 2M "$one" "$two"
	wait_until 10 has_sent 1500000
	kill -TERM "$sender"
	ended send "$sender" 10 1
	ended receive "$receiver" 10 4
	receive_begin receive --listen "$HOSTS_B4" --out copy --resume
	send_begin send "${options[@]}" "$one" "$two"
	arrived "$both"
	same resumed "$(field send .resumed)" true
	same "pages held and sent" \
		$(($(field send '."held-pages"') + $(field send .ram.normal))) \
		$((first + again))
	within copies "$(copies)" 1 "$(field send .ram.normal)"
	nothing_left
}

# peer_without COMMAND...: with a receiver behind $to that announces no
# capability.
peer_without()
{
	local proxy to=$HOSTS_B4:17000

	hosts_exec "$net" b "$here/peer.py" plain "$HOSTS_B4" 17000 16644 \
		2>ready &
	proxy=$!
	wait_until 10 grep -q ready ready
	"$@"
	finish "$proxy" 10
}

does_without()
{
	show hosts_up "$net" --mtu 9000
	on_time peer_without moved
	none
	each_once
	nothing_left
}

cannot()
{
	show hosts_up "$net" --mtu 9000
	peer_without is_told_so
	nothing_left
}

is_told_so()
{
	memory
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$to" --copies on "$one"
	ended send "$sender" 10 4 '--copies on: .*17000 takes no.*--copies auto'
	nothing_committed
	kill -TERM "$receiver"		# it still waits for a sender
	ended receive "$receiver" 10 1
}

refused()
{
	show hosts_up "$net"
	send_begin send --to "$HOSTS_B4" "${@:2}" /etc/hostname
	ended send "$sender" 10 2 "$1"
}

for mtu in 1500 9000 65535; do
	case_run "copies: near, far, across segments, MTU $mtu" \
		unsealed near_and_far "$mtu"
done
case_run "copies: on two lanes" unsealed two_lanes
case_run "copies: to an image allocated before" unsealed allocated
case_run "copies: of a process" unsealed process
case_run "copies: --copies off" unsealed without --copies off
case_run "copies: sealed" sealed
case_run "copies: sealed, --copies on" sealed --copies on
case_run "copies: sealed, --copies off" without --copies off
case_run "copies: sealed, none with --pad" padded
case_run "copies: all kinds of faults, MTU 1500" unsealed disturbed 1500 1
case_run "copies: all kinds of faults, MTU 9000" unsealed disturbed 9000 2
case_run "copies: taken up again" unsealed resumed
case_run "copies: a receiver that takes none" unsealed does_without
case_run "copies: a receiver that takes none, --copies on" unsealed cannot
case_run "copies: --pad, and --copies on" \
	refused '--copies on.*--pad' --copies on --pad
case_run "copies: neither on nor off" refused "'some'.*auto" --copies some
cases_end
