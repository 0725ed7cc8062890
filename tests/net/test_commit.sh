#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   odd_sender.py -- ptNAMEa ================= ptNAMEb -- pagetrim receive
#
# Once the receiver has COMMIT, the sender cannot change the result: the memory
# gets its name, the receiver reports it, and answers a sender that asks.
#
#   host a                                     host b
#   pagetrim send -- ptNAMEa ===== ptNAMEb -- peer.py forget -- pagetrim receive
#
# A sender that lost the answer asks for it itself.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
security=(--insecure)	# these peers speak in clear

memory_sz=$((5 * (2 << 20) + 4097))

# odd ODDITY OPTION...: a receiver, and a sender that behaves so.
odd()
{
	local oddity=$1

	shift
	show hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --out copy "$@"
	on a "$here/odd_sender.py" "$HOSTS_B4" 16644 "$memory_sz" "$oddity" \
		>answer
	same "what the sender is told" "$(cat answer)" COMMITTED
	ended receive "$receiver" 10 0
	same "size of the copy" "$(stat -c %s copy)" "$memory_sz"
	cmp -n "$memory_sz" copy /dev/zero || die "copy is not zero"
	same "result of receive" "$(field receive .status)" completed
	nothing_left
}

# answer_lost OUT OPTION...: COMMITTED does not reach the sender, whose
# connection ends; the receiver's options put the image at OUT.  A receiver
# without --serve is asked only after its log says that it stays, and one with
# --drain after it was told to end.
answer_lost()
{
	local out=$1 proxy

	shift
	[[ " $* " != *" --serve "* || " $* " == *" --drain "* ]] || touch ask
	show hosts_up "$net" --mtu 9000
	mkdir folder
	receive_begin receive --listen "$HOSTS_B4" "$@"
	hosts_exec "$net" b "$here/peer.py" forget "$HOSTS_B4" 17000 16644 \
		ask 2>peer.err &
	proxy=$!
	wait_until 10 listens b 17000
	send_begin send --to "$HOSTS_B4:17000" --name copy --peer-timeout 60 \
		"$(image even)"
	if [[ " $* " == *" --drain "* ]]; then
		wait_until 30 test -e "$out"
		kill -TERM "$receiver"
		wait_until 10 grep -q 'takes no new transfer' receive.err
		touch ask
	elif [[ ! -e ask ]]; then
		wait_until 30 grep -q 'went away before it heard' receive.err
		touch ask
	fi
	ended send "$sender" 30 0
	same "result of send" "$(field send .status)" completed
	same_file "$(image even)" "$out"
	[[ " $* " != *" --serve "* || " $* " == *" --drain "* ]] ||
		kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	kill "$proxy"
	wait "$proxy" || true
	nothing_left
}

case_run "commit: a message that comes too late" odd late-message
case_run "commit: an ABORT that comes too late" odd late-abort
case_run "commit: an ABORT after COMMITTED" odd abort-at-end
case_run "commit: COMMIT twice" odd twice
case_run "commit: the connection ends without BYE" odd hangs-up
case_run "commit: the answer is lost" answer_lost copy --out copy
case_run "commit: the answer is lost, --serve" answer_lost folder/copy \
	--serve --out folder
case_run "commit: the answer is lost, --drain" answer_lost folder/copy \
	--serve --drain --out folder --peer-timeout 5
cases_end
