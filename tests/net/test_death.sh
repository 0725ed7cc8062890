#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   pagetrim send -- ptNAMEa ================= ptNAMEb -- pagetrim receive
#     dies                      is cut                      dies
#
# A transfer that is ended by force at some moment: the other side ends with
# one line that says so, nothing stands under the final name, nothing is left
# attached, and the same transfer then works.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A transfer of about 22 MB that takes 2 s: time to do something to it.
rate=10M

# sent_bytes: what left host a so far.
sent_bytes()
{
	hosts_run "$net" a ip -s -j link show "$(dev_a)" |
		jq '.[0].stats64.tx.bytes'
}

has_sent() { [[ $(sent_bytes) -ge $1 ]]; }

# under_way BYTES [SEND-OPTION...]: start a transfer and return when that much
# of it was sent.  0: the sender has connected.
under_way()
{
	local bytes=$1

	shift
	receive_begin receive --listen "$HOSTS_B4" --out "${out:-copy}" \
		--peer-timeout "${peer_timeout:-20}"
	send_begin send --to "$HOSTS_B4" --max-bandwidth "$rate" \
		--peer-timeout "${peer_timeout:-20}" "${@:-$(image even)}"
	if [[ $bytes -eq 0 ]]; then
		wait_until 10 is_connected
	else
		wait_until 10 has_sent "$bytes"
	fi
	! is_gone "$sender" || die "the transfer ended too early to tell"
}

is_connected()
{
	hosts_run "$net" b ss -Htn state established "sport = :16644" |
		grep -q .
}

# again: the same transfer, undisturbed; what a dead receiver left is no
# hindrance.
again()
{
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" "$(image even)"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	nothing_left
}

nothing_committed() { [[ ! -e ${out:-copy} ]] || die "committed all the same"; }

receiver_killed()
{
	show hosts_up "$net" --mtu 9000
	under_way "$1"
	show kill -KILL "$receiver"
	ended send "$sender" 5 4
	nothing_committed
	again
}

sender_killed()
{
	show hosts_up "$net" --mtu 9000
	under_way "$1"
	show kill -KILL "$sender"
	ended receive "$receiver" 5 4
	nothing_committed
	nothing_left
	again
}

# The user's own wish: Ctrl-C or systemctl stop.
told_to_end()
{
	local pid

	show hosts_up "$net" --mtu 9000
	under_way 5000000
	pid=${!1}
	show kill -TERM "$pid"
	if [[ $1 == sender ]]; then
		ended send "$sender" 5 1
		ended receive "$receiver" 5 4
	else
		ended receive "$receiver" 5 1
		ended send "$sender" 5 4
	fi
	nothing_committed
	again
}

connection_cut()
{
	show hosts_up "$net" --mtu 9000
	under_way "$1"
	on a ss -Kt dport = :16644 >/dev/null
	ended send "$sender" 5 4
	ended receive "$receiver" 5 4
	nothing_committed
	again
}

# Silence beyond --peer-timeout, of data and control.
link_silent()
{
	local peer_timeout=2

	show hosts_up "$net" --mtu 9000
	under_way 5000000
	on b ip link set "$(dev_b)" down
	ended send "$sender" 12 4
	ended receive "$receiver" 12 4
	on b ip link set "$(dev_b)" up
	nothing_committed
	again
}

# A shorter one is survived.
link_blinks()
{
	show hosts_up "$net" --mtu 9000
	under_way 5000000
	on a ip link set "$(dev_a)" down
	sleep 0.5
	on a ip link set "$(dev_a)" up
	on a ip address replace fd77::1/64 dev "$(dev_a)" nodad
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
	nothing_left
}

stopped_for_a_while()
{
	show hosts_up "$net" --mtu 9000
	under_way 5000000
	show kill -STOP "${!1}"
	sleep 1
	show kill -CONT "${!1}"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
	nothing_left
}

# A receiver that stands still for good: its kernel keeps the connection up.
receiver_stopped()
{
	local peer_timeout=2

	show hosts_up "$net" --mtu 9000
	under_way 5000000
	show kill -STOP "$receiver"
	ended send "$sender" 12 4 'silent|timeout|answer'
	show kill -KILL "$receiver"
	finish "$receiver" 5
	nothing_committed
	again
}

source_cut_short()
{
	show hosts_up "$net" --mtu 9000
	cp "$(image even)" source
	under_way 3000000 source
	truncate -s 1M source
	ended send "$sender" 10 3 'source'
	ended receive "$receiver" 10 4
	nothing_committed
	nothing_left
	again
}

process_dies()
{
	local pid

	show hosts_up "$net" --mtu 9000
	python3 -c 'if True:
		import random, time
		memory = random.Random(1).randbytes(1 << 25)
		print("ready", flush=True)
		time.sleep(600)' >process &
	pid=$!
	wait_until 10 test -s process
	under_way 3000000 --pid "$pid"
	kill -KILL "$pid"
	ended send "$sender" 10 3 "$pid"
	ended receive "$receiver" 10 4
	nothing_committed
	nothing_left
	again
}

disk_full()
{
	local out=$PWD/small/copy

	show hosts_up "$net" --mtu 9000
	mkdir small
	mount -t tmpfs -o size=8m none small
	mounts=("$PWD/small")
	under_way 0
	ended receive "$receiver" 20 3 'space|full'
	ended send "$sender" 10 4 'space|full'
	nothing_committed
	nothing_left
	again
}

for bytes in 0 1000000 11000000 20000000; do
	case_run "death: receiver killed after $bytes bytes" \
		receiver_killed "$bytes"
	case_run "death: sender killed after $bytes bytes" \
		sender_killed "$bytes"
done
case_run "death: sender told to end" told_to_end sender
case_run "death: receiver told to end" told_to_end receiver
case_run "death: control connection cut at once" connection_cut 0
case_run "death: control connection cut half-way" connection_cut 11000000
case_run "death: link silent beyond the peer timeout" link_silent
case_run "death: link down for half a second is survived" link_blinks
case_run "death: sender stopped for a second is survived" \
	stopped_for_a_while sender
case_run "death: receiver stopped for a second is survived" \
	stopped_for_a_while receiver
case_run "death: receiver stopped for good" receiver_stopped
case_run "death: source cut short while it is read" source_cut_short
case_run "death: process killed while it is read" process_dies
case_run "death: sink's disk full" disk_full
cases_end
