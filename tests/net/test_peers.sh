#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                       host b
#   pretender.py sender -- ptNAMEa === ptNAMEb -- pagetrim receive --serve
#   pagetrim send ------------------------------- pretender.py receiver
#
# Peers that answer every PING but make no progress.  Each is ended at its
# deadline, which is three times --peer-timeout, and gets the cause; its
# resources are free then.  (test_storage.sh covers waits for storage.)
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

security=(--insecure)
timeout_s=1
deadline_s=$((3 * timeout_s))
addr=$HOSTS_B4

serve()
{
	show hosts_up "$net" --mtu 1500
	mkdir out
	receive_begin receive --serve --listen "$addr" --out out \
		--peer-timeout "$timeout_s"
}

# told WHICH WORD MOST_S [LEAST_S]: its last message has WORD, and came neither
# before its deadline nor much later.
told()
{
	local file=told-$1 after least=${4:-$((deadline_s - 1))}

	cat "$file" >&2
	grep -q -- "$2" "$file" || die "$1: its end does not say '$2'"
	after=$(sed 's/[. ].*//' "$file")
	within "seconds of $1" "$after" "$least" "$(($3 * patience))"
}

# A memory arrives beside simulated peers, and when all are gone.
honest()
{
	send_begin send --to "$addr" --name "$1" --peer-timeout 5 \
		"$(image small --pages 1024)"
	ended send "$sender" 20 0
	same_file "$(image small)" "out/$1"
}

# Senders, one for each state with a deadline; all at once.
senders_that_pretend()
{
	local stop i=0 stops=(OPEN SEGMENT slow data VERIFY COMMIT BYE)

	serve
	for stop in "${stops[@]}"; do
		pretend "$stop"
	done
	for stop in "${stops[@]}"; do
		wait_until 20 stops "$stop-$((i++))"
	done
	honest meanwhile
	i=0
	for stop in "${stops[@]}"; do
		finish "${pretenders[i]}" 30
		case $stop in
		BYE)	told "$stop-$i" closed 20 ;;
		slow)	told "$stop-$i" 'sends no SEGMENT' 20 ;;
		*)	told "$stop-$i" "sends no $stop" 20 ;;
		esac
		i=$((i + 1))
	done
	honest afterwards
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	same "left behind" \
		"$(find out -name 'pretender-*' ! -name 'pretender-BYE-*')" ''
}

# One that sends WORKING and makes progress gets 8 s, and is then ended as all
# are.
one_that_works()
{
	serve
	pretend works
	finish "${pretenders[0]}" 60
	told works-0 'sends no data' 60 $((8 + deadline_s - 1))
}

# Messages without pause are no progress, and block no other sender.
one_that_floods()
{
	serve
	pretend flood
	wait_until 60 stops flood-0
	honest meanwhile
	finish "${pretenders[0]}" 60
	grep -q 'sends no SEGMENT' receive.err || die "not ended for its deadline"
	honest afterwards
}

# Three hold all the lanes of a queue that one address may have, and an honest
# sender of the same address is served when they are gone.
places_are_free_again()
{
	local i timeout_s=3	# they are still there when one more comes

	serve
	for i in 0 1 2; do
		pretend lanes 64
	done
	for i in 0 1 2; do
		wait_until 20 stops "lanes-$i"
	done
	send_begin early --to "$addr" --name early "$(image small --pages 1024)"
	ended early "$sender" 20 4 'lanes'
	for i in 0 1 2; do
		finish "${pretenders[i]}" 30
	done
	honest afterwards
}

# A sender that claims a frame more than it sent: the receiver refuses to commit.
one_that_claims_a_frame()
{
	serve
	pretend unbalanced
	finish "${pretenders[0]}" 60
	told unbalanced-0 'unaccounted for' 20 0
	honest afterwards
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	same "left behind" "$(find out -name 'pretender-*')" ''
}

# A simulated receiver.  EXIT and WORD: the end of its sender.
receiver_that_pretends()
{
	local stop=$1 want=$2 word=$3 begun

	show hosts_up "$net" --mtu 1500
	truncate -s 4M zeroes
	pretend_receiver "$stop"
	begun=$SECONDS
	send_begin send --to "$addr" --peer-timeout "$timeout_s" zeroes
	ended send "$sender" 60 "$want" "$word"
	within "seconds until it gave up" $((SECONDS - begun)) 0 \
		$((20 * patience))
	kill -KILL "$pretender"
}

case_run "peers: senders that pretend" senders_that_pretend
case_run "peers: a sender that says WORKING" one_that_works
case_run "peers: a sender that talks without pause" one_that_floods
case_run "peers: places are free again" places_are_free_again
case_run "peers: a sender whose frames are not all there" one_that_claims_a_frame
case_run "peers: a receiver that offers nothing" \
	receiver_that_pretends OFFER 4 'has not sent OFFER'
case_run "peers: a receiver that opens nothing" \
	receiver_that_pretends OPENED 4 'has not sent OPENED'
case_run "peers: a receiver that grants no lane" \
	receiver_that_pretends LANE_READY 4 'does not grant'
case_run "peers: a receiver that verifies without a ledger" \
	receiver_that_pretends LEDGER 4 'VERIFIED without a LEDGER'
case_run "peers: a receiver whose ledger comes before VERIFY" \
	receiver_that_pretends early-ledger 4 'unexpected LEDGER'
case_run "peers: a receiver whose ledger does not balance" \
	receiver_that_pretends unbalanced 5 'unaccounted for; nothing was committed'
case_run "peers: a receiver that sees probes of a lane that there is not" \
	receiver_that_pretends no-lane 4 'unexpected PROBE_SEEN'
case_run "peers: a receiver that never verifies" \
	receiver_that_pretends VERIFIED 4 'has not sent VERIFIED'
case_run "peers: a receiver that never commits" \
	receiver_that_pretends COMMITTED 6 'has not sent COMMITTED'
case_run "peers: a receiver that commits before it is told to" \
	receiver_that_pretends early 4 'unexpected COMMITTED'
case_run "peers: a receiver that commits another transfer" \
	receiver_that_pretends other 6 'has not sent COMMITTED'
case_run "peers: a receiver that talks without pause" \
	receiver_that_pretends flood 6 'has not sent COMMITTED'

cases_end
