#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                        the wire                       host b
#   pagetrim send -- ptNAMEa === ptNAMEx  -- ptNAMEy === ptNAMEb -- receive
#     is stopped,             falls silent,                  is stopped, loses
#     has another clock       eats large frames              its XDP program
#
# Disturbances during a transfer.  It survives, and the ledgers balance; or both
# ends report the cause in time.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# survived: the transfer succeeds all the same.
survived()
{
	[[ ! -S under-way ]] || go_on
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
}

# both_end EXIT WORD: each reports it within seconds, and the next one works.
both_end()
{
	go_on
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

# No packet passes for 5 s, TCP included.
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
	both_end 4 'silent for'
	show hosts_wire_stop
	nothing_left
}

# The path suddenly carries only frames up to 1514 bytes.
path_narrows()
{
	wire_begin --eat-above 1514 --eat-after 500
	under_way 3000000
	survived
	wire_end
	within "bytes of a frame" \
		"$(field send '.lanes[0]."frame-bytes"')" 1294 1514
}

# The same, but a device reports it.
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

# stopped AGENT SECONDS: it is stopped for so long.
stopped()
{
	show kill -STOP "${!1}"
	sleep "$2"
	show kill -CONT "${!1}"
}

stopped_and_survived()
{
	show hosts_up "$net" --mtu 9000
	under_way 5000000
	stopped "$1" 3
	survived
	nothing_left
}

# The agent's own clock jumps by more than its peer timeout, like that of a
# suspended machine.  Its peer waits; the peer was not silent.
jumped()
{
	local jumping=$1
	local -A timeout=([sender]=20 [receiver]=20)

	timeout[$jumping]=1	# less than the time it is stopped
	show hosts_up "$net" --mtu 9000
	peer_timeout=${timeout[receiver]} under_way 5000000 \
		--peer-timeout "${timeout[sender]}" "$(image even)"
	stopped "$jumping" 2
	survived
	nothing_left
}

# Each end reads its own clocks only: one host runs 30 years ahead of the other.
years_apart()
{
	local whole=$pagetrim

	show hosts_up "$net" --mtu 9000
	cat >ahead <<-EOF
		#!/bin/sh
		exec unshare --time --fork --kill-child --monotonic 1000000000 \\
			--boottime 1000000000 '$pagetrim' "\$@"
	EOF
	chmod +x ahead
	[[ $1 != receiver ]] || pagetrim=$PWD/ahead
	receive_begin receive --listen "$HOSTS_B4" --out copy
	pagetrim=$whole
	[[ $1 != sender ]] || pagetrim=$PWD/ahead
	send_begin send --to "$HOSTS_B4" "$(image even)"
	survived
	nothing_left
}

# received_packets: prints host b's received packets so far, by its device.
received_packets()
{
	# shellcheck disable=SC2016 # awk's
	hosts_run "$net" b awk -v dev="$(dev_b):" '$1 == dev { print $3 }' \
		/proc/net/dev
}

has_received() { [[ $(received_packets) -ge $1 ]]; }

# Every frame is duplicated 8 times, on a long path, and the receiver is stopped
# for a while: the frames in flight exceed the ring.  The ledger counts the
# frames that the socket drops.
starved()
{
	local received

	wire_begin --repeat 1000 --repeats 7 \
		--delay 1000 --delay-us 200000 --delay-least-us 200000
	under_way 5000000
	go_on
	show kill -STOP "$receiver"
	received=$(received_packets)
	# Each takes 3 of 2048 places.
	wait_until 10 has_received $((received + 900))
	show kill -CONT "$receiver"
	survived
	wire_end
	[[ $(field receive .ledger.socket_dropped) -gt 0 ]] || die "not starved"
}

# One end's link goes down, and comes up again.
link_down_and_up()
{
	local dev

	dev=$(hosts_dev "$net" "$1")
	show hosts_up "$net" --mtu 9000
	under_way 3000000
	on "$1" ip link set "$dev" down
	sleep 2
	on "$1" ip link set "$dev" up
	survived
	nothing_left
}

