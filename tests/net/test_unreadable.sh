#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   poisoned.c: some pages cannot be read
#        |  /proc/PID/mem
#   pagetrim send --pid ======================== pagetrim receive --out copy
#                                                copy, copy.with/unreadable.json
#   pagetrim send copy ========================= pagetrim receive --out copy2
#
# Pages that cannot be read end a transfer, or come as such: listed beside the image,
# also after a second hop, and after one that was interrupted.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pages=4096
poison=${PAGETRIM_POISON-mark}	# see poisoned.c

# poisoned_begin: sets pid, and first, the number of its first page; bad are those
# that cannot be read.
poisoned_begin()
{
	"$build/tests/net/poisoned" "$poison" "$pages" 1 2 700 4095 >page \
		2>poisoned.err &
	pid=$!
	wait_until 10 test -s page
	read -r first <page
	bad="$((first + 1)) $((first + 2)) $((first + 700)) $((first + 4095))"
}

begin()
{
	show hosts_up "$net" --mtu 9000
	poisoned_begin
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --pid "$pid" --skip-shared "$@"
}

# counted END WANT: in its report.
counted()
{
	same "unreadable pages by $1" "$(jq -c .unreadable.pages "$1.json")" "$2"
}

both_counted() { counted send "$1"; counted receive "$1"; }

fails()
{
	begin
	ended send "$sender" 60 1 "cannot read .*--on-unreadable mark"
	ended receive "$receiver" 20 4
	[[ ! -e copy ]] || die "committed all the same"
}

zeroes()
{
	begin --on-unreadable zero
	ended send "$sender" 60 0
	ended receive "$receiver" 20 0
	both_counted 0
	same "pages that went as zeroes" \
		"$(jq '.unreadable."zeroed-pages"' send.json)" 4
	same "bytes left out" "$(jq '."left-out".unreadable' send.json)" \
		$((4 * 4096))
	[[ ! -e copy.with/unreadable.json ]] || die "a list all the same"
}

# marked: copy has all that could be read, and a list of the rest.
marked()
{
	begin --on-unreadable mark
	ended send "$sender" 60 0
	ended receive "$receiver" 20 0
	balanced
	both_counted 4
	same "ranges" "$(jq -c '[.unreadable.ranges[] | .gfn, .pages]' \
		send.json)" "[$((first + 1)),2,$((first + 700)),1,$((first + 4095)),1]"
	same "list" "$("$here/unreadable.py" list copy)" "$bad"
	"$here/unreadable.py" pattern copy "$first" "$pages" ||
		die "the image is not as it was"
}

live()
{
	begin --live
	ended send "$sender" 60 0
	ended receive "$receiver" 20 0
	same "list" "$("$here/unreadable.py" list copy)" "$bad"
	"$here/unreadable.py" pattern copy "$first" "$pages" ||
		die "the image is not as it was"
}

# hop [OPTION...]: copy, and its list, to copy2.
hop()
{
	receive_begin receive --listen "$HOSTS_B4" --out copy2
	send_begin send --to "$HOSTS_B4" "$@" copy
	ended send "$sender" 60 0
	ended receive "$receiver" 20 0
	same_file copy copy2
	balanced
}

same_lists()
{
	same "lists" "$(jq -cS . copy2.with/unreadable.json)" \
		"$(jq -cS . copy.with/unreadable.json)"
}

second_hop()
{
	marked
	hop
	both_counted 4
	same_lists
	rm -r copy2 copy2.with
	hop --on-unreadable zero
	both_counted 0
	[[ ! -e copy2.with ]] || die "a list all the same"
}

# No copy of such a page is made, though its bytes in the image are those of
# another.
resumed()
{
	marked
	receive_begin receive --listen "$HOSTS_B4" --out copy2 --resume
	send_begin send --to "$HOSTS_B4" --resume --max-bandwidth 4M --copies off \
		--compress off copy
	wait_until 20 has_sent $(($(sent_bytes) + 6000000))
	show kill -KILL "$receiver"
	ended send "$sender" 30 4
	[[ -f copy2.partial && ! -e copy2 ]] || die "not interrupted: $(ls)"
	receive_begin receive --listen "$HOSTS_B4" --out copy2 --resume
	send_begin send --to "$HOSTS_B4" --resume copy
	ended send "$sender" 60 0
	ended receive "$receiver" 20 0
	same resumed "$(field send .resumed) $(field receive .resumed)" "true true"
	same_file copy copy2
	both_counted 4
	same_lists
}

case_run "unreadable: fails" fails
case_run "unreadable: zero" zeroes
case_run "unreadable: mark" marked
case_run "unreadable: mark a process that runs" live
case_run "unreadable: second hop" second_hop
case_run "unreadable: resumed" resumed
cases_end
