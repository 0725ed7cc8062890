#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                        the wire                       host b
#   pagetrim send -- ptNAMEa === ptNAMEx  -- ptNAMEy === ptNAMEb -- receive
#                            drops, repeats,
#                            reorders, counts
#
# Whatever the network does to frames, the memory arrives bit for bit, and the
# ledger's missing and duplicate are exactly what the wire did.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# through MTU QUEUES ADDR WIRE-OPTION...
through()
{
	local mtu=$1 queues=$2 ADDR=$3
	local -a receive_options=(--queues "$queues")

	shift 3
	show hosts_up "$net" --wire --mtu "$mtu" --queues "$queues"
	show hosts_wire_start "$net" wire "$wire" "$@"
	transfer "$(image even)" --queues "$queues"
	show hosts_wire_stop
	as_the_wire_says
	nothing_left
}

clean()
{
	through "$@"
	no_loss
}

# lossy: the same, and loss there was.
lossy()
{
	through "$@"
	[[ $(field receive .ledger.missing) -gt 0 ]] || die "nothing was lost"
}

repeated()
{
	through "$@"
	[[ $(field receive .ledger.duplicate) -gt 0 ]] || die "nothing came twice"
}

reordered()
{
	through "$@"
	[[ $(field wire .forth.reordered) -gt 0 ]] || die "nothing reordered"
}

all_at_once()
{
	through "$@"
	[[ $(field receive .ledger.missing) -gt 0 &&
	   $(field receive .ledger.duplicate) -gt 0 &&
	   $(field wire .forth.reordered) -gt 0 ]] || die "hardly disturbed"
}

# A path that silently eats frames above 1514 bytes, between devices of MTU
# 9000: found out by probes, before data flows.
narrow_path()
{
	show hosts_up "$net" --wire --mtu 9000
	show hosts_wire_start "$net" wire "$wire" --eat-above 1514
	transfer "$(image even)"
	show hosts_wire_stop
	as_the_wire_says
	[[ $(field wire .forth.eaten) -gt 0 ]] || die "no large frame was tried"
	[[ $(field send '.lanes[0]."frame-bytes"') -le 1514 ]] || die "large frames"
	[[ $(field send '.lanes[0]."frame-bytes"') -ge 1294 ]] || die "tiny frames"
}

for mtu in 1500 9000 65535; do
	for queues in 1 2 4; do
		what="MTU $mtu, $queues queues"
		case_run "faults: none, $what" clean "$mtu" "$queues" "$HOSTS_B4"
		case_run "faults: 1 % lost, $what" \
			lossy "$mtu" "$queues" "$HOSTS_B4" --drop 10
		case_run "faults: 10 % lost, $what" \
			lossy "$mtu" "$queues" "$HOSTS_B4" --drop 100
	done
	case_run "faults: 5 % twice, MTU $mtu" \
		repeated "$mtu" 2 "$HOSTS_B4" --repeat 50
	case_run "faults: 20 % out of order, MTU $mtu" \
		reordered "$mtu" 2 "$HOSTS_B4" --reorder 200 --span 64
	case_run "faults: all at once, MTU $mtu" all_at_once "$mtu" 2 \
		"$HOSTS_B4" --drop 50 --repeat 30 --reorder 200 --seed 9
done
for mtu in 1280 3506; do
	case_run "faults: 10 % lost, MTU $mtu" lossy "$mtu" 2 "$HOSTS_B4" \
		--drop 100
done
case_run "faults: all at once, IPv6" all_at_once 9000 2 "$HOSTS_B6" \
	--drop 100 --repeat 30 --reorder 200
case_run "faults: the path eats large frames" narrow_path
cases_end
