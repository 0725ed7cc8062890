#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   netns a                                    netns b
#   send --- card n0 === QEMU's hub or bridge === card n1 --- receive
#   ping, iperf3 -c                                            iperf3 -s
#
# run.sh: process 1 of the machines that scripts/test-nic.sh boots.  Sends memory
# from one emulated card to the other with zero copy at both ends, at one, at
# none, while ping and TCP go on, and prints a row of the table for each.
#
#     run.sh BUILD CARD none|some      some: the card has zero copy
set -uo pipefail
pagetrim=$1/pagetrim card=$2 offers=$3
# shellcheck source=scripts/guest/process1.sh
source "$(dirname "$0")/../../scripts/guest/process1.sh"
passed=0 failed=0
pages=1024 rate=1M pings=30 timeout_s=90

a() { nsenter --net=/run/netns/a "$@"; }
b() { nsenter --net=/run/netns/b "$@"; }

# join CARD HOST NAME ADDRESS
join()
{
	ip netns add "$2"
	ip link set "$1" netns "$2" name "$3"
	"$2" ip addr add "$4/24" dev "$3"
	"$2" ip link set lo up
	"$2" ip link set "$3" up
}

# soon COMMAND...: within timeout_s.
soon()
{
	local end=$((SECONDS + timeout_s))

	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

is_reached() { a ping -q -c 1 -W 1 10.77.0.2 >/dev/null; }
listens() { grep -q ' listening on ' /run/receive.err; }
sends() { grep -q ': 4.0 MiB to ' /run/receive.err; }

judge()
{
	local name=$1

	shift
	if "$@"; then
		echo "ok $name"
		passed=$((passed + 1))
		return 0
	fi
	echo "not ok $name"
	tail -n 5 /run/*.err /run/ping /run/tcp | tr '\r' '\n' | sed 's/^/    /'
	jq -Mc . /run/send.json | sed 's/^/    /'
	failed=$((failed + 1))
	return 1
}

# traffic: ping and four TCP connections, so on each queue, while frames go.
# Nothing of it may be lost for want of a queue that hears.
traffic()
{
	soon sends || return 1
	a ping -q -i 0.1 -c "$pings" -W 5 10.77.0.2 >/run/ping 2>&1 &
	local ping=$!

	a iperf3 -c 10.77.0.2 -P 4 -t 2 -b 500K --json >/run/tcp 2>&1 ||
		return 1
	wait "$ping"
	grep -q " $pings received" /run/ping && jq -e '
		[.end.streams[].receiver.bytes] | length == 4 and min > 0' \
		/run/tcp >/dev/null
}

# is_sound SENDER RECEIVER: modes, ledger and image are as they should be.
is_sound()
{
	jq -e --argjson want "$1" '.status == "completed" and
		.ledger.unaccounted == 0 and
		all(.lanes[] | select(.frames > 0); .["zero-copy"] == $want)' \
		/run/send.json >/dev/null &&
	jq -e --argjson want "$2" '.status == "completed" and
		all(.sockets[]; .["zero-copy"] == $want)' \
		/run/receive.json >/dev/null &&
	cmp /run/image /run/copy
}

mode() { [[ $1 == true ]] && echo "zero copy" || echo "copy"; }

# transfer SENDER RECEIVER: true: zero copy.
transfer()
{
	local tx=$1 rx=$2 receiver sender sent heard
	local word result=passed

	rm -f /run/copy* /run/*.json /run/*.err
	word=$([[ $rx == true ]] && echo on || echo off)
	b "$pagetrim" receive --insecure --dev n1 --listen 10.77.0.2 \
		--queues auto --zero-copy "$word" --out /run/copy --json \
		>/run/receive.json 2>/run/receive.err &
	receiver=$!
	soon listens
	soon is_reached
	word=$([[ $tx == true ]] && echo on || echo off)
	a timeout "$timeout_s" "$pagetrim" send --insecure --dev n0 \
		--to 10.77.0.2 --queues auto --zero-copy "$word" \
		--max-bandwidth "$rate" --json /run/image \
		>/run/send.json 2>/run/send.err &
	sender=$!
	traffic
	heard=$?
	wait "$sender"
	sent=$?
	[[ $sent -eq 0 ]] || kill "$receiver"
	wait "$receiver"
	word="$card: $(mode "$tx") to $(mode "$rx")"
	judge "$word, ledger balanced, copy the same" is_sound "$tx" "$rx" ||
		result=failed
	judge "$word, ping and TCP beside it" [ "$heard" -eq 0 ] ||
		result=failed
	echo "| $card | $driver | $(mode "$tx") | $(mode "$rx") |" \
		"$(jq '[.lanes[] | select(.frames > 0)] | length' /run/send.json)" \
		"of $queues | $(jq '[.lanes[]["frame-bytes"]] | max' \
			/run/send.json) | $result |"
}

# refused: --zero-copy on, where the card has none, before anybody is called.
refused()
{
	local host=$1

	shift
	"$host" timeout "$timeout_s" "$pagetrim" "$@" --insecure \
		--zero-copy on >/run/send.json 2>/run/send.err
	[[ $? -eq 3 ]] && grep -q "n[01].* zero copy" /run/send.err
}

echo "Linux $(uname -r), $(nproc) CPUs, $card"
mapfile -t cards < <(for path in /sys/class/net/*; do
	[[ ! -e $path/device ]] || basename "$path"
done)
join "${cards[0]}" a n0 10.77.0.1
join "${cards[1]}" b n1 10.77.0.2
driver=$(a ethtool -i n0 | sed -n 's/^driver: //p')
queues=$(a ethtool -l n0 | sed -n 's/^Combined:[^0-9]*//p' | tail -n 1)
head -c $((pages * 4096)) /dev/urandom >/run/image
judge "$card: the cards reach each other" soon is_reached
b iperf3 -s >/run/iperf 2>&1 &
if [[ $offers == some ]]; then
	transfer true true
	transfer true false
	transfer false true
else
	judge "$card: refuses to send with zero copy" refused a send --dev n0 \
		--to 10.77.0.2 /run/image
	judge "$card: refuses to receive with zero copy" refused b receive \
		--dev n1 --listen 10.77.0.2 --out /run/copy
fi
transfer false false
judge "$card: reach each other after it all" soon is_reached
judge "$card: no XDP program is left" \
	[ -z "$(a ip link show n0 | grep -o xdp; b ip link show n1 | grep -o xdp)" ]
echo "$passed passed, $failed failed"
echo "all tests ran"
