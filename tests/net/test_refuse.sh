#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   pagetrim send -- ptNAMEa ================= ptNAMEb -- pagetrim receive
#                  what cannot work           or an odd peer
#
# Requests that cannot be fulfilled: one line that names the operand, the cause
# and the remedy, a documented exit code (2 usage, 3 this host, 4 the peer), and
# no leftovers.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

wrap=()	# what pagetrim is run by

# refused HOST EXIT WORD COMMAND...: pagetrim COMMAND exits so, at once.
refused()
{
	local host=$1 want=$2 word=$3

	shift 3
	case $1 in
	send|receive) set -- "$1" "${security[@]}" "${@:2}" ;;
	esac
	echo "+ [$host] ${wrap[*]-} pagetrim $*" >&2
	hosts_exec "$net" "$host" "${wrap[@]}" "$pagetrim" "$@" \
		>out.json 2>out.err &
	ended out $! 15 "$want" "$word"
}

# refuses HOST EXIT WORD COMMAND...: a whole case of it: an idle network.
refuses()
{
	show hosts_up "$net" --mtu 1500
	refused "$@"
	nothing_left
}

# json_says EXIT WORD: out.json tells no more than why it failed.
json_says()
{
	# shellcheck disable=SC2016 # jq's variables
	show jq -e --argjson exit "$1" --arg word "$2" '. == {status: "failed",
		"error-desc": ."error-desc", exit: $exit} and
		(."error-desc" | test($word))' out.json
}

# Before there is a transfer --json says why there is none, and has no figures.
json_of_no_transfer()
{
	local image dev_a

	show hosts_up "$net"
	dev_a=$(dev_a) image=$(image small --pages 64)
	refused a 3 'no such device' send --json --dev no_dev \
		--to "$HOSTS_B4" "$image"
	json_says 3 'no such device'
	refused a 3 'no-image' send --json --dev "$dev_a" --to "$HOSTS_B4" \
		no-image
	json_says 3 'no-image'
	# A path need not be UTF-8, JSON has to be.
	hosts_run "$net" a "$pagetrim" send "${security[@]}" --json \
		--dev "$dev_a" --to "$HOSTS_B4" $'latin-\xe9' >out.json || true
	json_says 2 'latin-'
	# shellcheck disable=SC2046
	refused b 3 'no such device' $(receive) --json --dev no_dev
	json_says 3 'no such device'
	echo old >copy
	# shellcheck disable=SC2046
	refused b 3 'copy' $(receive) --json
	json_says 3 'copy'
	rm copy
	nothing_left
}

receive() { echo receive --dev "$(dev_b)" --listen "$HOSTS_B4" --out copy; }

# file_limit: the image is larger than the files that the receiver may write.
file_limit()
{
	cat >limited <<-EOF
		#!/bin/sh
		ulimit -f 1024
		exec '$pagetrim' "\$@"
	EOF
	chmod +x limited
	show hosts_up "$net" --mtu 1500
	pagetrim=$PWD/limited receive_begin receive --listen "$HOSTS_B4" \
		--out copy
	truncate -s 4M image
	send_begin send --to "$HOSTS_B4" image
	ended send "$sender" 30 4 'File too large \(raise ulimit -f'
	ended receive "$receiver" 20 3 'File too large \(raise ulimit -f'
	[[ ! -e copy ]] || die "it is there"
	nothing_left
}

# nobody_comes: --wait ends a receiver to which only a stranger comes; one that
# has a transfer in time takes it to its end.
nobody_comes()
{
	show hosts_up "$net" --mtu 1500
	receive_begin receive --listen "$HOSTS_B4" --out copy --wait 2
	hosts_run "$net" a "$here/peer.py" give "$HOSTS_B4" 16644 </dev/null ||
		true
	ended receive "$receiver" 20 4 'no sender .* within 2 s \(--wait\)'
	mv receive.json out.json
	json_says 4 'no sender'
	receive_begin receive --listen "$HOSTS_B4" --out copy --wait 4
	send_begin send --to "$HOSTS_B4" --control control \
		--max-bandwidth 64K "$(image small --pages 64)"
	wait_until 20 grep -q ' transfer .* from ' receive.err
	show "$pagetrim" ctl pause --control control
	sleep 5		# longer than it waits
	show "$pagetrim" ctl resume --control control
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image small)" copy
	nothing_left
}

