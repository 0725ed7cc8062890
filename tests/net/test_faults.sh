#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                        the wire                       host b
#   pagetrim send -- ptNAMEa === ptNAMEx  -- ptNAMEy === ptNAMEb -- receive
#                            drops, repeats,
#                            reorders, delays,
#                            cuts, flips, falls
#                            silent, counts
#
# Whatever the network does to frames, the memory arrives bit for bit, and the
# ledger's missing and duplicate equal the wire's counts; or the transfer ends
# in time with the error that its row names.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mtu=9000 queues=2

# through WIRE-OPTION...: a transfer through a wire with these options. $mtu,
# $queues, $ADDR, and $send_options, an array, may be set.
through()
{
	local -a receive_options=(--queues "$queues" "${receive_options[@]}")

	show hosts_up "$net" --wire --mtu "$mtu" --queues "$queues"
	show hosts_wire_start "$net" wire "$wire" "$@"
	transfer "$(image even)" --queues "$queues" "${send_options[@]}"
	show hosts_wire_stop
	as_the_wire_says
	nothing_left
}
send_options=()

# disturbed FACTS WIRE-OPTION...: as through; and each of the facts is above 0,
# so that the case cannot pass without a fault: wire.FIELD of the wire's counts,
# ledger.FIELD of the receiver's, or send.FIELD.
disturbed()
{
	local fact cnt facts=$1

	shift
	through "$@"
	for fact in $facts; do
		case $fact in
		wire.*)	  cnt=$(field wire ".forth.${fact#*.}") ;;
		ledger.*) cnt=$(field receive ".$fact") ;;
		send.*)	  cnt=$(field send ".\"${fact#*.}\"") ;;
		esac
		[[ $cnt -gt 0 ]] || die "$fact is $cnt"
	done
}

clean()
{
	through
	no_loss
}

# flipped PART: flips a bit of that part, in one of 20 frames.
flipped()
{
	local flips

	disturbed "wire.flip_$1 ledger.missing" --flip 50 --flip-part "$1"
	flips=$(field wire ".forth.flip_$1")
	case $1 in
	auth | contents | blocks)	# XDP cannot see that
		same "frames with a wrong tag" \
			"$(field receive .ledger.refused_auth)" "$flips" ;;
	header)		# XDP can, if it is sealed; then none takes a descriptor
		[[ ${security[*]} == --insecure ]] ||
			same "frames with a wrong tag" \
				"$(field receive .ledger.refused_auth)" 0 ;;
	esac
}

# unsealed COMMAND...: where frames carry a checksum, which anyone can make.
unsealed()
{
	local -a security=(--insecure)

	"$@"
}

# A path that silently drops frames above 1514 bytes, between devices of MTU
# 9000: probes find that before data flows.
narrow_path()
{
	disturbed wire.eaten --eat-above 1514
	within "bytes of a frame" \
		"$(field send '.lanes[0]."frame-bytes"')" 1294 1514
}

# ---- loss, for each MTU and number of queues --------------------------------

for mtu in 1500 9000 65535; do
	for queues in 1 2 4; do
		what="MTU $mtu, $queues queues"
		case_run "faults: none, $what" clean
		case_run "faults: 10 % lost, $what" \
			disturbed ledger.missing --drop 100
	done
done
queues=2
for mtu in 1280 3506; do
	case_run "faults: 10 % lost, MTU $mtu" \
		disturbed ledger.missing --drop 100
done

# ---- what a wire may do, at one MTU ----------------------------------------

# NAME | what must show | the wire's options
mtu=9000 queues=2
while IFS='|' read -r name facts options; do
	# shellcheck disable=SC2086 # words
	case_run "faults: $name" disturbed "$facts" $options
done <<'END'
1 % lost|ledger.missing|--drop 10
0.1 % lost|wire.dropped ledger.missing|--drop 1
30 % lost|ledger.missing|--drop 300
lost in bursts of 64|ledger.missing|--drop 50 --burst 64
one lane of two loses 30 %|ledger.missing|--drop 300 --lane 1
5 % twice|ledger.duplicate|--repeat 50
all twice, more than the ring has room for|ledger.duplicate|--repeat 1000
20 % out of order, within 64|wire.reordered|--reorder 200 --span 64
20 % out of order, within 1000|wire.reordered|--reorder 200 --span 1000 --hold-us 4000
10 % delayed|wire.delayed|--delay 100 --delay-us 2000
2 % so late that they were sent again|send.frames-lost|--delay 20 --delay-us 400000
5 % cut|wire.cut ledger.missing|--cut 50
all kinds at once|ledger.missing ledger.duplicate wire.reordered wire.cut wire.flip_contents|--drop 50 --repeat 30 --reorder 200 --delay 50 --cut 20 --flip 50 --seed 9
all kinds, in bursts of 16|ledger.missing ledger.duplicate wire.reordered|--drop 30 --repeat 30 --reorder 100 --cut 20 --flip 20 --burst 16 --seed 4
END
for part in outer header auth contents; do
	case_run "faults: bits change in $part" flipped "$part"
done
for part in header records pad blocks; do
	case_run "faults: bits change in $part, unsealed" \
		unsealed flipped "$part"
done
for mtu in 1500 65535; do
	case_run "faults: all kinds at once, MTU $mtu" disturbed \
		"ledger.missing ledger.duplicate wire.reordered" --drop 50 \
		--repeat 30 --reorder 200 --cut 20 --flip 50 --seed 9
done
mtu=9000 ADDR=$HOSTS_B6
case_run "faults: all kinds at once, IPv6" disturbed \
	"ledger.missing ledger.duplicate wire.reordered" \
	--drop 100 --repeat 30 --reorder 200 --cut 20 --flip 50
unset ADDR
case_run "faults: all kinds at once, unsealed" unsealed disturbed \
	"ledger.missing ledger.duplicate wire.reordered" \
	--drop 100 --repeat 30 --reorder 200 --cut 20 --flip 50
case_run "faults: the path eats large frames" narrow_path
cases_end
