#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# soak.sh: transfers through the test wire, each with faults, sizes and options
# drawn from a seed, for some minutes (root).  Each must satisfy: the image
# arrives bit for bit, both ledgers balance and agree with the wire's counts,
# and nothing hangs or is left behind.  Some are killed half-way and repeated.
#
#     scripts/soak.sh MINUTES           seeds that nobody tried
#     scripts/soak.sh --seed N [CNT]    the CNT runs of seeds N, N + 1, ...
#                                       (default 1): a failed one again
#
# Prints one line per run, all output of a failed run with the command to repeat
# it, and the counts at the end.  A seed decides the events and the frames that
# they hit; the exact times vary.  Exit: 0 all held, 1 not, 2 usage.
#
# Installs missing packages and builds.  Environment: PAGETRIM_BUILD, a build
# folder to use as it is.
#
# shellcheck disable=SC2317 # runs are called by name

usage() { sed -n '4,/^$/s/^# \{0,1\}//p' "$0"; }

case ${1-} in
-h | --help)
	usage
	exit 0
	;;
esac
if [[ ${1-} == --seed && ${2-} =~ ^[0-9]+$ && ${3-1} =~ ^[1-9][0-9]*$ ]]; then
	seed=$2 run_cnt=${3-1} minutes=
elif [[ $# -eq 1 && $1 =~ ^[1-9][0-9]*$ ]]; then
	seed=$((RANDOM << 15 | RANDOM)) minutes=$1
else
	echo "soak: '$*': want MINUTES, or --seed N [CNT] (see --help)" >&2
	exit 2
fi
# shellcheck source=scripts/hosts.sh
source "$(dirname "${BASH_SOURCE[0]}")/hosts.sh"
hosts_bpffs || exit 1
if [[ -z ${PAGETRIM_BUILD-} ]]; then
	(cd "$(dirname "${BASH_SOURCE[0]}")/.." && scripts/deps.sh &&
		make -s -j "$(nproc)" all tools) || exit 1
fi
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tests/net/lib.sh"

# ---- drawing ----------------------------------------------------------------

# below N: sets drawn to 0..N-1, by the seed.  (Not in a subshell, where RANDOM
# would repeat.)
below() { drawn=$((RANDOM % $1)); }

# pick WORD...: sets drawn to one of them.
pick() { below $#; shift "$drawn"; drawn=$1; }

# perhaps PERCENT: true with that probability.
perhaps() { below 100; ((drawn < $1)); }

# fault PERCENT OPTION RATE...: gives the wire that fault with that probability.
fault()
{
	local percent=$1 option=$2

	shift 2
	if perhaps "$percent"; then
		pick "$@"
		wire_options+=("$option" "$drawn")
	fi
}

# draw_faults: draws the wire's faults.
draw_faults()
{
	wire_options=(--seed "$1")
	fault 60 --drop 1 5 10 50 100 300
	fault 40 --repeat 1 20 100 500
	if perhaps 40; then
		fault 100 --reorder 10 100 300
		fault 100 --span 4 64 1000
	fi
	if perhaps 30; then
		fault 100 --delay 10 100
		fault 100 --delay-us 100 3000 50000
	fi
	fault 30 --cut 1 20 100
	fault 40 --flip 1 20 100
	fault 30 --burst 2 16 128
	fault 15 --lane 0 1 2
	if perhaps 15; then
		fault 100 --silence-after 10 300 1000
		fault 100 --silence-ms 50 400 1500
	fi
	if perhaps 15; then
		fault 100 --eat-above 1400 1514 3000
		fault 100 --eat-after 0 100 500
	fi
}

# draw_hosts: draws MTU, queues, address.
draw_hosts()
{
	pick 1280 1500 1500 3506 4000 9000 9000 16000 65535
	mtu=$drawn
	pick 1 1 2 3 4
	queues=$drawn
	pick "$HOSTS_B4" "$HOSTS_B4" "[$HOSTS_B6]"
	addr=$drawn
}

# draw_agents: draws the agents' options, and the image.
draw_agents()
{
	receive_options=(--queues "$queues") send_options=(--queues "$queues")
	pick small middle large
	picture=$drawn
	if perhaps 20; then
		pick none ends blocks
		send_options+=(--trim "$drawn")
	fi
	if perhaps 15; then
		pick 40M 200M
		send_options+=(--max-bandwidth "$drawn")
	fi
	if perhaps 50; then
		receive_options+=(--resume) send_options+=(--resume)
	fi
	if perhaps 20; then
		security=(--insecure)
	else
		pick aes-128-gcm aes-256-gcm chacha20-poly1305
		send_options+=(--cipher "$drawn" --rekey-frames 65536)
		! perhaps 15 || send_options+=(--pad)
	fi
	# Below the frame size of --eat-above, since an MTU that the path does
	# not pass is refused.
	if perhaps 10; then
		send_options+=(--mtu 1380)
		((mtu >= 1380)) || unset 'send_options[-1]' 'send_options[-1]'
	fi
	if [[ " ${send_options[*]} " != *" --pad "* ]] && perhaps 60; then
		pick on on off
		send_options+=(--copies "$drawn")
	fi
}

# draw_event: draws an event for the agents, and the number of bytes before it.
draw_event()
{
	event=none
	if perhaps 35; then
		pick stop-receiver stop-sender kill-receiver kill-sender \
			link-down
		event=$drawn
	fi
	pick 100000 1000000 3000000 8000000
	event_at=$drawn
}

picture_of()
{
	case $1 in
	small)	image small --pages 700 --seed 11 --tail 100 ;;
	middle)	image middle --pages 4000 --seed 12 ;;
	large)	image large --pages 16000 --seed 13 ;;
	esac
}