# ---- the device -------------------------------------------------------------

device()
{
	local change=$1 word=$2 host

	show hosts_up "$net"
	for host in a b; do
		# shellcheck disable=SC2086 # words on purpose
		hosts_run "$net" "$host" ip link set \
			"$(hosts_dev "$net" "$host")" $change
	done
	# shellcheck disable=SC2046
	refused b 3 "$(dev_b).*$word" $(receive)
	refused a 3 "$(dev_a).*$word" send --dev "$(dev_a)" --to "$HOSTS_B4" \
		"$(image small --pages 64)"
	[[ $word == down ]] ||
		refused b 3 "$(dev_b).*$word" attach --dev "$(dev_b)"
	nothing_left
}

queue_missing()
{
	show hosts_up "$net" --queues 2
	# shellcheck disable=SC2046
	refused b 3 "$(dev_b).*queue" $(receive) --queues 3
	receive_begin receive --listen "$HOSTS_B4" --out copy
	refused a 3 "$(dev_a).*queue" send --dev "$(dev_a)" --to "$HOSTS_B4" \
		--queues 3 "$(image small --pages 64)"
	kill "$receiver"
	finish "$receiver" 15
	nothing_left
}

queue_taken()
{
	show hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --out copy
	refused b 3 "$(dev_b).*$receiver" receive --dev "$(dev_b)" \
		--listen "$HOSTS_B4:16645" --out other
	! is_gone "$receiver" || die "the first receiver ended"
	send_begin send --to "$HOSTS_B4" "$(image small --pages 64)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	same_file "$(image small)" copy
	nothing_left
}

# A receiver on the same device holds the sender's queue.
queue_taken_for_sending()
{
	show hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --out copy
	hosts_exec "$net" a "$pagetrim" receive "${security[@]}" \
		--dev "$(dev_a)" \
		--listen "$HOSTS_A4" --out other >/dev/null 2>other.err &
	local other=$!
	wait_until 10 listens a 16644
	refused a 3 "$(dev_a).*$other" send --dev "$(dev_a)" --to "$HOSTS_B4" \
		"$(image small --pages 64)"
	kill "$other" "$receiver"
	finish "$other" 15
	finish "$receiver" 15
	nothing_left
}

# No veth has zero copy.  No receiver listens: the sender is refused before it
# connects.
zero_copy_missing()
{
	show hosts_up "$net"
	# shellcheck disable=SC2046
	refused b 3 "$(dev_b).*driver veth has no zero copy" $(receive) \
		--zero-copy on
	refused a 3 "$(dev_a).*driver veth has no zero copy" send \
		--dev "$(dev_a)" --to "$HOSTS_B4" --zero-copy on \
		"$(image small --pages 64)"
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" "$(image small)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	same "lanes with zero copy" \
		"$(field send '[.lanes[]["zero-copy"]] | any')" false
	same "sockets with zero copy" \
		"$(field receive '[.sockets[]["zero-copy"]] | any')" false
	nothing_left
}

# The remedy for too few descriptors is never a newer kernel, wherever they run out.
few_descriptors()
{
	local few

	show hosts_up "$net"
	for few in {9..20}; do
		local -a wrap=(prlimit --nofile="$few:$few")
		# shellcheck disable=SC2046
		refused b 3 'raise ulimit -n' $(receive)
		! grep 'or newer' out.err || die "$few descriptors: too old"
	done
	refused b 3 'raise ulimit -n' doctor --dev "$(dev_b)"
	nothing_left
}

no_privilege()
{
	local -a wrap=(setpriv --bounding-set=-all --inh-caps=-all)

	show hosts_up "$net"
	# shellcheck disable=SC2046
	refused b 3 'CAP_|privilege|root' $(receive)
	refused b 3 'CAP_|privilege|root' attach --dev "$(dev_b)"
	wrap=()
	receive_begin receive --listen "$HOSTS_B4" --out copy
	wrap=(setpriv --bounding-set=-all --inh-caps=-all)
	refused a 3 'CAP_|privilege|root' send --dev "$(dev_a)" \
		--to "$HOSTS_B4" "$(image small --pages 64)"
	kill "$receiver"
	finish "$receiver" 15
	nothing_left
}

