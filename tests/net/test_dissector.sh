#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                      a hub                       host b
#   pagetrim send -- ptNAMEa === (all to all) === ptNAMEb -- pagetrim receive
#                                    |
#                                 ptNAMEc -- dumpcap
#                                host c
#
# The Wireshark dissectors of examples/wireshark: over the vectors and made-up
# messages, and of captured transfers, whose counts are those of the ledger.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

reference=$root/tests/reference

reads_the_vectors() { show "$reference/test_dissector.py" -v; }

# captured OPTION...: host c captures the transfer of memory; c.json has its summary.
captured()
{
	local dumpcap

	hosts_exec "$net" c dumpcap -q -B 64 -i "$(dev_c)" -w c.pcap 2>c.err &
	dumpcap=$!
	wait_until 10 grep -qs '^File: ' c.err
	transfer memory --max-bandwidth 20M "$@"
	# The last frame: the kernel hands frames over in blocks.
	hosts_run "$net" a bash -c "echo all sent >/dev/udp/$HOSTS_C4/9"
	wait_until 20 grep -qsa 'all sent' c.pcap
	kill -INT "$dumpcap"
	finish "$dumpcap" 30
	grep -Eq "received/dropped on interface .*: [0-9]+/0 " c.err ||
		die "dumpcap: $(<c.err)"
	show "$reference/dissector.py" c.pcap >c.json
	echo "read: $(<c.json)" >&2
}

dev_c() { hosts_dev "$net" c; }

# memory_of_all_kinds: data, the same data in another order, text, and zeroes.
memory_of_all_kinds()
{
	head -c 2M /dev/urandom >memory
	head -c 1M memory >>memory.again
	cat memory.again >>memory
	seq 1 150000 >>memory
	truncate -s 6M memory
}

frames_are_the_ledgers()
{
	same "data frames" "$(field c .data)" "$(field send .frames)"
	same probes "$(field c .probes)" "$(field receive .ledger.probes)"
	same verdicts "$(field c '.verdicts | tostring')" \
		"{\"steered\":$(field receive '.ledger.sent + .ledger.probes')}"
}

# of_type N: the messages of a type.
of_type() { field c ".messages[\"$1\"] // 0"; }

in_clear()
{
	show hosts_up "$net" --hub --mtu 9000
	memory_of_all_kinds
	head -c 10000 /dev/urandom >state
	on_time captured --with state "$@"
	frames_are_the_ledgers
	same records "$(field c .records)" "$(field receive .ledger.records)"
	same "compressed frames" "$(field c .compressed)" \
		"$(field send .compression.frames)"
	same faults "$(field c '.faults | length')" 0
	same ledger "$(jq -S .ledger c.json)" "$(jq -S --slurpfile c c.json \
		'.ledger | with_entries(select(.key | in($c[0].ledger)))' \
		receive.json)"
	same "counters of the ledger" "$(field c '.ledger | length')" 18
	# HELLO, OPEN, SEGMENT, FILE, VERIFIED, LEDGER, COMMIT, BYE
	same messages "$(for type in 1 3 4 5 16 21 18 25; do of_type "$type";
		done | tr '\n' ' ')" "2 1 1 1 1 1 1 2 "
}

compressed()
{
	in_clear --compress zstd
	[[ $(field c .compressed) -gt 0 ]] || die "no frame is compressed"
}

sealed()
{
	show hosts_up "$net" --hub --mtu 9000
	memory_of_all_kinds
	on_time captured
	frames_are_the_ledgers
	[[ $(field c .data) -gt 100 ]] || die "$(field c .data) data frames"
	same "records and messages that are seen" \
		"$(field c '"\(.records) \(.messages | length)"')" "0 0"
}

case_run "dissector: reads every vector and message" reads_the_vectors
case_run "dissector: a sealed transfer" sealed
security=(--insecure)
case_run "dissector: a transfer in clear" in_clear
case_run "dissector: a compressed transfer in clear" compressed
cases_end
