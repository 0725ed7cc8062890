#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                          host b
#   send x 2, ping, TCP -- ptNAMEa === ptNAMEb -- receive --serve, ping, TCP
#
# An interface carries more than one transfer: other transfers, the kernel's own
# traffic, and readers of its counters.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A sender that sends messages without pause delays no other sender, nor the end
# by a signal.
chatter()
{
	local talker
	local -a security=(--insecure)

	show hosts_up "$net"
	mkdir copies
	receive_begin receive --listen "$HOSTS_B4" --out copies --serve
	hosts_exec "$net" a "$here/peer.py" chatter "$HOSTS_B4" 16644 \
		2>peer.err &
	talker=$!
	wait_until 10 grep -q ready peer.err
	send_begin one --to "$HOSTS_B4" --name one "$(image even)"
	ended one "$sender" 60 0
	same_file "$(image even)" copies/one
	kill -TERM "$receiver"
	finish "$receiver" 15
	finish "$talker" 15
	nothing_left
}

# One that sends PING and opens no transfer does not keep its place.
idle_talker()
{
	local talker
	local -a security=(--insecure)

	show hosts_up "$net"
	mkdir copies
	receive_begin receive --listen "$HOSTS_B4" --out copies --serve \
		--peer-timeout 1
	hosts_exec "$net" a "$here/peer.py" chatter "$HOSTS_B4" 16644 \
		2>peer.err &
	talker=$!
	finish "$talker" 10
	grep -q ready peer.err || die "it was never let in: $(<peer.err)"
	kill -0 "$receiver" || die "the receiver ended: $(<receive.err)"
	kill -TERM "$receiver"
	finish "$receiver" 15
	nothing_left
}

two_at_once()
{
	local first second

	show hosts_up "$net" --mtu 9000 --queues 2
	mkdir copies
	receive_begin receive --listen "$HOSTS_B4" --out copies --serve \
		--queues 2
	send_begin one --to "$HOSTS_B4" --name one --max-bandwidth 1M \
		--control one "$(image even)"
	first=$sender
	send_begin two --to "$HOSTS_B4" --name two --max-bandwidth 1M \
		--control two "$(image odd --tail 777 --seed 2)"
	second=$sender
	wait_until 10 test -e copies/one.partial -a -e copies/two.partial
	show "$pagetrim" ctl set max-bandwidth 0 --control one
	show "$pagetrim" ctl set max-bandwidth 0 --control two
	ended one "$first" 60 0
	ended two "$second" 60 0
	same_file "$(image even)" copies/one
	same_file "$(image odd)" copies/two
	same "unaccounted of one" "$(field one .ledger.unaccounted)" 0
	same "unaccounted of two" "$(field two .ledger.unaccounted)" 0
	# It keeps serving until a signal ends it.
	! is_gone "$receiver" || die "--serve ended after the transfers"
	send_begin three --to "$HOSTS_B4" --name three "$(image odd)"
	ended three "$sender" 60 0
	same_file "$(image odd)" copies/three
	kill -TERM "$receiver"
	finish "$receiver" 15
	nothing_left
}

# Ping both ways, TCP both ways, and UDP to the very port at another address
# of host b, while a transfer runs.
ordinary_traffic()
{
	local pings taker frames ADDR=$HOSTS_B4
	local -a receive_options=("$@")

	show hosts_up "$net" --mtu 9000 --queues 2
	hosts_run "$net" b ip address add 10.77.0.9/24 dev "$(dev_b)"
	head -c 30000000 /dev/urandom >sent
	receive_begin receive --listen "$HOSTS_B4" --out copy "$@"
	send_begin send --to "$HOSTS_B4" --max-bandwidth $((1000000 / patience > 65536 ? 1000000 / patience : 65536)) \
		--control under-way "$@" "$(image even)"
	wait_until 10 test -e copy.partial

	hosts_exec "$net" b ping -q -c 50 -i 0.01 -s 8000 "$HOSTS_A6" >&2 &
	pings=$!
	hosts_exec "$net" b "$here/peer.py" take "$HOSTS_B4" 5001 >got 2>ready &
	taker=$!
	hosts_exec "$net" b "$here/frames.py" receive --listen 10.77.0.9 \
		>frames 2>frames.ready &
	frames=$!
	wait_until 10 grep -q ready ready
	wait_until 10 grep -q ready frames.ready
	on a ping -q -c 50 -i 0.01 "$HOSTS_B4"
	on a "$here/peer.py" give "$HOSTS_B4" 5001 <sent
	on a "$here/frames.py" send --to 10.77.0.9 --cnt 100
	! is_gone "$sender" || die "the transfer ended too early to tell"

	finish "$pings" 10
	same "ping from b" "$status" 0
	finish "$taker" 10
	same_file sent got
	kill -TERM "$frames"
	finish "$frames" 10
	same "datagrams to our port at another address" \
		"$(jq '."0" | length' frames)" 100
	go_on
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
	nothing_left
}

