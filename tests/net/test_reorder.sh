#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                        the wire                       host b
#   pagetrim send -- ptNAMEa === ptNAMEx  -- ptNAMEy === ptNAMEb -- receive
#                            data up to 100 ms late,
#                            control at once
#
# Frames that come later than others, or than the control connection tells of
# them, are not lost: the receiver's reordering window covers them, so little is
# sent again.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# made of random bytes, so that what travels is what the image has
sz=$((64 << 20))

# later PERCENT-AGAIN WIRE-OPTION...: a transfer through a wire that does so; at
# most so many percent of its bytes travel again.
later()
{
	local most=$1

	shift
	show hosts_up "$net" --wire --mtu 9000 --queues 2
	show hosts_wire_start "$net" wire "$wire" "$@"
	receive_options=(--queues 2)
	transfer "$noise" --queues 2
	show hosts_wire_stop
	as_the_wire_says
	nothing_left
	[[ $(field wire .forth.delayed) -gt 0 ]] || die "nothing was delayed"
	echo "sent $(field send .ram.transferred) bytes, late $(field receive .ledger.late)"
	within "bytes on the wire" "$(field send .ram.transferred)" "$sz" \
		$((sz * (102 + most) / 100))
}

# What is lost is sent again, though the window is long.
later_and_lost()
{
	later "$@"
	[[ $(field receive .ledger.missing) -ge $(field wire .forth.dropped) ]] ||
		die "fewer missing than the wire dropped"
}

noise=$tmp/noise
head -c "$sz" /dev/urandom >"$noise"
case_run "reorder: all data 100 ms later than control messages" later 25 \
	--delay 1000 --delay-us 100000 --delay-least-us 100000
case_run "reorder: data in any order within 100 ms" later 20 \
	--delay 1000 --delay-us 100000
case_run "reorder: every tenth frame 100 ms later" later 8 \
	--delay 100 --delay-us 100000 --delay-least-us 100000
case_run "reorder: 1 % lost of data 100 ms later" later_and_lost 20 \
	--delay 1000 --delay-us 100000 --delay-least-us 100000 --drop 10
cases_end