# ---- a run ------------------------------------------------------------------

# happens EVENT: causes it between two checks that the transfer still runs.
happens()
{
	local agent=${event#*-}

	case $event in
	stop-*)
		kill -STOP "${!agent}" 2>/dev/null
		sleep 0.7
		kill -CONT "${!agent}" 2>/dev/null
		;;
	kill-*)
		kill -KILL "${!agent}" 2>/dev/null
		;;
	link-down)
		on a ip link set "$(dev_a)" down
		sleep 0.3
		on a ip link set "$(dev_a)" up
		on a ip address replace fd77::1/64 dev "$(dev_a)" nodad
		;;
	esac || true
}

# its_time: the event is due, or the transfer has ended.
its_time() { has_sent "$event_at" || is_gone "$sender"; }

# agents_begin: starts agents, which resume after killed ones if they may.
agents_begin()
{
	receive_begin receive --listen "$addr" --out copy --peer-timeout 20 \
		"${receive_options[@]}"
	send_begin send --to "$addr" --peer-timeout 20 "${send_options[@]}" \
		"$picture"
}

# both_well: both succeed, and the images are equal.
both_well()
{
	ended send "$sender" 90 0
	ended receive "$receiver" 25 0
	same_file "$picture" copy
	balanced
}

# cut_short: one agent was killed; the other one's report is correct.
cut_short()
{
	local killed=${event#*-} other=send pid=$sender

	[[ $killed == receiver ]] || other=receive pid=$receiver
	finish "${!killed}" 10
	# A receiver that did not learn of the transfer keeps waiting for one.
	if [[ $other == receive ]] && ! grep -q ' transfer ' receive.err; then
		kill -TERM "$receiver" 2>/dev/null || true
	fi
	finish "$pid" 50
	case $status in
	0)	same_file "$picture" copy ;;
	1 | 4)	[[ ! -e copy ]] || die "exit $status, but committed" ;;
	6)	[[ ! -e copy ]] || same_file "$picture" copy ;;
	*)	die "$other: exit $status: $(cat "$other.err")" ;;
	esac
	rm -f copy
	agents_begin
	both_well
}

soak_run()
{
	show hosts_up "$net" --wire --mtu "$mtu" --queues "$queues"
	show hosts_wire_start "$net" wire "$wire" "${wire_options[@]}"
	agents_begin
	if [[ $event != none ]]; then
		wait_until 60 its_time
		happens
	fi
	case $event in
	kill-*)
		cut_short
		show hosts_wire_stop
		;;
	link-down)	# which loses frames that the wire cannot count
		both_well
		show hosts_wire_stop || jq -e '.forth.lost + .back.lost > 0' \
			wire.json
		;;
	*)
		both_well
		show hosts_wire_stop
		as_the_wire_says
		;;
	esac
	nothing_left
	jq '.forth | [.dropped, .repeated, .reordered, .delayed, .cut, .eaten,
		.silenced, (to_entries[] | select(.key | startswith("flip")) |
			    .value)] | add' wire.json >>"$tmp/faults"
	jq .forth.in_bytes wire.json >>"$tmp/bytes"
}

# soak_seed SEED
soak_seed()
{
	local mtu queues addr event event_at picture
	local -a wire_options send_options receive_options
	local -a security=("${security[@]}")

	RANDOM=$1
	draw_hosts
	draw_agents
	draw_faults "$1"
	draw_event
	what="seed $1: MTU $mtu, $queues queues, $picture image,"
	what+=" ${send_options[*]:2} $event | ${wire_options[*]:2}"
	picture=$(picture_of "$picture")
	case_run "$what" soak_run
}

# ---- all of them ------------------------------------------------------------

sum() { [[ ! -e $1 ]] || awk '{ n += $1 } END { printf "%.0f", n }' "$1"; }

failed_seeds=()
started=$SECONDS
while :; do
	if [[ $minutes ]]; then
		((SECONDS - started < minutes * 60)) || break
	else
		((case_cnt < run_cnt)) || break
	fi
	before=$failed_cnt
	soak_seed "$seed"
	if ((failed_cnt > before)); then
		failed_seeds+=("$seed")
		cp "$tmp/log" "$tmp/log-$seed"
		echo "    again: scripts/soak.sh --seed $seed"
	fi
	seed=$((seed + 1))
done

# failures_of WORD: prints failed runs with WORD in their output.
failures_of()
{
	local seed cnt=0

	for seed in "${failed_seeds[@]}"; do
		! grep -Eq "^failed: .*($1)" "$tmp/log-$seed" || cnt=$((cnt + 1))
	done
	echo "$cnt"
}

cat <<END

$case_cnt runs in $((SECONDS - started)) s, $(sum "$tmp/faults") faults, $(sum "$tmp/bytes") bytes into the wire
$failed_cnt failed: ${failed_seeds[*]-}
$(failures_of 'differs from') with wrong bytes
$(failures_of 'hangs|never:') hung
$(failures_of 'ledger|unaccounted|frames|missing|duplicate') with an unbalanced ledger
END
cases_end
