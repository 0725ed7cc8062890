#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                      a hub                       host b
#   pagetrim send -- ptNAMEa === (all to all) === ptNAMEb -- pagetrim receive
#                                    |
#                                 ptNAMEc -- attack, strangers.py, capture.py
#                                host c
#
# A third host on the network hears all frames and sends any.  Transfers finish,
# the image arrives, every hostile frame is in its counter, and neither memory
# nor connections grow.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

attack=$build/tests/net/attack

# attack_begin OPTION...: starts it in host c, and returns when it listens.
# Sets attacker; its counts go to attack.json.
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

# look: stores the present counts of the program on b, for seen.
look()
{
	hosts_run "$net" b "$pagetrim" stats --json --dev "$(dev_b)" \
		>stats.json
}

# seen COUNTER: prints its sum over all queues.
seen()
{
	jq "[.queues[].$1] | add" stats.json
}

# link HOST DEV JQ-PATH: prints one of its counters.
link()
{
	hosts_run "$net" "$1" ip -s -j link show "$(hosts_dev "$net" "$2")" |
		jq ".[0].stats64.$3"
}

# exactly_counted: each verdict that no honest frame gets was given as often as
# frames were sent that deserve it; the agent's counts agree, too.
exactly_counted()
{
	local name

	look
	same "frames that the hub lost" "$(link w y tx.dropped)" 0
	same "frames that the attacker lost" "$(field attack .failed)" 0
	for name in bad_magic bad_version bad_header truncated bad_record \
		    unknown_session bad_mac wrong_queue no_socket; do
		same "$name" "$(seen "$name")" "$(field attack ".verdicts.$name")"
	done
	same steered "$(seen steered)" "$(($(field send .frames) +
		$(field attack .heard.probes) +
		$(field attack .verdicts.steered)))"
	same refused_auth "$(field receive .ledger.refused_auth)" \
		"$(field attack .counted.refused_auth)"
	same refused_unit "$(field receive .ledger.refused_unit)" \
		"$(field attack '.counted.refused_unit // 0')"
	same duplicate "$(field receive .ledger.duplicate)" \
		"$(field attack .counted.duplicate)"
	same probes "$(field receive .ledger.probes)" \
		"$(($(field attack .heard.probes) +
		    $(field attack .counted.probes)))"
}

# every_kind: at least so many frames of each kind were sent.
every_kind()
{
	jq -e --argjson least "$1" 'all(.kinds[]; . >= $least)' \
		attack.json >/dev/null || die "kinds: $(jq .kinds attack.json)"
}

# hub_up MTU: three hosts; the counters on b outlive its receivers.
hub_up()
{
	show hosts_up "$net" --hub --mtu "$1"
	on b "$pagetrim" attach --dev "$(dev_b)" >&2
	unseen=0
	wait_until 10 is_quiet
}

# is_quiet: no frame is in flight; the uncounted frames are known.
is_quiet()
{
	local before

	before=$(($(link a a tx.packets) + $(link c c tx.packets)))
	unseen=$(unseen=0 difference)
	[[ $(($(link a a tx.packets) + $(link c c tx.packets))) -eq $before ]]
}

# difference: frames that a and c sent, less those that b's program saw, that
# the hub dropped, and that passed before the program was attached.
difference()
{
	look
	echo $(($(link a a tx.packets) + $(link c c tx.packets) -
		$(seen seen) - $(link w y tx.dropped) - unseen))
}

