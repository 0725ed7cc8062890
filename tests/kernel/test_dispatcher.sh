#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                    host b
#   send, ping -- ptNAMEa === ptNAMEb: libxdp's dispatcher: pagetrim, count
#
# `pagetrim attach` beside a foreign XDP program, which xdp-loader adds and
# removes: each sees its frames, in the order of their priorities, and either
# can be removed without the other.  This needs a kernel that loads programs
# which extend others; scripts/test-kernel.sh has one.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"

count=$build/count.bpf.o

# count_load PRIORITY: loads the other program.  Pagetrim's has priority 20;
# lower runs first.
count_load()
{
	on b xdp-loader load --mode native --prio "$1" "$(dev_b)" "$count"
}

# other_ids: prints the programs behind the dispatcher, without pagetrim's.
other_ids()
{
	hosts_run "$net" b xdp-loader status "$(dev_b)" |
		awk '/=>/ && $3 == "count" { print $4 }'
}

count_unload() { on b xdp-loader unload "$(dev_b)" --id "$(other_ids)"; }

# order: prints the names behind the dispatcher, the first first.
order()
{
	hosts_run "$net" b xdp-loader status "$(dev_b)" |
		awk '/=>/ { printf "%s ", $3 }'
}

# counted: prints the number of frames that the other program has counted.
counted()
{
	local map

	map=$(bpftool -j prog show id "$(other_ids)" | jq '.map_ids[0]')
	bpftool -j map dump id "$map" | jq '.[0].formatted.value // .[0].value'
}

attach() { on b "$pagetrim" attach --dev "$(dev_b)"; }
detach() { on b "$pagetrim" detach --dev "$(dev_b)"; }

ping_b() { on a ping -q -c 5 -i 0.05 "$HOSTS_B4"; }

# hook_is_free: the device has no program, and the dispatcher no pins.
hook_is_free()
{
	nothing_left
	same "pins of libxdp" \
		"$(find /sys/fs/bpf/xdp -name 'dispatch-*' 2>/dev/null)" ''
}

# beside MTU PRIORITY: both programs are on the device during a transfer.
beside()
{
	local mtu=$1 priority=$2 frames before

	show hosts_up "$net" --mtu "$mtu"
	count_load "$priority"
	attach
	if [[ $priority -lt 20 ]]; then
		same order "$(order)" "count pagetrim "
	else
		same order "$(order)" "pagetrim count "
	fi
	before=$(counted)
	transfer "$(image even --pages 2048)"
	no_loss
	frames=$(field receive .ledger.steered)
	echo "steered $frames, the other saw $(($(counted) - before))" >&2
	if [[ $priority -lt 20 ]]; then
		[[ $(counted) -ge $((before + frames)) ]] ||
			die "the first program did not see all frames"
	else
		# Pagetrim's frames end here; others pass on to the next
		# program.
		[[ $(counted) -lt $((before + frames)) ]] ||
			die "the second program saw our frames"
		before=$(counted)
		ping_b
		[[ $(counted) -ge $((before + 5)) ]] ||
			die "the second program did not see the pings"
	fi
}

ours_goes_first()
{
	local before

	beside 1500 10
	detach
	same order "$(order)" "count "
	before=$(counted)
	ping_b
	[[ $(counted) -ge $((before + 5)) ]] || die "it lost its frames with us"
	count_unload
	hook_is_free
}

other_goes_first()
{
	beside 3506 50
	count_unload
	same order "$(order)" "pagetrim "
	transfer_again
	detach
	hook_is_free
}

transfer_again()
{
	rm -rf copy copy.with
	transfer "$(image small --pages 64)"
	no_loss
}

# Frames in several buffers: pagetrim accepts them, and so does the dispatcher.
# xdp-loader's programs do not, so none can be added; pagetrim's is not harmed.
large_mtu()
{
	show hosts_up "$net" --mtu 9000
	attach
	transfer "$(image small --pages 64)"
	no_loss
	! count_load 50 || die "MTU 9000 is no longer too large for it"
	same order "$(order)" "pagetrim "
	transfer_again
	detach
	hook_is_free
}

