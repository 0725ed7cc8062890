#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                      a hub                       host b
#   pagetrim send -- ptNAMEa === (all to all) === ptNAMEb -- pagetrim receive
#                                    |
#                                 ptNAMEc -- attack, strangers.py, capture.py
#                                host c
#
# A third host on the network hears all and says what it likes.  Transfers
# finish, what arrives is the image, every hostile frame is in the counter where
# it belongs, and neither memory nor connections grow.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

attack=$build/tests/net/attack

# attack_begin OPTION...: start it in host c, and return when it listens.  Sets
# attacker; its counts go to attack.json.
attack_begin()
{
	local dev

	dev=$(hosts_dev "$net" c)
	echo "+ [c] attack $*" >&2
	hosts_exec "$net" c "$attack" "$@" "$dev" >attack.json \
		2>attack.err &
	attacker=$!
	wait_until 10 grep -q '^attack: ready' attack.err
}

# seen COUNTER: what the program on b counted, all queues together.
seen()
{
	[[ -s stats.json ]] || hosts_run "$net" b "$pagetrim" stats --json \
		--dev "$(dev_b)" >stats.json
	jq "[.queues[].$1] | add" stats.json
}

# link HOST DEV JQ-PATH: of its counters.
link()
{
	hosts_run "$net" "$1" ip -s -j link show "$(hosts_dev "$net" "$2")" |
		jq ".[0].stats64.$3"
}

# exactly_counted: each verdict that no honest frame gets was given as often as
# frames were sent that deserve it; what the agent was to count, it counted.
exactly_counted()
{
	local name

	same "frames that the hub lost" "$(link w y tx.dropped)" 0
	same "frames that the attacker lost" "$(field attack .failed)" 0
	for name in bad_magic bad_version bad_header truncated bad_record \
		    unknown_session bad_mac wrong_queue no_socket; do
		same "$name" "$(seen $name)" "$(field attack ".verdicts.$name")"
	done
	same steered "$(seen steered)" "$(($(field send .frames) +
		$(field attack .heard.probes) +
		$(field attack .verdicts.steered)))"
	same refused_auth "$(field receive .ledger.refused_auth)" \
		"$(field attack .counted.refused_auth)"
	same duplicate "$(field receive .ledger.duplicate)" \
		"$(field attack .counted.duplicate)"
	same probes "$(field receive .ledger.probes)" \
		"$(($(field attack .heard.probes) +
		    $(field attack .counted.probes)))"
}

# every_kind: none was sent less than so often.
every_kind()
{
	jq -e --argjson least "$1" 'all(.kinds[]; . >= $least)' \
		attack.json >/dev/null || die "kinds: $(jq .kinds attack.json)"
}

# attacked_begin IMAGE SEND-OPTION...: a receiver and a sender on a hub.
attacked_begin()
{
	local image=$1

	shift
	hosts_run "$net" b "$pagetrim" attach --dev "$(dev_b)" >&2
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" "$@" "$image"
}

attacked_end()
{
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$1" copy
	balanced
}

# all_kinds MTU COUNT: frames of each kind, slowly enough that none is lost, all
# of them while the transfer runs.
all_kinds()
{
	show hosts_up "$net" --hub --mtu "$1"
	attack_begin --count "$2" --pause 20000
	attacked_begin "$(image even)" --max-bandwidth 5M
	ended attack "$attacker" 60 0
	! is_gone "$sender" || die "the transfer ended before the attack"
	attacked_end "$(image even)"
	every_kind $(($2 / 20))
	exactly_counted
}

case_run "hostile: every kind of frame, MTU 1500" all_kinds 1500 5000
case_run "hostile: every kind of frame, MTU 9000" all_kinds 9000 5000
security=(--insecure)
case_run "hostile: every kind of frame, not sealed" all_kinds 9000 5000
cases_end
