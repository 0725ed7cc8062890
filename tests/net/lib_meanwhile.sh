# shellcheck shell=bash
# shellcheck disable=SC2154 # what lib.sh has
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# lib_meanwhile.sh: transfers that are disturbed, and simulated peers.  Sourced
# by lib.sh.

# ---- a transfer to which something happens -----------------------------------

# The transfer has about 22 MB and takes 2 s.
rate=10M

# under_way MOMENT [SEND-OPTION...]: start a transfer and return at that
# moment: connected, opened (the receiver knows of the transfer), or a number of
# bytes sent.  From then on it takes minutes, so that there is time to do something
# to it, until go_on; not so where $rate is 0, or an option is --control.
under_way()
{
	local moment=$1 slows=yes

	shift
	[[ $rate != 0 && " $* " != *" --control "* ]] || slows=
	receive_begin receive --listen "$HOSTS_B4" --out "${out:-copy}" \
		--peer-timeout "${peer_timeout:-20}"
	send_begin send --to "$HOSTS_B4" --max-bandwidth "$rate" \
		${slows:+--control under-way} \
		--peer-timeout "${peer_timeout:-20}" "${@:-$(image even)}"
	case $moment in
	connected)	wait_until 10 is_connected ;;
	opened)		wait_until 10 grep -q ' transfer ' receive.err ;;
	*)		wait_until 10 has_sent "$moment" ;;
	esac
	[[ ! $slows ]] || slow_down
	! is_gone "$sender" || die "the transfer ended too early to tell"
}

# slow_down, go_on: change the rate of the transfer that is under way, with
# --control under-way.
slow_down()
{
	wait_until 10 test -S under-way
	show "$pagetrim" ctl set max-bandwidth 128K --control under-way ||
		die "the transfer ended too early to tell"
}

# The transfer may have ended by then.
go_on() { show "$pagetrim" ctl set max-bandwidth 0 --control under-way || true; }

is_connected()
{
	hosts_run "$net" b ss -Htn state established "sport = :16644" |
		grep -q .
}

# ---- peers that pretend ------------------------------------------------------

# pretend STOP [LANES]: a sender in host a that stops there, see pretender.py;
# its process is added to pretenders.  With number I it writes told-STOP-I, and
# ready-STOP-I when it has stopped.
pretenders=()
pretend()
{
	local run=$1-${#pretenders[@]}

	echo "+ [a] pretender.py sender $HOSTS_B4 16644 $*" >&2
	hosts_exec "$net" a "$here/pretender.py" sender "$HOSTS_B4" 16644 "$@" \
		>"told-$run" 2>"ready-$run" &
	pretenders+=($!)
}

# stops STOP-I: waits until it has stopped.
stops() { grep -q ready "ready-$1"; }

# pretend_receiver STOP: a receiver in host b; its input goes to the file told.
# Sets pretender.
pretend_receiver()
{
	hosts_exec "$net" b "$here/pretender.py" receiver "$HOSTS_B4" 16644 \
		"$1" >told 2>ready &
	# shellcheck disable=SC2034 # by the tests
	pretender=$!
	wait_until 10 grep -q ready ready
}

# has_stopped: the simulated receiver has stopped, since a sender connected.
has_stopped() { [[ $(grep -c ready ready) -gt 1 ]]; }

nothing_committed() { [[ ! -e ${out:-copy} ]] || die "committed all the same"; }
