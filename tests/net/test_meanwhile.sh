#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                        the wire                       host b
#   pagetrim send -- ptNAMEa === ptNAMEx  -- ptNAMEy === ptNAMEb -- receive
#     is stopped,             falls silent,                  is stopped, loses
#     has another clock       eats large frames              its XDP program
#
# Things that happen in the midst of a transfer.  It survives, and the ledgers
# balance; or both ends say in time what it was.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# survived: the transfer ends well all the same.
survived()
{
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
}

# both_end EXIT WORD: each says so within seconds, and the next one works.
both_end()
{
	ended send "$sender" 12 "$1" "$2"
	ended receive "$receiver" 12 "$1" "$2"
	nothing_committed
}

wire_begin()
{
	show hosts_up "$net" --wire --mtu 9000
	show hosts_wire_start "$net" wire "$wire" "$@"
}

wire_end()
{
	show hosts_wire_stop
	as_the_wire_says
	nothing_left
}

# Nothing passes for 5 s, TCP neither.
silence_survived()
{
	wire_begin --silence-after 500 --silence-ms 5000
	under_way 3000000
	survived
	wire_end
	[[ $(field wire .forth.silenced) -gt 0 ]] || die "there was no silence"
}

silence_too_long()
{
	local peer_timeout=2

	wire_begin --silence-after 500 --silence-ms 60000
	under_way 3000000
	both_end 4 'silent|no frame was accepted'
	show hosts_wire_stop
	nothing_left
}

# The path takes frames of 1514 bytes at most, all of a sudden.
path_narrows()
{
	wire_begin --eat-above 1514 --eat-after 500
	under_way 3000000
	survived
	wire_end
	within "bytes of a frame" \
		"$(field send '.lanes[0]."frame-bytes"')" 1294 1514
}

# The same, but a device says so.
device_narrows()
{
	show hosts_up "$net" --mtu 9000
	under_way 3000000
	on "$1" ip link set "$(hosts_dev "$net" "$1")" mtu 1500
	survived
	nothing_left
	# A device's own MTU does not bind AF_XDP.
	[[ $1 == a ]] || within "bytes of a frame" \
		"$(field send '.lanes[0]."frame-bytes"')" 1294 1514
}

case_run "meanwhile: 5 s of silence are survived" silence_survived
case_run "meanwhile: silence beyond the peer timeout" silence_too_long
case_run "meanwhile: the path begins to eat large frames" path_narrows
case_run "meanwhile: the receiver's MTU is lowered" device_narrows b
case_run "meanwhile: the sender's MTU is lowered" device_narrows a
cases_end