# attacked_begin IMAGE SEND-OPTION...: a receiver and a sender on a hub.
attacked_begin()
{
	local image=$1

	shift
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

# all_kinds MTU COUNT: sends frames of each kind, slowly enough that none is
# lost, all of them during the transfer, which then gets faster.
all_kinds()
{
	hub_up "$1"
	attack_begin --count "$2" --pause 20000
	attacked_begin "$(image even)" --max-bandwidth 2M --control control
	ended attack "$attacker" 60 0
	! is_gone "$sender" || die "the transfer ended before the attack"
	show "$pagetrim" ctl set max-bandwidth 20M --control control
	attacked_end "$(image even)"
	every_kind $(($2 / 24))
	exactly_counted
}

# conserved: each frame of a and c was seen by b's program or dropped by the
# hub; and each seen frame has a verdict.
conserved()
{
	wait_until 10 is_conserved
	jq -e '.total | .seen == ([.[]] | add) - .seen - .seen_bytes' \
		stats.json >/dev/null || die "verdicts: $(<stats.json)"
}

is_conserved()
{
	local left

	left=$(difference)
	[[ $left -eq 0 ]] || echo "$left frames not accounted for" >&2
	[[ $left -eq 0 ]]
}

# flooded NAME OPTION...: at full rate, as long as the transfer takes.  Prints
# the time without the flood.
flooded()
{
	local image=$tmp/dense calm

	[[ -e $image ]] || head -c 128M /dev/urandom >"$image"
	shift
	hub_up 9000
	attacked_begin "$image"
	attacked_end "$image"
	calm=$(field send '."send-time"')
	rm copy
	attack_begin --after 1 "$@"
	attacked_begin "$image" --peer-timeout 60
	ended send "$sender" 120 0
	kill -TERM "$attacker"
	ended attack "$attacker" 10 0
	ended receive "$receiver" 10 0
	same_file "$image" copy
	balanced
	conserved
	[[ $(field attack .sent) -gt 10000 ]] ||
		die "no flood: $(field attack .sent) frames"
	slowdown "$calm"
}

# slowdown CALM: prints a number for people; no test can promise it.
slowdown()
{
	jq -rn --argjson calm "$1" --slurpfile send send.json \
		--slurpfile attack attack.json '($send[0]."send-time") as $ms |
		"# \($attack[0].sent) frames in \($ms / 1000) s: " +
		"\($ms / $calm * 10 | round / 10) times as long as without"'
}

# led_astray: replays on another queue than the lane's must not make both ends
# probe for ever.
led_astray()
{
	show hosts_up "$net" --hub --mtu 9000 --queues 2
	on b "$pagetrim" attach --dev "$(dev_b)" >&2
	attack_begin --pause 1000 --kind astray
	receive_begin receive --listen "$HOSTS_B4" --out copy --queues 2
	send_begin send --to "$HOSTS_B4" --max-bandwidth 10M "$(image even)"
	ended send "$sender" 60 0
	kill -TERM "$attacker"
	ended attack "$attacker" 10 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
	look
	[[ $(seen wrong_queue) -gt 1000 ]] ||
		die "$(seen wrong_queue) frames on the wrong queue"
	[[ $(field send .probes) -le 20 ]] ||
		die "the sender probed $(field send .probes) times"
}

# strangers_begin: from host c to the receiver.  Sets strangers, since.
strangers_begin()
{
	since=$SECONDS
	echo "+ [c] strangers.py" >&2
	hosts_exec "$net" c "$here/strangers.py" "$HOSTS_B4" 16644 \
		"$receiver" >strangers.json 2>strangers.err &
	strangers=$!
	wait_until 30 grep -q 'all here' strangers.err
}

# strangers_bounded: strangers were turned away, and the receiver had at most
# 1024 of them at once, 64 KiB for each, 128 sessions, and a listener; and its
# log has ten lines a second about them.
strangers_bounded()
{
	local lines

	kill -TERM "$strangers"
	ended strangers "$strangers" 10 0
	echo "# strangers: $(jq -c . strangers.json)" >&2
	jq -e '(.came | add) >= 3000 and (.went | add) >= 300' \
		strangers.json >/dev/null || die "too few strangers"
	jq -e '.sockets <= 1024 + 128 + 16' strangers.json >/dev/null ||
		die "$(field strangers .sockets) sockets"
	jq -e '.rss - ."rss-before" <= 1024 * 64 + 16 * 1024' \
		strangers.json >/dev/null || die "memory: $(<strangers.json)"
	lines=$(grep -c 'turned away' receive.err)
	echo "# lines about them: $lines" >&2
	# The log's seconds begin at other times: there may be two more than
	# passed.
	((lines <= 11 * (SECONDS - since + 2))) || die "$lines lines of log"
}

# besieged IMAGE: strangers connect first, then the sender.
besieged()
{
	show hosts_up "$net" --hub --mtu 9000
	receive_begin receive --listen "$HOSTS_B4" --out copy
	strangers_begin
	send_begin send --to "$HOSTS_B4" --max-bandwidth 10M "$(image even)"
	ended send "$sender" 60 0
	strangers_bounded
	ended receive "$receiver" 30 0
	same_file "$(image even)" copy
	balanced
}

# joined: without keys strangers get as far as HELLO; they do not disturb the
# transfer.
joined()
{
	show hosts_up "$net" --hub --mtu 9000
	under_way 1000000
	strangers_begin
	go_on
	ended send "$sender" 60 0
	strangers_bounded
	ended receive "$receiver" 30 0
	same_file "$(image even)" copy
	balanced
}

# heard_by_c: host c captures the transfer of memory, which has data, the same data
# in another order, and zeroes.  AF_XDP frames pass no tap on their own hosts.
heard_by_c()
{
	local dev capture

	dev=$(hosts_dev "$net" c)
	show hosts_up "$net" --hub --mtu 9000
	hosts_exec "$net" c "$here/capture.py" listen "$dev" captured \
		>captured.cnt 2>capture.err &
	capture=$!
	wait_until 10 grep -q ready capture.err
	head -c 2M /dev/urandom >memory
	head -c 1M memory >>memory.again
	cat memory.again >>memory
	truncate -s 4M memory
	transfer memory --max-bandwidth 20M
	kill -TERM "$capture"
	ended capture "$capture" 30 0
	same "frames captured" "$(<captured.cnt)" \
		"$(($(field send .frames) + $(field send .probes)))"
	[[ $(field send .copies.pages) -gt 100 ]] ||
		die "$(field send .copies.pages) copies"
}

# captured SHOWS: all of the memory's blocks, counts, records and page numbers are in
# the captured frames, if SHOWS, or nothing of these.
captured()
{
	local found has words key frames sound named anywhere

	heard_by_c
	key=$(cut -d : -f 2 "$tmp/keys.psk")
	read -r found has words < <("$here/capture.py" search captured \
		memory "$key" "$(printf %s "$key" | od -An -v -tx1 |
				 tr -d ' \n')")
	read -r frames sound named anywhere < <("$here/capture.py" records \
		captured memory)
	same "blocks" "$has" 32768
	same "keys found" "$words" 0
	same "data frames" "$frames" "$(field send .frames)"
	if [[ $1 ]]; then
		same "blocks found" "$found" "$has"
		same "frames of which the counts are seen" "$sound" "$frames"
		same "pages named" "$named" 1024
		[[ $anywhere -gt 300 ]] || die "$anywhere page numbers"
	else
		same "found of blocks, counts, pages, page numbers" \
			"$found $sound $named $anywhere" "0 0 0 0"
	fi
}

case_run "hostile: every kind of frame, MTU 1500" all_kinds 1500 3300
case_run "hostile: every kind of frame, MTU 9000" all_kinds 9000 3300
case_run "hostile: a flood of forged frames" \
	flooded forged --kind garbage --kind short --kind forged
case_run "hostile: a flood of replayed frames" \
	flooded replayed --kind replay --kind probe --kind block
case_run "hostile: replays on another queue" led_astray
case_run "hostile: strangers without end" besieged
case_run "hostile: a capture shows nothing" captured ""

security=(--insecure)
case_run "hostile: every kind of frame, not sealed" all_kinds 9000 3300
case_run "hostile: strangers without end, not sealed" joined
case_run "hostile: a capture of what is not sealed shows all" captured all
cases_end