# The sink's disk fills up; when space is free again, --resume continues there.
disk_full()
{
	local out=$PWD/small/copy

	show hosts_up "$net" --mtu 9000
	mkdir small
	mount -t tmpfs -o size=8m none small
	mounts=("$PWD/small")
	receive_begin receive --listen "$HOSTS_B4" --out "$out" --resume
	send_begin send --to "$HOSTS_B4" --resume "$(image even)"
	ended receive "$receiver" 20 3 'space|full'
	ended send "$sender" 10 4 'space|full'
	nothing_committed
	nothing_attached
	mount -o remount,size=64m small
	receive_begin receive --listen "$HOSTS_B4" --out "$out" --resume
	send_begin send --to "$HOSTS_B4" --resume "$(image even)"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" "$out"
	balanced
	same resumed "$(field send .resumed)" true
	within "pages that were held" "$(field send '."held-pages"')" 500 2048
}

# program_id: prints the id of the XDP program on host b's device.
program_id()
{
	hosts_run "$net" b ip -j link show "$(dev_b)" | jq '.[0].xdp.prog.id'
}

# program_detach: detaches it by its link, as root can.
program_detach()
{
	local link

	link=$(bpftool -j link list | jq ".[] | select(.type == \"xdp\" and
		.prog_id == $(program_id)) | .id")
	show bpftool link detach id "$link"
	same "the program on the device" "$(program_id)" null
}

# Another process detaches the receiver's program, and may attach one that drops
# all packets, TCP too.  The test does not use ip(8), which leaves folders in
# the BPF file system for ever.
detached()
{
	local pin=/sys/fs/bpf/pt$net-other

	show bpftool prog load "$build/wire.bpf.o" "$pin"
	litter=("$pin")
	show hosts_up "$net" --mtu 9000
	under_way 5000000
	program_detach
	[[ ${1-} != replaced ]] || on b bpftool net attach xdpdrv \
		pinned "$pin" dev "$(dev_b)"
	ended receive "$receiver" 15 3 'detached .* XDP program'
	[[ ${1-} != replaced ]] ||
		on b bpftool net detach xdpdrv dev "$(dev_b)"
	ended send "$sender" 12 4
	nothing_committed
	nothing_left
}

# No frame arrives any more, but the control channel lives.
data_cut()
{
	local peer_timeout=2

	wire_begin --eat-above 200 --eat-after 500
	under_way 3000000
	both_end 4 'no frame was accepted'
	show hosts_wire_stop
	nothing_left
}

# The real clock may jump: it only stamps log lines.  (The test cannot set it,
# since it is the whole machine's.)
real_clock_unused()
{
	local -a users

	mapfile -t users < <(grep -lrE \
		'CLOCK_REALTIME|gettimeofday\(|[^_a-z]time\((NULL|0|&)' \
		"$root/user" "$root/bpf" "$root/include")
	same "files that read the real clock" "${users[*]#"$root"/}" \
		user/cli/output.c
}

case_run "meanwhile: 5 s of silence are survived" silence_survived
case_run "meanwhile: silence beyond the peer timeout" silence_too_long
case_run "meanwhile: the path begins to eat large frames" path_narrows
case_run "meanwhile: the receiver's MTU is lowered" device_narrows b
case_run "meanwhile: the sender's MTU is lowered" device_narrows a
case_run "meanwhile: only the control connection lives" data_cut
case_run "meanwhile: the sink's disk full, and room again" disk_full
case_run "meanwhile: the receiver's link down for 2 s" link_down_and_up b
case_run "meanwhile: the sender's link down for 2 s" link_down_and_up a
case_run "meanwhile: the receiver stopped for 3 s" stopped_and_survived receiver
case_run "meanwhile: the sender stopped for 3 s" stopped_and_survived sender
case_run "meanwhile: the receiver's clock jumps" jumped receiver
case_run "meanwhile: the sender's clock jumps" jumped sender
case_run "meanwhile: the receiver's clock is 30 years ahead" years_apart receiver
case_run "meanwhile: the sender's clock is 30 years ahead" years_apart sender
case_run "meanwhile: the real clock is for log lines" real_clock_unused
case_run "meanwhile: the receiver's ring overflows" starved
case_run "meanwhile: the XDP program is detached" detached
case_run "meanwhile: the XDP program is replaced" detached replaced
cases_end