# queue_counters: prints bpftool's dump of the pinned map, summed over CPUs and
# queues, as one object by name.
queue_counters()
{
	bpftool -j map dump pinned \
		"/sys/fs/bpf/pagetrim/$(dev_b)/pt_queue_counters" |
		jq -S '[.[] | (.formatted // .).values[].value | to_entries[]] |
			group_by(.key) |
			map({(.[0].key): (map(.value) | add)}) | add'
}

# stats_counters: prints the same from pagetrim stats.
stats_counters()
{
	hosts_run "$net" b "$pagetrim" stats --dev "$(dev_b)" --json |
		jq -S '[.queues[] | del(.queue) | to_entries[]] |
			group_by(.key) |
			map({(.[0].key): (map(.value) | add)}) | add'
}

# counters_are_between: while frames arrive, if only of TCP, each counter of
# stats is no less than bpftool's before, and no more than bpftool's after.
counters_are_between()
{
	jq -ne --argjson before "$(queue_counters)" \
		--argjson stats "$(stats_counters)" \
		--argjson after "$(queue_counters)" '
		($before | keys) == ($stats | keys) and
		all($stats | keys[]; $before[.] <= $stats[.] and
				     $stats[.] <= $after[.])' >/dev/null ||
		die "stats is not between what bpftool tells"
}

# counters_agree: bpftool and stats, read while no frame came in between; and
# each frame got one verdict.
counters_agree()
{
	local before after stats

	for _ in {1..50}; do
		before=$(queue_counters)
		stats=$(stats_counters)
		after=$(queue_counters)
		[[ $before != "$after" ]] || break
	done
	same "stats, against bpftool" "$stats" "$after"
	jq -e '.seen == (del(.seen, .seen_bytes) | add)' <<<"$after" \
		>/dev/null ||
		die "seen is not the sum of the verdicts: $after"
}

