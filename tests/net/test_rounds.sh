#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   a process writes, punches holes
#        |  memfd
#   rounds.c (pt_sender, live) ================= pagetrim receive --out copy
#
# Memory that changes while it is sent: the copy is the memory as it stood when
# its process was stopped, with each tracker, with and without loss; after a
# failure the process goes on.  So does a stream of batches (told.c).
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

security=(--insecure)

# rounds MIB TRACKER WRITES [DELTA]: the sender, begun.
rounds()
{
	receive_begin receive --listen "$HOSTS_B4" --out copy
	hosts_exec "$net" a "$build/tests/net/rounds" "$(dev_a)" "$HOSTS_B4" \
		"${@:1:3}" memory "${@:4}" >rounds.json 2>rounds.err &
	sender=$!
}

# arrived TRACKER: the copy is the memory that stood still.
arrived()
{
	ended rounds "$sender" 60 0
	ended receive "$receiver" 10 0
	cat rounds.err >&2
	same_file memory copy
	same tracker "$(field rounds .tracker)" "$1"
	[[ $(field rounds .writes) -gt 0 ]] || die "nothing was written"
	same unaccounted "$(field receive .ledger.unaccounted)" 0
}

still()
{
	show hosts_up "$net" --mtu 9000 --queues 2
	rounds 128 "$1" "$2"
	arrived "$1"
	[[ $(field rounds .deltas) -gt 0 ]] || die "no page went as a delta"
	same refused "$(field receive .ledger.refused_version)" 0
	nothing_left
}

without_deltas()
{
	show hosts_up "$net" --mtu 9000 --queues 2
	rounds 128 auto 20 0
	arrived wp-async
	same deltas "$(field rounds .deltas)" 0
}

disturbed()
{
	show hosts_up "$net" --wire --mtu 9000 --queues 2
	show hosts_wire_start "$net" wire "$wire" --drop 10 --repeat 5 \
		--reorder 200 --delay 20
	rounds 64 "$1" 20
	arrived "$1"
	show hosts_wire_stop
	for fate in dropped repeated reordered delayed; do
		[[ $(field wire ".forth.$fate") -gt 0 ]] || die "no frame was $fate"
	done
}

# hot: pages that are written all the time are sent at the stop, and hardly ever
# before.  No stop fits, so rounds go on until the memory has settled, 30 s.
hot()
{
	show hosts_up "$net" --mtu 9000 --queues 2
	rounds 64 wp-async 100 0 200 30000000
	arrived wp-async
	[[ $(field rounds .hot) -gt 100 ]] || die "no page is left for last"
	[[ $(field rounds '."last-pages"') -ge 200 ]] ||
		die "the last round lacks them"
	awk '/^round/ { n++; dirty += d; sent += n > 1 ? $3 : 0
		for (i = 1; i < NF; i++) if ($(i + 1) == "dirty,") d = $i }
		END { exit !(n > 8 && 2 * sent < dirty) }' rounds.err ||
		die "the rounds sent them, too"
}

# The receiver dies: the process is not left stopped, nor protected.
fails()
{
	show hosts_up "$net"
	rounds 256 auto 50
	wait_until 20 has_sent 20000000
	kill -KILL "$receiver"
	finish "$sender" 60
	[[ $status -eq 1 ]] || die "exit $status"
	# Bytes that it had not read make the kernel cut the connection.
	grep -Eq 'cut from the peer|peer closed the connection' rounds.err || die "$(cat rounds.err)"
}

# Each batch of a stream is freed at the next look: a pause between a look and the
# round after it does not lose the batch.
paused()
{
	show hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --out copy
	hosts_exec "$net" a "$build/tests/net/told" "$(dev_a)" "$HOSTS_B4" \
		memory >told.json 2>told.err &
	sender=$!
	ended told "$sender" 60 0
	ended receive "$receiver" 10 0
	same batches "$(field told .batches)" 8
	[[ $(field told .pauses) -ge 7 ]] || die "no pauses"
	same_file memory copy
}

for tracker in digest wp-async; do
	case_run "rounds: $tracker, few writes" still "$tracker" 2
	case_run "rounds: $tracker, many writes" still "$tracker" 100
	case_run "rounds: $tracker, frames lost, repeated and late" \
		disturbed "$tracker"
done
case_run "rounds: a stream, paused at each look" paused
case_run "rounds: no deltas" without_deltas
case_run "rounds: hot pages are left for last" hot
case_run "rounds: the receiver dies" fails
cases_end