# The wire's program represents a foreign one.
held_by_another()
{
	local pin=/sys/fs/bpf/pt$net-other mode

	show hosts_up "$net"
	show bpftool prog load "$build/wire.bpf.o" "$pin"
	litter=("$pin")
	for mode in xdpdrv xdpgeneric; do
		on b bpftool net attach "$mode" pinned "$pin" dev "$(dev_b)"
		# shellcheck disable=SC2046
		refused b 3 "$(dev_b).*wire_rx" $(receive)
		refused b 3 "$(dev_b).*wire_rx" attach --dev "$(dev_b)"
		on b bpftool net detach "$mode" dev "$(dev_b)"
	done
	rm -f "$pin"
	nothing_left
}

other_route()
{
	show hosts_up "$net"
	hosts_run "$net" a ip link add "${net}c" type veth peer name "${net}d"
	hosts_run "$net" a ip link set "${net}c" up
	hosts_run "$net" a ip link set "${net}d" up
	receive_begin receive --listen "$HOSTS_B4" --out copy
	refused a 3 "${net}c.*$(dev_a)|$(dev_a).*${net}c" send \
		--dev "${net}c" --to "$HOSTS_B4" "$(image small --pages 64)"
	kill "$receiver"
	finish "$receiver" 15
	nothing_left
}

# ---- attach and detach ------------------------------------------------------

attach_twice()
{
	show hosts_up "$net"
	on b "$pagetrim" attach --dev "$(dev_b)"
	refused b 3 "$(dev_b)" attach --dev "$(dev_b)"
	# Attached natively; a receiver with --generic is refused.
	# shellcheck disable=SC2046
	refused b 3 "$(dev_b).*(native|generic)" $(receive) --generic
	on b "$pagetrim" detach --dev "$(dev_b)"
	refused b 3 "$(dev_b)" detach --dev "$(dev_b)"
	refused b 3 "$(dev_b)" stats --dev "$(dev_b)"
	nothing_left
}

# ---- peers ------------------------------------------------------------------

# odd_peer VERB WORD: a sender connects to it and reports what it is.
odd_peer()
{
	local peer
	local -a security=(--insecure)

	show hosts_up "$net"
	hosts_exec "$net" b "$here/peer.py" "$1" "$HOSTS_B4" 16644 2>ready &
	peer=$!
	wait_until 10 grep -q ready ready
	refused a 4 "$2" send --dev "$(dev_a)" --to "$HOSTS_B4" \
		--peer-timeout 2 "$(image small --pages 64)"
	kill "$peer" 2>/dev/null || true	# some end by themselves
	finish "$peer" 15
	nothing_left
}

# odd_sender INPUT WORD: a peer connects to a receiver but is no sender.  A
# receiver without --serve keeps waiting for one transfer.
odd_sender()
{
	show hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --out copy --peer-timeout 2
	printf '%b' "$1" | on a "$here/peer.py" give "$HOSTS_B4" 16644
	! is_gone "$receiver" || die "ended: $(cat receive.err)"
	send_begin send --to "$HOSTS_B4" "$(image small --pages 64)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	same_file "$(image small)" copy
	nothing_left
}

# Both ends can show both versions.
old_sender()
{
	local both='speaks version 2, we speak version 3'
	local -a security=(--insecure)

	show hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --out copy --peer-timeout 2
	on a "$here/peer.py" old "$HOSTS_B4" 16644 >told
	grep -q "^HELLO refused: the peer $both" told || die "$(cat told)"
	wait_until 10 grep -q "$both" receive.err
	send_begin send --to "$HOSTS_B4" "$(image small --pages 64)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	same_file "$(image small)" copy
	nothing_left
}

peer_host_absent()
{
	refuses a 4 '10\.77\.0\.99' send --dev "$(dev_a)" --to 10.77.0.99 \
		--peer-timeout 2 "$(image small --pages 64)"
}

# ---- sources ----------------------------------------------------------------

unreadable()
{
	# Root without the capability to override modes.
	local -a wrap=(setpriv --inh-caps=-all
		       "--bounding-set=-dac_override,-dac_read_search")

	echo secret >locked
	chmod 000 locked
	chown 1:1 locked
	refuses a 3 'locked.*[Pp]ermission' send --dev "$(dev_a)" \
		--to "$HOSTS_B4" locked
}

