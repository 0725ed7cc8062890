#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   netns a                                    netns b
#   send --- card n0 === QEMU's hub or bridge === card n1 --- receive
#   ping, TCP                                            what answers
#
# run.sh: process 1 of the machines that scripts/test-nic.sh boots.  It sends
# memory from one emulated card to the other with zero copy at both ends, at
# one, at none, while ping and TCP run on all queues, and prints a row of the
# table for each; then it runs transfers that fail, and two that share the
# cards.
#
#     run.sh BUILD CARD none|some      some: the card has zero copy
set -uo pipefail
build=$1 card=$2 offers=$3
pagetrim=$build/pagetrim
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/guest/process1.sh
source "$here/../../scripts/guest/process1.sh"
# shellcheck source=tests/nic/transfer.sh
source "$here/transfer.sh"
passed=0 failed=0
pages=2048 pings=30 exchanges=20
other=/sys/fs/bpf/other

judge()
{
	local name=$1

	shift
	if "$@"; then
		echo "ok $card: $name"
		passed=$((passed + 1))
		return 0
	fi
	echo "not ok $card: $name"
	tail -n 5 /run/*.err /run/ping /run/tcp 2>&1 |
		tr '\r' '\n' | sed 's/^/    /'
	jq -Mc '{status, "error-desc", ledger, lanes}' /run/*send.json |
		sed 's/^/    /'
	failed=$((failed + 1))
	return 1
}

# tcp: connections on each queue of both devices; none may wait for an answer.
tcp()
{
	local said

	echo "$exchanges $(rx_queues a n0) $(rx_queues b n1)" >&"${beside[1]}"
	read -r -t "$timeout_s" said <&"${beside[0]}" || return 1
	echo "$said" >>/run/tcp
	jq -e '.unanswered == 0 and .deaf == [[], []]' <<<"$said" >/dev/null
}

# traffic: no frame of it may be lost because its queue is not served.
traffic()
{
	local ping result=0

	: >/run/tcp
	a ping -q -i 0.1 -c "$pings" -W 5 10.77.0.2 >/run/ping 2>&1 &
	ping=$!
	tcp || result=1
	wait "$ping"
	grep -q " $pings received" /run/ping && return "$result"
}

# is_sound NAME SENDER RECEIVER: modes (on, off), ledger and image are right.
is_sound()
{
	local name=$1

	jq -e --argjson want "$(is_on "$2")" '.status == "completed" and
		.ledger.unaccounted == 0 and
		all(.lanes[] | select(.frames > 0); .["zero-copy"] == $want)' \
		"/run/$name.send.json" >/dev/null &&
	jq -e --argjson want "$(is_on "$3")" '.status == "completed" and
		all(.sockets[]; .["zero-copy"] == $want)' \
		"/run/$name.receive.json" >/dev/null &&
	cmp /run/image "/run/$name.copy"
}

mode() { [[ $1 == on ]] && echo "zero copy" || echo "copy"; }

# row TX RX RESULT: prints a row of the table.
row()
{
	local json=/run/ab.send.json

	echo "| $card | $driver | $(mode "$1") | $(mode "$2") |" \
		"$(jq '[.lanes[] | select(.frames > 0)] | length' $json)" \
		"of $queues | $(jq '[.lanes[]["frame-bytes"]] | max' $json)" \
		"| $(jq -r '"\(.flows) connections, \(.longest_ms) ms"' \
			/run/tcp) | $3 |"
}

# one_way TX RX: sends from a to b, with traffic beside it.
one_way()
{
	local tx=$1 rx=$2 word result=passed heard=1

	word="$(mode "$tx") to $(mode "$rx")"
	receive_begin ab --zero-copy "$rx" --queues "$queues"
	if send_begin ab --zero-copy "$tx" --queues "$queues"; then
		traffic
		heard=$?
		# Else the transfer ran without traffic.
		is_sending ab || heard=1
	fi
	transfer_end ab
	judge "$word, ledger balanced, copy the same" \
		is_sound ab "$tx" "$rx" || result=failed
	judge "$word, ping and TCP on all queues beside it" \
		[ "$heard" -eq 0 ] || result=failed
	[[ $tx$rx != *on* ]] ||
		judge "$word, no program is left" soon has_none || result=failed
	row "$tx" "$rx" "$result"
}

# automatic: zero copy where it works; else the reason is logged, once.
automatic()
{
	local tx=on rx=on

	case $card in
	virtio | virtio-mq)	tx=off ;;
	virtio-copy)		tx=off rx=off ;;
	esac
	receive_begin ab
	send_begin ab
	transfer_end ab
	judge "auto: $(mode $tx) to $(mode $rx)" is_sound ab $tx $rx
	judge "auto: who copies says why, once" \
		[ "$(whys send) $(whys receive)" = "$(is_off $tx) $(is_off $rx)" ]
}

# killed: the sender's program is detached when it is killed in any way.
killed()
{
	receive_begin ab --zero-copy on
	send_begin ab --zero-copy on &&
		judge "the sender's program runs while it sends" runs pagetrim_pass
	kill -KILL "$(sender_pid ab)"
	judge "kill -9 of the sender: its program is gone" soon has_no a n0
	transfer_end ab
	judge "kill -9 of the sender: the cards reach each other" soon is_reached
}

# foreign: the sender's device has a foreign program.
foreign()
{
	bpftool prog load "$build/count.bpf.o" "$other" &&
		a bpftool net attach xdpdrv pinned "$other" dev n0
	soon is_reached
	receive_begin ab --zero-copy on
	send_begin ab --zero-copy on &&
		judge "a foreign program suffices" runs_not pagetrim_pass
	transfer_end ab
	judge "a foreign program: ledger balanced, copy the same" \
		is_sound ab on on
	judge "a foreign program stays when the sender ends" runs count a n0

	receive_begin ab --zero-copy on
	send_begin ab --zero-copy on && a bpftool net detach xdpdrv dev n0
	soon is_over ab
	transfer_end ab
	judge "a foreign program that goes ends the sender, which says so" \
		says ab 3 'n0: another process detached the XDP program'
	rm -f "$other"
	soon is_reached
}

# refused WORDS HOST COMMAND...: the command exits with 3 before it contacts the
# peer.
refused()
{
	local words=$1 host=$2

	shift 2
	"$host" timeout "$timeout_s" "$pagetrim" "$@" --insecure \
		>/run/refused.json 2>/run/refused.err
	[[ $? -eq 3 ]] && grep -Eq "$words" /run/refused.err
}

refused_send()
{
	local words=$1

	shift
	refused "$words" a send --dev n0 --to 10.77.0.2 "$@" /run/image
}

refused_receive()
{
	local words=$1 host=$2 dev=$3 addr=$4

	shift 4
	refused "$words" "$host" receive --dev "$dev" --listen "$addr:17000" \
		--out /run/refused.copy "$@"
}

# none_left: each queue of n0 is held by one of two agents, which the error
# names.
none_left()
{
	local words='n0.*queue [0-9]+: taken by pid [0-9]+, pagetrim'

	judge "no queue is left to send on, refused by name" \
		refused_send "$words" --queues 1
	judge "no queue is left to receive on, refused by name" \
		refused_receive "$words" a n0 10.77.0.1 --queues 1
}

# both_ways MODE: a second transfer from b to a on the queues that the first
# left.  On n0 the receiver comes second, on n1 the sender.
both_ways()
{
	local share=$((queues > 1 ? queues / 2 : 1)) mode=$1

	receive_begin ab --zero-copy "$mode" --queues "$share"
	send_begin ab --zero-copy "$mode" --queues "$share"
	if ((queues > 1)); then
		receive_begin ba --zero-copy "$mode" --queues "$share"
		judge "a second pagetrim sends the other way" send_begin ba \
			--zero-copy "$mode" --queues "$share"
	fi
	none_left
	judge "ping and TCP on all queues beside it all" traffic
	transfer_end ab
	judge "there: ledger balanced, copy the same" \
		is_sound ab "$mode" "$mode"
	if ((queues > 1)); then
		transfer_end ba
		judge "back: ledger balanced, copy the same" \
			is_sound ba "$mode" "$mode"
	fi
	judge "both ways, no program is left" soon has_none
}

# with_zero_copy: runs the tests that need cards with zero copy.
with_zero_copy()
{
	one_way on on
	one_way on off
	one_way off on
	one_way off off
	automatic
	killed
	foreign
	both_ways on
	a ip link set dev n0 mtu 4000
	judge "an MTU above a chunk is refused by name" refused_send \
		'n0: its MTU is 4000' --zero-copy on
	a ip link set dev n0 mtu 1500
}

without_zero_copy()
{
	judge "refuses to send with zero copy" \
		refused_send 'n0.* zero copy' --zero-copy on
	judge "refuses to receive with zero copy" \
		refused_receive 'n1.* zero copy' b n1 10.77.0.2 --zero-copy on
	one_way off off
	automatic
	both_ways off
}

echo "Linux $(uname -r), $(nproc) CPUs, $card"
hosts_up
driver=$(a ethtool -i n0 | sed -n 's/^driver: //p')
queues=$(combined a n0)
head -c $((pages * 4096)) /dev/urandom >/run/image
judge "the cards reach each other" soon is_reached
coproc beside { exec "$here/beside.py" a n0 b n1 10.77.0.2; }
if [[ $offers == some ]]; then
	with_zero_copy
else
	without_zero_copy
fi
judge "reach each other after it all" soon is_reached
judge "no XDP program is left" has_none
echo "$passed passed, $failed failed"
echo "all tests ran"
