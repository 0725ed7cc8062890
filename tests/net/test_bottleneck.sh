#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                  netns w: a bridge                      host b
#   pagetrim send ======== x                 y: 100 Mbit/s, ======= pagetrim receive
#                                               60 frames
#
# A path that is slower than the device: the sender adapts to it, though the
# bottleneck drops frames when its queue is full.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

security=(--insecure)

# narrow RATE FRAMES: limits the path to b, by a queue of so many frames.  On
# one host the bridge charges frames to the socket buffer of their lane, so a
# lane of 15 frames could never fill that queue.  Netfilter on the bridge ends
# that, as a cable does.
narrow()
{
	local y

	modprobe -q br_netfilter 2>/dev/null || :
	on w sysctl -qw net.bridge.bridge-nf-call-iptables=1
	y=$(hosts_dev "$net" y)
	on w tc qdisc add dev "$y" root handle 1: htb default 1
	on w tc class add dev "$y" parent 1: classid 1:1 htb rate "$1" \
		burst 64k quantum 60000
	on w tc qdisc add dev "$y" parent 1:1 handle 2: pfifo limit "$2"
}

# dropped: prints the number of frames that the bottleneck dropped.
dropped()
{
	hosts_run "$net" w tc -s -j qdisc show dev "$(hosts_dev "$net" y)" |
		jq '[.[] | select(.handle == "2:") | .drops] | add'
}

# little_lost: the bottleneck dropped at most 5 % of the frames, most of them at
# the start, when the window is twice its queue; and the sender knows the path's
# rate.  Without a controller it drops three of four frames.
little_lost()
{
	local frames lost

	frames=$(field send .frames) lost=$(field send '."frames-lost"')
	echo "dropped $(dropped), lost $lost of $frames; $(jq -c .path send.json)"
	within "frames lost" "$lost" 0 $((frames / 20))
	within "bytes sent" "$(field send .ram.transferred)" 0 \
		$((size * 11 / 10))
	within "rate found" "$(field send .path.rate)" 1000000 200000000
}

alone()
{
	local size

	hosts_up "$net" --hub --mtu 9000
	narrow 100mbit 60
	size=$((48 << 20))
	head -c "$size" /dev/urandom >image
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" "$PWD/image"
	ended send "$sender" 90 0
	ended receive "$receiver" 10 0
	same_file image copy
	balanced
	little_lost
}

# while_it_runs: status reports the path's rate.
while_it_runs()
{
	hosts_up "$net" --hub --mtu 9000
	narrow 20mbit 60
	head -c 8M /dev/urandom >image
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --control "$PWD/control" "$PWD/image"
	wait_until 20 path_is_told
	ended send "$sender" 90 0
	ended receive "$receiver" 10 0
}

path_is_told()
{
	"$pagetrim" ctl status --json --control control >status.json 2>/dev/null &&
		jq -e '."path-window" > 0 and ."path-rate" > 0' status.json \
			>/dev/null
}

# With a receiver that does not report arrivals the sender has no controller.
not_told()
{
	hosts_up "$net" --mtu 9000
	head -c 8M /dev/urandom >image
	receive_begin receive --listen "$HOSTS_B4" --out copy
	hosts_exec "$net" b "$here/peer.py" plain "$HOSTS_B4" 17000 16644 \
		2>peer.err &
	wait_until 30 grep -qs ready peer.err
	send_begin send --to "$HOSTS_B4:17000" "$PWD/image"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file image copy
	same path "$(jq -c .path send.json)" null
}

ahead case_run "bottleneck: 100 Mbit/s, 60 frames of queue" alone
case_run "bottleneck: status tells what the path takes" while_it_runs
case_run "bottleneck: a receiver that does not tell" not_told

cases_end