attached()
{
	local ADDR=$HOSTS_B4 pinned

	show hosts_up "$net" --mtu 9000 --queues 2
	pinned=/sys/fs/bpf/pagetrim/$(dev_b)
	on b "$pagetrim" attach --dev "$(dev_b)" "$@"
	[[ -e $pinned/prog ]] || die "no $pinned/prog"
	# A stopped sender must not be taken for silent.
	set -- --peer-timeout $((120 * patience)) "$@"
	receive_begin receive --listen "$HOSTS_B4" --out copy --queues 2 "$@"
	send_begin send --to "$HOSTS_B4" --queues 2 --max-bandwidth 2M \
		--control under-way "$@" "$(image even)"
	wait_until 10 has_sent 1000000
	# While it runs: the sender is stopped for a moment, so that few frames
	# come between two readings.
	kill -STOP "$sender"
	counters_are_between
	[[ $(queue_counters | jq .steered) -gt 0 ]] || die "nothing steered yet"
	kill -CONT "$sender"
	go_on
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
	counters_agree
	same "steered, against the ledger" "$(queue_counters | jq .steered)" \
		"$(field receive .ledger.steered)"
	# The receiver is gone, the attached program stays.
	[[ -e $pinned/prog ]] || die "the receiver unpinned the program"
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

# Two receivers of one pinned program, each with its queue and port.
attached_shared()
{
	local first

	show hosts_up "$net" --mtu 9000 --queues 2
	on b "$pagetrim" attach --dev "$(dev_b)"
	receive_begin one --listen "$HOSTS_B4" --out one.copy
	first=$receiver
	receive_begin two --listen "$HOSTS_B4:16645" --out two.copy
	send_begin send1 --to "$HOSTS_B4" --max-bandwidth 20M "$(image even)"
	local sender1=$sender
	send_begin send2 --to "$HOSTS_B4:16645" "$(image odd)"
	ended send2 "$sender" 60 0
	ended two "$receiver" 10 0
	ended send1 "$sender1" 60 0
	ended one "$first" 10 0
	same_file "$(image even)" one.copy
	same_file "$(image odd)" two.copy
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

# Another process has the lock of the pinned maps and keeps it, as a stopped one
# does.  Control answers, a running transfer succeeds, and a new one waits for
# its turn, with a limit.
maps_locked()
{
	local one pinger lock
	local -a security=(--insecure)

	show hosts_up "$net" --queues 2
	on b "$pagetrim" attach --dev "$(dev_b)"
	mkdir copies
	receive_begin receive --listen "$HOSTS_B4" --out copies --serve
	hosts_exec "$net" a "$here/peer.py" asks "$HOSTS_B4" 16644 \
		"$PWD/enough" >longest 2>pinger.err &
	pinger=$!
	send_begin one --to "$HOSTS_B4" --name one --max-bandwidth 1M \
		--control one "$(image even)"
	one=$sender
	wait_until 10 test -e copies/one.partial
	wait_until 10 grep -q ready pinger.err
	wait_until 10 has_sent 100000

	exec {lock}<"/sys/fs/bpf/pagetrim/$(dev_b)"
	show flock --nonblock "$lock"
	send_begin two --to "$HOSTS_B4" --name two "$(image odd)"
	ended two "$sender" 30 4 'the lock of its maps'
	show "$pagetrim" ctl set max-bandwidth 0 --control one
	ended one "$one" 60 0
	same_file "$(image even)" copies/one
	send_begin three --to "$HOSTS_B4" --name three "$(image odd)"
	wait_until 10 test -e copies/three.partial
	show flock --unlock "$lock"
	exec {lock}<&-
	ended three "$sender" 60 0
	same_file "$(image odd)" copies/three

	touch enough
	finish "$pinger" 10
	answers_in_time
	kill -TERM "$receiver"
	finish "$receiver" 15
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

# The test moves the lane to another queue: its frames are dropped as
# wrong_queue, the sender probes again, and no data is lost.
moved_lane()
{
	local pin key value

	show hosts_up "$net" --mtu 9000 --queues 2
	on b "$pagetrim" attach --dev "$(dev_b)"
	pin=/sys/fs/bpf/pagetrim/$(dev_b)/pt_sessions
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --max-bandwidth 1M --control under-way \
		"$(image even)"
	wait_until 10 data_flows
	key=$(bpftool -j map dump pinned "$pin" | jq -r '.[0].key | join(" ")')
	# struct pt_session: lane_queue[0] is the 16 bits after the endpoint.
	value=$(bpftool -j map dump pinned "$pin" |
		jq -r '.[0].value | .[20] = "0x01" | join(" ")')
	# shellcheck disable=SC2086 # bytes, each a word
	show bpftool map update pinned "$pin" key $key value $value
	go_on
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
	[[ $(field receive .ledger.xdp_dropped) -gt 0 ]] ||
		die "no frame was dropped as wrong_queue"
	[[ $(field send .probes) -gt 2 ]] || die "the sender did not probe again"
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

data_flows()
{
	hosts_run "$net" b "$pagetrim" stats --json --dev "$(dev_b)" |
		jq -e '.total.steered > 20' >/dev/null
}

image odd --tail 777 --seed 2 >/dev/null
case_run "shared: a lane moved to another queue" moved_lane
case_run "shared: two transfers at once, then a third" two_at_once
case_run "shared: a peer that never stops talking" chatter
case_run "shared: a peer that opens no transfer" idle_talker
case_run "shared: ping, TCP and UDP beside a transfer" ordinary_traffic
case_run "shared: the same, generic" ordinary_traffic --generic
case_run "shared: attach, counters by bpftool, detach" attached
case_run "shared: the same, generic" attached --generic
case_run "shared: two receivers under one attached program" attached_shared
ahead case_run "shared: the lock of the pinned maps is another's" maps_locked
cases_end
