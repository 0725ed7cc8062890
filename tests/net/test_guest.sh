#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   QEMU, stopped; its RAM file
#   pagetrim send -- ptNAMEa ===== (wire) ===== ptNAMEb -- pagetrim receive
#
# A real guest's memory arrives bit for bit (by cmp) at every MTU, number of
# queues and loss; the ledger misses exactly the frames that the wire dropped;
# inspect predicts the bytes of send; and the guest resumes from its copy.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ram=/dev/shm/pagetrim-guest-$$
state=$tmp/guest
guest() { "$root/scripts/guest.sh" "$@"; }

guest_cleanup()
{
	guest stop --dir "$state" 2>/dev/null || true
	rm -f "$ram"
	cleanup
}
trap guest_cleanup EXIT

guest start --ram "$ram" --size-mib 512 --dir "$state" --timeout-s 1200 >&2
guest save --dir "$state" --state "$tmp/devices" >&2

# arrives MTU QUEUES LOSS: loss in per mille.
arrives()
{
	local mtu=$1 queues=$2 loss=$3
	local -a up=(--mtu "$mtu" --queues "$queues")

	((loss == 0)) || up+=(--wire)
	hosts_up "$net" "${up[@]}"
	((loss == 0)) || hosts_wire_start "$net" wire "$wire" --drop "$loss" \
		--seed "$((mtu + queues))"
	litter=("/dev/shm/pagetrim-$net")
	receive_begin receive --listen "$HOSTS_B4" --queues "$queues" \
		--out "${litter[0]}"
	send_begin send --to "$HOSTS_B4" --queues "$queues" "$ram"
	ended send "$sender" 120 0
	ended receive "$receiver" 10 0
	cmp "$ram" "${litter[0]}" || die "the copy differs"
	balanced
	if ((loss == 0)); then
		no_loss
	else
		hosts_wire_stop
		as_the_wire_says
	fi
}

# arrives_trimmed TRIM
arrives_trimmed()
{
	rm -f "${litter[0]}"
	receive_begin receive --listen "$HOSTS_B4" --out "${litter[0]}"
	send_begin send --to "$HOSTS_B4" --trim "$1" --compress off \
		--copies off "$ram"
	ended send "$sender" 120 0
	ended receive "$receiver" 10 0
}

# predicted MTU TRIM: inspect's wire bytes, which are those without compression and
# copies, are within 1 % of send's.
predicted()
{
	local mtu=$1 trim=$2 said sent

	hosts_up "$net" --mtu "$mtu"
	litter=("/dev/shm/pagetrim-$net")
	"$pagetrim" inspect --json --mtu "$mtu" "$ram" >inspect.json
	said=$(field inspect ".trim[\"$trim\"][\"wire-bytes\"]")
	on_time arrives_trimmed "$trim"
	sent=$(field send .ram.transferred)
	echo "inspect says $said bytes, send sent $sent"
	((100 * (said > sent ? said - sent : sent - said) <= sent)) ||
		die "inspect says $said bytes, send sent $sent: over 1 % apart"
}

# runs_on: the copy, with the device state that came with it, is a guest that
# continues to work.
runs_on()
{
	local copy=/dev/shm/pagetrim-$net

	litter=("$copy" "$copy.with")
	hosts_up "$net" --mtu 9000 --queues 2
	receive_begin receive --listen "$HOSTS_B4" --queues 2 --out "$copy"
	send_begin send --to "$HOSTS_B4" --queues 2 --with "$tmp/devices" "$ram"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	guest load --ram "$copy" --size-mib 512 --dir "$dir/copy" \
		--state "$copy.with/devices"
	guest resume --dir "$dir/copy"
	guest stop --dir "$dir/copy"
}

for mtu in 1280 1500 3506 9000 65535; do
	for queues in 1 2 4; do
		for loss in 0 10 100; do
			case_run "guest: mtu $mtu, $queues queue(s), $loss per mille lost" \
				arrives "$mtu" "$queues" "$loss"
		done
	done
done
for mtu in 1500 9000 65535; do
	for trim in none ends blocks; do
		case_run "guest: inspect predicts --trim $trim at mtu $mtu" \
			predicted "$mtu" "$trim"
	done
done
case_run "guest: runs on from its copy" runs_on
cases_end
