#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a: image on a tmpfs, large pages ---> host b: image, large pages
#   host a: QEMU, large pages <--- moves ---> host b: QEMU, large pages, all mapped
#
# A memory that stands in large pages arrives in large pages, and all of a guest's data
# is mapped when it runs.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/live/lib.sh
source "$root/tests/live/lib.sh"

# two_mounts: file systems that make large pages on demand, and that do not.  The source
two_mounts()
{
	mkdir large small
	mounts+=("$PWD/large" "$PWD/small")
	mount -t tmpfs -o huge=advise none large
	mount -t tmpfs -o huge=never none small
	truncate -s 16M source
	for at in 0 1 2 5 7; do
		dd if=/dev/urandom of=source bs=4K count=200 \
			seek=$((at * 512 + 100)) conv=notrunc status=none
	done
	cp --sparse=always source large/source
	"$here/large.py" make large/source
	show hosts_up "$net"
}

# moved FROM TO [RECEIVE-OPTION...]
moved()
{
	receive_begin receive --listen "$HOSTS_B4" --out "$2" "${@:3}"
	send_begin send --to "$HOSTS_B4" "$1"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$1" "$2"
	balanced
}

# large_are SOURCE WANTED LARGE
large_are()
{
	field receive '."large-pages"'
	same "large at the source" "$(field send '."large-pages"')" "$1"
	same "wanted" "$(field receive '."large-pages".wanted')" "$2"
	same "large" "$(field receive '."large-pages".large')" "$3"
}

kept()
{
	on_disk
	two_mounts
	moved large/source small/copy
	large_are 5 5 5
	same "why" "$(field receive '."large-pages".why')" ""
	# As the next hop sees it.
	moved small/copy small/off --large-pages off
	large_are 5 0 0
	moved small/off small/keep
	large_are 0 0 0
	moved small/off small/all --large-pages all
	large_are 0 8 8
	moved large/source disk
	large_are 5 5 0
	field receive '."large-pages".why' |
		grep -q "on a file system without large pages"
}

# seen HOST KEY: prints that of the RAM of its QEMU, see large.py.
seen()
{
	"$here/large.py" look "$(<"$live/$1/qemu.pid")" "$(live_ram "$1")" |
		jq ".$2"
}

# speed HOST: prints the median of five times, in ms, that the guest there takes to check
# all of its memory.  It is reported, not judged.
speed()
{
	local i start

	for ((i = 0; i < 5; i++)); do
		start=${EPOCHREALTIME/./}
		live_guest tell verify --dir "$live/$1" >/dev/null
		echo $(((${EPOCHREALTIME/./} - start) / 1000))
	done | sort -n | sed -n 3p
}

# looked HOST: reports its guest.
looked()
{
	echo "host $1: $(seen "$1" large) large pages, $(seen "$1" lacking) pages" \
		"with data not mapped, memory checked in $(speed "$1") ms"
}

# there_and_back KEEP: QEMU's RAM is collapsed at host a; KEEP is receive's.
there_and_back()
{
	local way cnt want

	live=$dir
	mover=pagetrim
	live_options=(--aligned --set "MIB=96 RATE=500")
	trap 'code=$?; set +e; live_down; (exit $code); case_end' EXIT
	show hosts_up "$net" --lan
	cp "$tmp/keys.psk" "$live/psk"
	live_launch start a
	live_client_begin
	"$here/large.py" collapse "$(<"$live/a/qemu.pid")" "$(live_ram a)"
	cnt=$(seen a large)
	((cnt >= 48)) || die "only $cnt large pages at the source"
	looked a
	live_receive_args=(--large-pages "$1")
	want=$cnt
	[[ $1 == keep ]] || want=0
	for way in "a b" "b a"; do
		# shellcheck disable=SC2086 # two words
		move $way
		cat "$live/receive.json"
		looked "${way#* }"
		same "large pages" "$(seen "${way#* }" large)" "$want"
		same "large pages, as told" "$(jq '."large-pages".large' \
			"$live/receive.json")" "$want"
		same "pages that are not mapped" "$(seen "${way#* }" lacking)" 0
		same "such pages, as told" "$(jq \
			'."large-pages"."unmapped-pages"' \
			"$live/receive.json")" 0
		live_is_sound "${way#* }"
	done
	live_client_end
}

case_run "large: an image on a tmpfs" kept
case_run "large: a guest, there and back" there_and_back keep
case_run "large: a guest, there and back, in small pages" there_and_back off
cases_end
