#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   asked for:    queues      MTU             huge pages    rate     locked memory  CPUs
#   given by:     device,     device, peer,   the pool      pacer,   the limit      affinity
#                 leases      path                          link
#
# Options that ask for more than the host has are refused, and the error names a
# value that works; auto takes that value, and the report has it.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

wrap=()	# what pagetrim is run by

# refused HOST EXIT WORD COMMAND OPTION...: it exits so, at once, with WORD on
# stderr.
refused()
{
	local host=$1 want=$2 word=$3 command=$4

	shift 4
	case $command in
	send) set -- --to "$HOSTS_B4" "$@" "$(image small --pages 64)" ;;
	receive) set -- --listen "$HOSTS_B4:16699" --out refused "$@" ;;
	esac
	set -- "$command" "${security[@]}" --dev "$(hosts_dev "$net" "$host")" \
		"$@"
	echo "+ [$host] ${wrap[*]-} pagetrim $*" >&2
	hosts_exec "$net" "$host" "${wrap[@]}" "$pagetrim" "$@" \
		>out.json 2>out.err &
	ended out $! 30 "$want" "$word"
	[[ ! -e refused ]] || die "an image was made"
}

# receiver_ends: ends a receiver that a refused sender found, and that waits for
# another.
receiver_ends()
{
	kill "$receiver"
	finish "$receiver" 15
}

cpus() { nproc; }

least() { echo $(($1 < $2 ? $1 : $2)); }

# ---- queues -----------------------------------------------------------------

queues_of_device()
{
	local -a receive_options=(--queues auto)

	show hosts_up "$net" --queues 2
	refused b 3 "$(dev_b): has 2 RX queues.*--queues 2 works, or --queues auto" \
		receive --queues 3
	receive_begin receive --listen "$HOSTS_B4" --out copy --queues 2
	refused a 3 "$(dev_a): has 2 TX queues.*--queues 2 works, or --queues auto" \
		send --queues 3
	send_begin send --to "$HOSTS_B4" --queues 2 "$(image small)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	rm copy

	transfer "$(image small)" --queues auto
	same "lanes by auto" "$(field send '.lanes | length')" \
		"$(least 2 "$(cpus)")"
	same "queues by auto" "$(field receive .queues)" "$(least 2 "$(cpus)")"
	nothing_left
}