# The other program is added while a receiver runs by the pinned program.
other_comes()
{
	show hosts_up "$net"
	attach
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --max-bandwidth 2M "$(image even --pages 2048)"
	wait_until 10 has_sent 1000000
	count_load 50
	! is_gone "$sender" || die "the transfer ended too early to tell"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even --pages 2048)" copy
	detach
	count_unload
	hook_is_free
}

# ours_id: prints pagetrim's program behind the dispatcher.
ours_id()
{
	hosts_run "$net" b xdp-loader status "$(dev_b)" |
		awk '/=>/ && $3 == "pagetrim" { print $4 }'
}

# ours_unload: the dispatcher continues with the other program.
ours_unload() { on b xdp-loader unload "$(dev_b)" --id "$(ours_id)"; }

# all_replaced: the device has a dispatcher before and after, and has none for
# less time than a receiver takes to look again.
all_replaced()
{
	on b xdp-loader unload "$(dev_b)" --all
	count_load 50
}

# taken_out FUNCTION OPTION...: another process takes pagetrim's program from
# the dispatcher while a receiver runs by it; earlier programs of the dispatcher
# do not matter.
taken_out()
{
	local function=$1

	shift
	show hosts_up "$net"
	attach
	chmod 0711 "$tmp" "$dir"	# for another user
	mkdir -m 0777 place
	receive_begin receive --listen "$HOSTS_B4" --out place/copy "$@"
	send_begin send --to "$HOSTS_B4" --max-bandwidth 1M \
		"$(image even --pages 2048)"
	wait_until 10 has_sent 500000
	count_load 50
	same order "$(order)" "pagetrim count "
	wait_until 10 has_sent 1000000
	! is_gone "$receiver" || die "the receiver ended too early to tell"
	"$function"
	same order "$(order)" "count "
	ended receive "$receiver" 20 3 "detached .* XDP program"
	ended send "$sender" 20 4 "detached .* XDP program"
	detach		# the pins, which no program uses
	count_unload
	hook_is_free
}

# Without `attach` pagetrim holds the hook alone, and its error names the
# holder.
receive_alone()
{
	show hosts_up "$net"
	count_load 50
	receive_launch receive --listen "$HOSTS_B4" --out copy
	ended receive "$receiver" 10 3 "$(dev_b).*xdp_dispatcher.*attach"
	count_unload
	hook_is_free
}

# libxdp without its dispatcher: pagetrim's program is alone on the hook, as on
# kernels that load no extensions.
no_dispatcher()
{
	show hosts_up "$net" --mtu "$1"
	on b env LIBXDP_SKIP_DISPATCHER=1 "$pagetrim" attach --dev "$(dev_b)"
	transfer "$(image even --pages 2048)"
	no_loss
	detach
	hook_is_free
}

# The device was removed and another has its name: the old pins belong to no
# device, and do no harm.
device_anew()
{
	show hosts_up "$net"
	attach
	hosts_run "$net" b ip link delete "$(dev_b)"
	hosts_veth_add "$net" 1 1500 a a b b
	hosts_address "$net" a 1
	hosts_address "$net" b 2
	attach
	transfer_again
	detach
	nothing_left
	on b xdp-loader clean	# libxdp's own pins for the device that went
}

case_run "dispatcher: another program first, ours leaves" ours_goes_first
case_run "dispatcher: ours first, the other leaves" other_goes_first
case_run "dispatcher: MTU 9000" large_mtu
case_run "dispatcher: another comes during a transfer" other_comes
case_run "dispatcher: ours is taken out" taken_out ours_unload
case_run "dispatcher: ours is taken out, --user" taken_out ours_unload --user nobody
case_run "dispatcher: ours is taken out with all" taken_out all_replaced
case_run "dispatcher: receive without attach names it" receive_alone
case_run "dispatcher: the device went, another came" device_anew
for mtu in 1500 9000; do
	case_run "dispatcher: without it, MTU $mtu" no_dispatcher "$mtu"
done
rmdir /sys/fs/bpf/xdp 2>/dev/null || true	# libxdp's, which leaves it; if empty
cases_end