source_refused()
{
	local word=$1

	shift
	: >empty
	head -c 5000 /dev/urandom >sound
	refuses a 3 "$word" send --dev "$(dev_a)" --to "$HOSTS_B4" "$@"
}

process_gone()
{
	local pid

	sleep 1000 &
	pid=$!
	# The shell's fork may lose a signal before it is sleep(1).
	wait_until 10 grep -qx sleep "/proc/$pid/comm"
	kill "$pid"
	finish "$pid" 15
	source_refused "$pid" --pid "$pid"
}

# ---- sinks ------------------------------------------------------------------

# sink_refused WORD PATH: refused by the receiver at once, or when a sender
# connects, which is told.
sink_refused()
{
	local word=$1 out=$2

	echo mine >taken
	mkdir folder
	mkdir ro
	mount -t tmpfs -o ro none ro
	mounts=("$PWD/ro")
	show hosts_up "$net"
	receive_launch receive --listen "$HOSTS_B4" --out "$out"
	wait_until 10 gone_or_ready "$receiver" receive
	if ! is_gone "$receiver"; then
		send_begin send --to "$HOSTS_B4" "$(image small --pages 64)"
		ended send "$sender" 10 4 "$word"
	fi
	ended receive "$receiver" 10 3 "$word"
	same "the file that was there" "$(<taken)" mine
	nothing_left
}

gone_or_ready() { is_gone "$1" || says_it_listens "$2"; }

listen_refused()
{
	refuses b 3 '10\.77\.0\.1' receive --dev "$(dev_b)" \
		--listen "$HOSTS_A4" --out copy
}

# ---- options ----------------------------------------------------------------

usage() { refuses b 2 "$@"; }

# Each end needs keys unless --insecure is given.
no_key()
{
	local -a security=()

	show hosts_up "$net"
	# shellcheck disable=SC2046
	refused b 2 'no key.*keygen.*--insecure' $(receive)
	refused a 2 'no key.*keygen.*--insecure' send --dev "$(dev_a)" \
		--to "$HOSTS_B4" "$(image small --pages 64)"
	nothing_left
}

half_a_certificate()
{
	local -a security=(--tls-cert cert.pem --tls-ca ca.pem)

	usage 'all three' receive --dev x --listen y --out z
}

# An option that only sealed frames have is refused, neither ignored nor a
# crash.
insecure_but()
{
	local -a security=(--insecure)

	usage "$1" send --dev x --to y "${@:2}" z
}

pipe_unread()
{
	mkfifo pipe
	refuses a 3 'pipe that nobody reads' inspect --svg pipe \
		"$(image small --pages 64)"
}

# inspect's errors for sources that it cannot read.
inspect_refused()
{
	: >empty
	refuses a 3 "$@"
}

case_run "refuse: an image above the limit of files" file_limit
case_run "refuse: --wait, and nobody comes" nobody_comes
case_run "refuse: no such device (receive)" \
	refuses b 3 'nosuch0' receive --dev nosuch0 --listen "$HOSTS_B4" \
	--out copy
case_run "refuse: no such device (send)" \
	refuses a 3 'nosuch0' send --dev nosuch0 --to "$HOSTS_B4" /etc/hostname
case_run "refuse: no such device (attach)" refuses b 3 nosuch0 attach \
	--dev nosuch0
case_run "refuse: device down" device down down
case_run "refuse: MTU too small" device "mtu 1000" '1280'
case_run "refuse: queue missing" queue_missing
case_run "refuse: queue taken, its owner named" queue_taken
case_run "refuse: queue taken, for sending" queue_taken_for_sending
case_run "refuse: zero copy, which a veth lacks" zero_copy_missing
case_run "refuse: no privilege" no_privilege
case_run "refuse: few descriptors" few_descriptors
case_run "refuse: --json of no transfer" json_of_no_transfer
case_run "refuse: held by another XDP program, named" held_by_another
case_run "refuse: not the route's device, both named" other_route
case_run "refuse: attach and detach twice, other mode" attach_twice
case_run "refuse: peer absent" refuses a 4 refused send \
	--dev "$(dev_a)" --to "$HOSTS_B4" "$(image small --pages 64)"
case_run "refuse: an address of this host itself" refuses a 3 'this host itself' send \
	--dev "$(dev_a)" --to "$HOSTS_A4" "$(image small --pages 64)"
