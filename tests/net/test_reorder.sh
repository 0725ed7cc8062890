#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                        the wire                       host b
#   pagetrim send -- ptNAMEa === ptNAMEx  -- ptNAMEy === ptNAMEb -- receive
#                            data up to 100 ms late,
#                            control at once
#
# Frames that arrive later than others, or later than the control channel
# reports them, are not lost: the receiver's reordering window covers them, so
# little is sent again.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# made of random bytes, so that the bytes sent equal the image's
sz=$((64 << 20))

# again WIRE-OPTION...: a transfer through a wire with these options.  $limit,
# bytes per second, may be set.  Sets percent: the share of its bytes that
# travel again, and two for headers.
limit=0
again()
{
	rm -f copy
	show hosts_wire_start "$net" wire "$wire" "$@"
	transfer "$noise" --queues 2 --max-bandwidth "$limit"
	show hosts_wire_stop
	as_the_wire_says
	[[ $(field wire .forth.delayed) -gt 0 ]] || die "nothing was delayed"
	percent=$((100 * $(field send .ram.transferred) / sz - 100))
	echo "$percent % more, late $(field receive .ledger.late)"
}

# later PERCENT-AGAIN WIRE-OPTION...: at most so many percent travel again, in
# one of three transfers at least.  A wire that lacks a CPU for as long as the
# longest window delays frames beyond it, a lane's window of them each time: on
# a busy machine this is chance, while a wrong window is wrong each time.
later()
{
	local -a receive_options=(--queues 2)
	local most=$1 percent

	shift
	show hosts_up "$net" --wire --mtu 9000 --queues 2
	for _ in 1 2 3; do
		again "$@"
		((percent > 2 + most)) || break
	done
	nothing_left
	within "percent of the bytes that travel again, and two" "$percent" 0 \
		$((2 + most))
}

# Before the first late frame arrives, its delay is unknown: all late frames
# until then count as missing.  Their number depends on this machine's speed,
# unless there is a limit: 100 ms of 3 s here.
at_most_20M()
{
	local limit=20M

	"$@"
}

# A lost frame is sent again, though the window is long.
later_and_lost()
{
	later "$@"
	[[ $(field receive .ledger.missing) -ge $(field wire .forth.dropped) ]] ||
		die "fewer missing than the wire dropped"
}

noise=$tmp/noise
head -c "$sz" /dev/urandom >"$noise"
ahead case_run "reorder: all data 100 ms later than control messages" later 25 \
	--delay 1000 --delay-us 100000 --delay-least-us 100000
ahead case_run "reorder: data in any order within 100 ms" later 20 \
	--delay 1000 --delay-us 100000
ahead case_run "reorder: every tenth frame 100 ms later" at_most_20M later 5 \
	--delay 100 --delay-us 100000 --delay-least-us 100000
ahead case_run "reorder: 1 % lost of data 100 ms later" later_and_lost 20 \
	--delay 1000 --delay-us 100000 --delay-least-us 100000 --drop 10
cases_end