# Another program holds two of four queues.
queues_taken()
{
	local other

	show hosts_up "$net" --queues 4
	on b "$pagetrim" attach --dev "$(dev_b)"
	hosts_exec "$net" b "$pagetrim" receive "${security[@]}" --queues 2 \
		--dev "$(dev_b)" --listen "$HOSTS_B4:16698" --out other \
		>/dev/null 2>other.err &
	other=$!
	wait_until 10 listens b 16698
	refused b 3 "2 of 4 RX queues are free.*--queues 2 works.*$other" \
		receive --queues 3
	receive_begin receive --listen "$HOSTS_B4" --out copy --queues 2
	refused b 3 "$(dev_b) queue [0-3]: taken by pid ($other|$receiver)" \
		receive --queues auto
	send_begin send --to "$HOSTS_B4" --queues auto "$(image small)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	same "lanes by auto" "$(field send '.lanes | length')" \
		"$(least 2 "$(cpus)")"
	rm copy

	local -a receive_options=(--queues auto)
	transfer "$(image small)"
	same "queues by auto" "$(field receive .queues)" \
		"$(least 2 "$(cpus)")"
	kill "$other"
	finish "$other" 15
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

# hidden HOST COMMAND...: runs it in the background with invisible leases, as a
# program without leases.
hidden()
{
	local host=$1

	shift
	# shellcheck disable=SC2016 # expanded there
	hosts_exec "$net" "$host" unshare -m --propagation private sh -c '
		mount -t tmpfs none /run && exec "$@"' hidden "$@"
}

# stranger HOST ADDRESS: a program without leases holds queue 0 of a host.
stranger()
{
	local before

	before=$(sent_bytes_of "$1")
	hidden "$1" "$pagetrim" send "${security[@]}" \
		--dev "$(hosts_dev "$net" "$1")" --to "$2" \
		--max-bandwidth 256K --name strange "$(image even)" \
		2>stranger.err &
	stranger=$!
	wait_until 10 sends "$1" "$before"
}

sends() { [[ $(sent_bytes_of "$1") -ge $(($2 + 100000)) ]]; }

queues_of_strangers()
{
	[[ $(cpus) -ge 2 ]] || die "needs two CPUs"
	show hosts_up "$net" --queues 2
	mkdir copies
	receive_begin receive --listen "$HOSTS_B4" --out copies --serve \
		--queues 2
	stranger a "$HOSTS_B4"
	refused a 3 "$(dev_a) queue 0: .*holds the queue, .*--queues auto" \
		send --name one
	send_begin send --to "$HOSTS_B4" --queues auto --name other \
		"$(image small)"
	ended send "$sender" 30 0
	same "queues" "$(field send '[.lanes[]."tx-queue"] | @csv')" 1
	kill "$stranger" "$receiver"
	finish "$stranger" 10
	finish "$receiver" 10
	nothing_left
}

queues_of_strangers_at_receiver()
{
	local -a receive_options=(--queues auto)
	local other

	[[ $(cpus) -ge 2 ]] || die "needs two CPUs"
	show hosts_up "$net" --queues 2
	hosts_exec "$net" a "$pagetrim" receive "${security[@]}" \
		--dev "$(dev_a)" --listen "$HOSTS_A4" --out strange \
		>/dev/null 2>other.err &
	other=$!
	wait_until 10 listens a 16644
	stranger b "$HOSTS_A4"
	refused b 3 "$(dev_b) queue 0: .*holds the queue, .*--queues auto" \
		receive
	transfer "$(image small)" --queues auto
	same "queues" "$(field receive .queues)" 1
	same "queue" "$(field send '.lanes[0]."rx-queue"')" 1
	kill "$stranger" "$other"
	finish "$stranger" 10
	finish "$other" 10
	nothing_left
}

# ethtool -L takes a queue away between the opening of the device and the binding.
queue_gone()
{
	local -a wrap

	[[ $(cpus) -ge 2 ]] || die "needs two CPUs"
	show hosts_up "$net" --queues 2
	wrap=("$build/tests/net/at_entry" pt_lease_free_cnt 2
	      "ethtool -L $(dev_a) rx 1 tx 1")
	receive_begin receive --listen "$HOSTS_B4" --out copy --queues 2
	refused a 3 "$(dev_a) queue 1: .*ethtool -L took it away.*--queues auto" \
		send --queues 2
	receiver_ends
	on a ethtool -L "$(dev_a)" rx 2 tx 2
	rm entered
	receive_begin receive --listen "$HOSTS_B4" --out copy --queues 2
	hosts_exec "$net" a "${wrap[@]}" "$pagetrim" send --json --dev "$(dev_a)" \
		"${security[@]}" --to "$HOSTS_B4" --queues auto "$(image small)" \
		>send.json 2>send.err &
	ended send $! 30 0
	[[ -e entered ]] || die "the queue was not taken away in time"
	ended receive "$receiver" 10 0
	same "queues" "$(field send '[.lanes[]."tx-queue"] | @csv')" 0
	same_file copy "$(image small)"
	nothing_left
}

# A process that may run on one CPU uses one queue.
queues_of_cpus()
{
	show hosts_up "$net" --queues 2
	hosts_exec "$net" b taskset -c 0 "$pagetrim" receive "${security[@]}" \
		--json --dev "$(dev_b)" --listen "$HOSTS_B4" --out copy \
		--queues auto >receive.json 2>receive.err &
	receiver=$!
	wait_until 10 receive_is_ready receive
	send_begin send --to "$HOSTS_B4" --queues auto "$(image small)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	same "queues" "$(field receive .queues)" 1
	same "lanes, for one queue" "$(field send '.lanes | length')" 1
	nothing_left
}

# ---- MTU --------------------------------------------------------------------

# sent_for MTU [OPTION...]: a transfer with these options used that MTU.
sent_for()
{
	local mtu=$1

	shift
	transfer "$(image small)" "$@"
	same "largest frame" "$(field send '.lanes[0]."frame-bytes"')" \
		$((mtu + 14))
	rm copy
}

mtu_of_device()
{
	show hosts_up "$net" --mtu 3000
	refused a 3 "$(dev_a): its MTU is 3000.*--mtu 3000 works, or --mtu auto" \
		send --mtu 9000
	sent_for 3000 --mtu 3000
	sent_for 3000 --mtu auto
	sent_for 3000
	nothing_left
}

mtu_of_receiver()
{
	show hosts_up "$net" --mtu 9000
	hosts_run "$net" b ip link set "$(dev_b)" mtu 3000
	receive_begin receive --listen "$HOSTS_B4" --out copy
	refused a 4 'for an MTU of 3000.*--mtu 3000 works, or --mtu auto' \
		send --mtu 9000
	receiver_ends
	sent_for 3000 --mtu 3000
	sent_for 3000 --mtu auto
	nothing_left
}

# The small MTU is on the path between: only probes find it.
mtu_of_path()
{
	show hosts_up "$net" --mtu 9000 --wire
	hosts_wire_start "$net" wire "$wire" --eat-above 5014
	receive_begin receive --listen "$HOSTS_B4" --out copy
	refused a 4 'path.* for an MTU of [0-9]*,.*--mtu [0-9]* works, or' \
		send --mtu 9000
	ended receive "$receiver" 10 4
	works=$(grep -o 'mtu [0-9]* works' out.err | tr -dc 0-9)
	within "what works" "$works" $((5000 - 64)) 5000
	sent_for "$works" --mtu "$works"
	sent_for "$works" --mtu auto
	hosts_wire_stop
	nothing_left
}

# ---- huge pages -------------------------------------------------------------

pool=/sys/kernel/mm/hugepages/hugepages-2048kB

pool_free()
{
	echo $(($(<"$pool/free_hugepages") - $(<"$pool/resv_hugepages")))
}

pool_is_empty() { [[ $(pool_free) -eq 0 ]]; }

# pool_drain: another process reserves the whole pool.
pool_drain()
{
	python3 -c 'if True:
		import mmap, sys, time
		sz = int(sys.argv[1]) << 21
		if sz:
			held = mmap.mmap(-1, sz, flags=mmap.MAP_PRIVATE |
					 mmap.MAP_ANONYMOUS | 0x40000)
		time.sleep(600)' "$(pool_free)" &
	drainer=$!
	wait_until 10 pool_is_empty
}

huge_lacking()
{
	only_one "$pool"
	show hosts_up "$net" --mtu 9000
	pool_drain
	refused b 3 "$(dev_b) queue 0: 4 huge pages.*0 of [0-9]* are free.*--hugepages thp works, or --hugepages auto.*nr_hugepages=" \
		receive --hugepages on
	receive_begin receive --listen "$HOSTS_B4" --out copy --hugepages auto
	grep -q 'huge pages: thp' receive.err || die "does not say what it took"
	refused a 3 "$(dev_a) queue 0: 4 huge pages.*--hugepages thp works" \
		send --hugepages on
	send_begin send --to "$HOSTS_B4" --hugepages auto "$(image small)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	same_file "$(image small)" copy
	same "lane's memory" "$(field send '.lanes[0].hugepages')" thp
	same "queue's memory" "$(field receive .hugepages)" thp
	kill "$drainer"
	wait "$drainer" || true
	nothing_left
}

# pool_grow CNT: makes that many free for this case, if this machine has them.
pool_grow()
{
	pool_before=$(<"$pool/nr_hugepages")
	trap pool_shrink EXIT
	echo $((pool_before + $1)) >"$pool/nr_hugepages"
	[[ $(pool_free) -ge $1 ]]
}

pool_shrink()
{
	local code=$?

	echo "$pool_before" >"$pool/nr_hugepages"
	(exit "$code")
	case_end
}

huge_there()
{
	local sort
	local -a receive_options

	only_one "$pool"
	pool_grow 8 || die "this machine gives no 8 huge pages"
	show hosts_up "$net" --mtu 9000
	for sort in on auto off thp; do
		receive_options=(--hugepages "$sort")
		transfer "$(image small)" --hugepages "$sort"
		[[ $sort != auto ]] || sort=on
		same "lane's memory" "$(field send '.lanes[0].hugepages')" \
			"$sort"
		same "queue's memory" "$(field receive .hugepages)" "$sort"
		rm copy
	done
	nothing_left
}

# ---- rate -------------------------------------------------------------------

rate_too_low()
{
	show hosts_up "$net"
	hosts_exec "$net" a "$pagetrim" send "${security[@]}" --to "$HOSTS_B4" \
		--dev "$(hosts_dev "$net" a)" --max-bandwidth 1000 \
		"$(image small --pages 64)" 2>low.err &
	finish $! 30
	same "exit code" "$status" 2
	one_error low 'want 0 or 64K' '^Try '
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --max-bandwidth 64K --control where \
		"$(image even)"
	wait_until 10 test -S where
	on a "$pagetrim" ctl set max-bandwidth 1000 --control where 2>set.err &&
		die "set a rate too low"
	grep -q 'want 0 or 64K' set.err || die "$(<set.err)"
	wait_until 10 grep -q ' transfer ' receive.err
	on a "$pagetrim" ctl set max-bandwidth auto --control where
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	same limit "$(field send '."max-bandwidth"')" 0
	nothing_left
}

# A bridge has the speed of its fastest port, and a veth port claims 10 Gbit/s;
# the veth itself has no speed.
rate_of_link()
{
	local bridge=${net}h

	show hosts_up "$net"
	hosts_run "$net" a ip link add "${net}c" type veth peer name "${net}d"
	hosts_run "$net" a ip link add "$bridge" type bridge
	hosts_run "$net" a ip link set "${net}c" master "$bridge"
	for dev in "$bridge" "${net}c" "${net}d"; do
		hosts_run "$net" a ip link set "$dev" up
	done
	wait_until 10 speed_is_known "$bridge"
	hosts_exec "$net" a "$pagetrim" send --json "${security[@]}" \
		--dev "$bridge" --to "$HOSTS_B4" --max-bandwidth 2G \
		"$(image small --pages 64)" >out.json 2>out.err &
	ended out $! 10 3 "$bridge: its link has 10000 Mbit/s.*1250000000 works"
	# No receiver listens there, but a limit was chosen.
	hosts_exec "$net" a "$pagetrim" send --json "${security[@]}" \
		--dev "$bridge" --to "$HOSTS_B4" --max-bandwidth auto \
		"$(image small --pages 64)" >bridge.json 2>bridge.err &
	ended bridge $! 15 4 refused
	same "limit of the bridge" "$(field bridge '."max-bandwidth"')" \
		1250000000
	transfer "$(image small)" --max-bandwidth auto
	same "limit of a veth" "$(field send '."max-bandwidth"')" 0
	nothing_left
}

speed_is_known()
{
	[[ $(hosts_run "$net" a ethtool "$1" 2>/dev/null) == *"Speed: 10000"* ]]
}

# ---- CPUs -------------------------------------------------------------------

# cpus_of PID: prints the allowed CPUs of each of its threads.
cpus_of() { sed -n 's/^Cpus_allowed_list:\t//p' /proc/"$1"/task/*/status | sort; }

cpus_of_threads()
{
	local last=$(($(cpus) - 1)) all

	[[ $last -gt 0 ]] || die "one CPU: two are needed"
	all=0-$last
	show hosts_up "$net" --queues 2
	refused b 2 "--cpus '1023': CPU 1023: .* $all works" \
		receive --cpus 1023
	refused a 2 "--cpus '0,': want CPU numbers" send --cpus 0,
	receive_begin receive --listen "$HOSTS_B4" --out copy --queues 2 \
		--cpus "$last,0"
	# The control thread, and those for signals, output and refused system
	# calls, run anywhere.
	wait_until 10 pinned "$receiver" "0 $all $all $all $all $all $last"
	send_begin send --to "$HOSTS_B4" --queues 2 --cpus "$last" \
		--max-bandwidth 1M "$(image even)"
	wait_until 10 pinned "$sender" "$all $all $all $all $all $last $last"
	kill "$sender"
	finish "$sender" 15
	ended receive "$receiver" 10 4
	nothing_left
}

# pinned PID LIST: its threads may run there.
pinned() { [[ $(cpus_of "$1" | xargs) == "$2" ]]; }

# ---- locked memory ----------------------------------------------------------

locked_memory()
{
	local -a wrap=(setpriv --inh-caps=-all --bounding-set=-ipc_lock
		       prlimit --memlock=1048576:1048576)

	show hosts_up "$net"
	refused b 3 'ulimit -l: 8192 KiB a queue; or .*CAP_IPC_LOCK' receive
	wrap=(setpriv --inh-caps=-all --bounding-set=-ipc_lock
	      prlimit --memlock=8388608:8388608)
	hosts_exec "$net" b "${wrap[@]}" "$pagetrim" receive "${security[@]}" \
		--json --dev "$(dev_b)" --listen "$HOSTS_B4" --out copy \
		>receive.json 2>receive.err &
	receiver=$!
	wait_until 10 receive_is_ready receive
	send_begin send --to "$HOSTS_B4" "$(image small)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	nothing_left
}

image small --pages 64 >/dev/null
case_run "auto: queues of the device" queues_of_device
case_run "auto: queues that are taken, the holder named" queues_taken
case_run "auto: queues of programs without leases" queues_of_strangers
case_run "auto: queues of programs without leases, at the receiver" \
	queues_of_strangers_at_receiver
case_run "auto: a queue that is gone before it is bound" queue_gone
case_run "auto: queues for one CPU" queues_of_cpus
case_run "auto: MTU of the device" mtu_of_device
case_run "auto: MTU of the receiver" mtu_of_receiver
case_run "auto: MTU of the path" mtu_of_path
case_run "auto: huge pages that are lacking" huge_lacking
case_run "auto: huge pages that are there" huge_there
case_run "auto: a rate too low to pace" rate_too_low
case_run "auto: a rate above the link's" rate_of_link
case_run "auto: CPUs, a thread each" cpus_of_threads
case_run "auto: locked memory" locked_memory
cases_end