case_run "refuse: the loopback device" refuses b 3 'loopback device' receive \
	--dev lo --listen 127.0.0.1 --out copy
case_run "refuse: a rate below the least" usage '0 or 64K..1T' send --dev x --to y \
	--max-bandwidth 63K z
case_run "refuse: a value that stands apart" usage 'watch=5' stats --dev x --watch 5
case_run "refuse: a picture into a pipe that nobody reads" pipe_unread
case_run "refuse: peer's host absent" peer_host_absent
case_run "refuse: peer silent" odd_peer silent 'says no HELLO'
case_run "refuse: peer says PING, no more" odd_peer pings 'has not sent OFFER'
case_run "refuse: peer is a web server" odd_peer garbage 'not pagetrim'
case_run "refuse: peer of another version" odd_peer version \
	'speaks version 77, we speak version 3'
case_run "refuse: a sender of version 2 is told, then a sender" old_sender
case_run "refuse: peer closes at once" odd_peer close 'clos|cut'
case_run "refuse: peer takes tiny frames only" odd_peer small \
	'frame_sz_max: value 64'
case_run "refuse: a stranger connects, then a sender" \
	odd_sender 'GET / HTTP/1.1\r\n\r\n'
case_run "refuse: a scan connects and leaves, then a sender" odd_sender ''
case_run "refuse: source missing" source_refused nowhere nowhere
case_run "refuse: source unreadable" unreadable
case_run "refuse: source empty" source_refused empty empty
case_run "refuse: source a folder" source_refused /etc /etc
case_run "refuse: source a device" source_refused /dev/zero /dev/zero
case_run "refuse: one of two sources missing" \
	source_refused nowhere sound nowhere
case_run "refuse: --with file missing" \
	source_refused nowhere --with nowhere sound
case_run "refuse: process gone" process_gone
case_run "refuse: sink exists" sink_refused taken taken
case_run "refuse: sink's folder missing" sink_refused no/such no/such/copy
case_run "refuse: sink's folder read-only" sink_refused ro ro/copy
case_run "refuse: sink a folder" sink_refused folder folder
case_run "refuse: address of another host" listen_refused
case_run "refuse: no options" usage 'dev' receive
case_run "refuse: no key" no_key
case_run "refuse: a key, and --insecure" usage 'choose one' receive \
	--dev x --listen y --out z --insecure
case_run "refuse: half a certificate" half_a_certificate
case_run "refuse: --pad, and --insecure" insecure_but 'hides nothing' --pad
case_run "refuse: --cipher, and --insecure" insecure_but \
	'nothing is encrypted' --cipher aes-128-gcm
case_run "refuse: unknown option" usage 'bogus' receive --bogus
case_run "refuse: unknown trim" usage 'most' send --dev x --to y --trim most z
case_run "refuse: --prealloc of nothing" usage 'prealloc' receive --dev x \
	--listen y --out z --insecure --prealloc 0
case_run "refuse: --prealloc for many" usage 'serve' receive --dev x \
	--listen y --out z --insecure --prealloc 1G --serve
case_run "refuse: --prealloc of what is kept" usage 'resume' receive --dev x \
	--listen y --out z --insecure --prealloc 1G --resume
case_run "refuse: no source" usage '' send --dev x --to y
case_run "refuse: --keep-running without --pid" usage "pid" send --dev x --to y \
	--insecure --keep-running z
case_run "refuse: --live without --pid" usage "live needs --pid" send --dev x \
	--to y --insecure --live z
case_run "refuse: --live with --keep-running" usage "keep-running" send --dev x \
	--to y --insecure --live --keep-running --pid 1
case_run "refuse: --live with --resume" usage "resume" send --dev x --to y \
	--insecure --live --resume --pid 1
case_run "refuse: --tracker without --live" usage "need --live" send --dev x \
	--to y --insecure --tracker digest z
case_run "refuse: two files of one name" usage "one name" send --dev x --to y \
	--insecure --with a/state --with b/state z
case_run "refuse: 0 queues" usage 'queues' receive --dev x --listen y \
	--out z --queues 0
case_run "refuse: inspect nothing" inspect_refused nowhere inspect nowhere
case_run "refuse: inspect an empty file" inspect_refused empty inspect empty
cases_end
