#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                            host b
#   pagetrim send -- ptNAMEa =============== ptNAMEb -- pagetrim receive
#                    other name, other MAC,  other name, other
#                    other namespace, gone   namespace, gone
#
# Devices, addresses and routes change during a transfer, or while a receiver
# waits for one: it continues, or ends soon with a line that names the cause.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# as_it_was: the transfer that was under way succeeds.
as_it_was()
{
	[[ ! -S under-way ]] || go_on
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
}

# all_addresses HOST NUMBER DEV: restores them after the device was away.
all_addresses()
{
	on "$1" ip link set "$3" up
	on "$1" ip address replace "10.77.0.$2/24" dev "$3"
	on "$1" ip address replace "fd77::$2/64" dev "$3" nodad
}

# rename HOST NUMBER: gives its device another name.
rename()
{
	local new

	new=$(hosts_dev "$net" z)
	on "$1" ip link set "$(hosts_dev "$net" "$1")" down
	on "$1" ip link set "$(hosts_dev "$net" "$1")" name "$new"
	all_addresses "$1" "$2" "$new"
}

# leave HOST: moves its device to a namespace of its own.
leave()
{
	hosts_netns_add "$net" c
	on "$1" ip link set "$(hosts_dev "$net" "$1")" netns \
		"$(hosts_netns "$net" c)"
}

# leave_and_return HOST NUMBER: as before, but without what was attached to it.
leave_and_return()
{
	local dev

	dev=$(hosts_dev "$net" "$1")
	leave "$1"
	on c ip link set "$dev" netns "$(hosts_netns "$net" "$1")"
	all_addresses "$1" "$2" "$dev"
}

# ---- the receiver's device ----------------------------------------------------

# no_program HOST: its renamed device has no program of pagetrim.
no_program()
{
	same "XDP program" "$(on "$1" ip -j link show \
		"$(hosts_dev "$net" z)" | jq -c '.[0].xdp.prog.id')" null
}

# attach_if WORD: if it is "attached".
attach_if()
{
	[[ $1 != attached ]] || on b "$pagetrim" attach --dev "$(dev_b)"
}

receiver_renamed()
{
	show hosts_up "$net" --mtu 9000
	attach_if "$1"
	under_way 2000000
	rename b 2
	as_it_was
	[[ $1 != attached ]] || on b "$pagetrim" detach --dev "$2"
	no_program b
}

# receiver_loses HOW ATTACHED: one that serves, idle.
receiver_loses()
{
	show hosts_up "$net" --mtu 9000
	attach_if "$2"
	mkdir copies
	receive_begin receive --listen "$HOSTS_B4" --out copies --serve
	case $1 in
	removed) on b ip link delete "$(dev_b)" ;;
	left) leave b ;;
	returned) leave_and_return b 2 ;;
	esac
	ended receive "$receiver" 10 3 'removed, or moved to another network'
}

# The receiver checks its device each second.  This one is removed between two
# checks: a debugger stops the receiver where it looks up its program.
receiver_loses_at_a_look()
{
	local whole=$pagetrim pagetrim=$PWD/looking

	show hosts_up "$net" --mtu 9000
	cat >looking <<-EOF
		#!/bin/sh
		exec gdb -batch -nx -iex 'set debuginfod enabled off' \\
			-iex 'set source open off' \\
			-iex 'set startup-with-shell off' \\
			-ex 'break pt_program_is_attached' -ex run \\
			-ex 'shell ip link delete $(dev_b)' \\
			-ex delete -ex continue -ex 'quit \$_exitcode' \\
			--args '$whole' "\$@" >debugger.log
	EOF
	chmod +x looking
	receive_begin receive --listen "$HOSTS_B4" --out copy
	ended receive "$receiver" 20 3 'removed, or moved to another network'
	grep -q 'Breakpoint 1, ' debugger.log || die "$(<debugger.log)"
}

# detach is refused at the old place, with a remedy; it works at the new place.
attached_moved()
{
	show hosts_up "$net"
	on b "$pagetrim" attach --dev "$(dev_b)"
	leave b
	refused b 'in another network namespace.*--force' detach
	refused b 'in another network namespace.*detach it there' stats
	on c "$pagetrim" stats --dev "$(dev_b)"
	on c "$pagetrim" detach --dev "$(dev_b)"
	same "XDP program" "$(on c ip -j link show "$(dev_b)" |
		jq -c '.[0].xdp.prog.id')" null
	[[ ! -e /sys/fs/bpf/pagetrim/$(dev_b) ]] || die "pins are left"
}

# refused HOST WORD COMMAND: fails for the device of host b, with exit 3.
refused()
{
	local status=0

	hosts_run "$net" "$1" "$pagetrim" "$3" --dev "$(dev_b)" \
		2>refused.err || status=$?
	same "exit of $3" "$status" 3
	one_error refused "$2"
}

attached_gone()
{
	show hosts_up "$net"
	on b "$pagetrim" attach --dev "$(dev_b)"
	on b ip link delete "$(dev_b)"
	refused b 'removed.*detach' stats
	on b "$pagetrim" detach --dev "$(dev_b)"
	[[ ! -e /sys/fs/bpf/pagetrim/$(dev_b) ]] || die "pins are left"
	refused b 'no such device' detach
}

# Each receiver has its own /run: the second reports the facts it can see, and
# the first one's session continues.
two_containers()
{
	local first

	show hosts_up "$net" --mtu 9000 --queues 2
	on b "$pagetrim" attach --dev "$(dev_b)"
	under_way 2000000
	first=$receiver
	receive_in_container other --listen "$HOSTS_B4:7472" --out other.copy
	ended other "$receiver" 20 3 'queue 0.*busy.*a /run of its own'
	! is_gone "$first" || die "the first one ended: $(<receive.err)"
	# stats there does not report a queue as free because its lease is
	# invisible.
	# shellcheck disable=SC2016 # the inner shell's
	on b unshare -m sh -c 'mount -t tmpfs none /run && exec "$@"' - \
		"$pagetrim" stats --dev "$(dev_b)" >seen
	grep -q '^queue 0: a receiver with a /run of its own' seen ||
		die "stats: $(<seen)"
	grep -q '^queue 1: no pagetrim in sight' seen || die "stats: $(<seen)"
	same "queues with sockets" "$(hosts_run "$net" b "$pagetrim" stats \
		--json --dev "$(dev_b)" | jq -c .sockets)" '[0]'
	receiver=$first
	as_it_was
	# It skips a queue whose lease it cannot see.
	receive_begin receive --listen "$HOSTS_B4" --out one.copy
	first=$receiver
	receive_in_container other --listen "$HOSTS_B4:7472" --out other.copy \
		--queues auto
	wait_until 10 says_it_listens other
	send_begin send --to "$HOSTS_B4:7472" "$(image even)"
	ended send "$sender" 60 0
	ended other "$receiver" 10 0
	same_file "$(image even)" other.copy
	refused b 'in use by pid' detach
	kill "$first"
	finish "$first" 15
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

# receive_in_container RUN OPTION...: as receive_launch.
receive_in_container()
{
	local run=$1

	shift
	rm -f "$run.err"
	# shellcheck disable=SC2016 # the inner shell's
	hosts_exec "$net" b unshare -m sh -c 'mount -t tmpfs none /run &&
		exec "$@"' - "$pagetrim" receive --json --dev "$(dev_b)" \
		"${security[@]}" "$@" >"$run.json" 2>"$run.err" &
	receiver=$!
}

# Its sender is told, where it is still reachable.
receiver_loses_meanwhile()
{
	local peer_timeout=3

	show hosts_up "$net" --mtu 9000
	under_way 2000000
	leave_and_return b 2
	ended receive "$receiver" 10 3 'removed, or moved to another network'
	ended send "$sender" 20 4
	nothing_committed
}

# ---- the sender's --------------------------------------------------------------

sender_renamed()
{
	show hosts_up "$net" --mtu 9000
	under_way 2000000
	rename a 1
	as_it_was
	no_program a
}

sender_loses()
{
	show hosts_up "$net" --mtu 9000
	peer_timeout=4 under_way 2000000
	case $1 in
	removed) on a ip link delete "$(dev_a)" ;;
	left) leave a ;;
	returned) leave_and_return a 1 ;;
	esac
	ended send "$sender" 15 3 'removed, or moved to another network'
	# When one end of a veth pair goes, so does the other.
	ended receive "$receiver" 20 "$([[ $1 == removed ]] && echo 3 || echo 4)"
	nothing_committed
}

# only_from MAC: the hub's port of host a accepts only frames of this sender.
only_from()
{
	local port

	port=$(hosts_dev "$net" x)
	on w bridge link set dev "$port" locked on
	on w bridge fdb replace "$1" dev "$port" master static
}

# A bond fails over, or an administrator sets another address: the switch
# accepts only the present one.
sender_mac()
{
	show hosts_up "$net" --hub
	only_from 02:70:74:00:00:01
	under_way 2000000
	on a ip link set "$(dev_a)" address 02:70:74:00:00:11
	only_from 02:70:74:00:00:11
	on w bridge fdb delete 02:70:74:00:00:01 dev \
		"$(hosts_dev "$net" x)" master
	as_it_was
}

# The next hop is another machine from now on, as when a router fails over.
next_hop_mac()
{
	show hosts_up "$net" --mtu 9000
	under_way 2000000
	on b ip link set "$(dev_b)" address 02:70:74:00:00:22
	as_it_was
}

sender_address_leaves()
{
	local peer_timeout=10	# twice the time in which it must come back

	show hosts_up "$net" --mtu 9000
	under_way 2000000
	on a ip address delete "$HOSTS_A4/24" dev "$(dev_a)"
	ended send "$sender" 15 3 "$HOSTS_A4: no longer an address"
	ended receive "$receiver" 40 4
	nothing_committed
}

# It comes back before the receiver is declared lost.
sender_address_returns()
{
	show hosts_up "$net" --mtu 9000
	under_way 2000000
	on a ip address delete "$HOSTS_A4/24" dev "$(dev_a)"
	sleep 0.5
	on a ip address add "$HOSTS_A4/24" dev "$(dev_a)"
	as_it_was
}

# The route changes to another device: this is reported at once, and named as
# the cause when the receiver is lost.
route_moves()
{
	local peer_timeout=3 other

	other=$(hosts_dev "$net" z)
	show hosts_up "$net" --mtu 9000
	on a ip link add "$other" type veth peer name "$(hosts_dev "$net" y)"
	on a ip link set "$other" up
	under_way 2000000
	on a ip route add "$HOSTS_B4/32" dev "$other"
	wait_until 15 grep -q "warning: .*route to .*uses $other" send.err
	ended send "$sender" 20 4 "uses $other \(.*silent"
	ended receive "$receiver" 20 4
	nothing_committed
}

route_moves_and_returns()
{
	local other

	other=$(hosts_dev "$net" z)
	show hosts_up "$net" --mtu 9000
	on a ip link add "$other" type veth peer name "$(hosts_dev "$net" y)"
	on a ip link set "$other" up
	under_way 2000000
	on a ip route add "$HOSTS_B4/32" dev "$other"
	wait_until 15 grep -q "warning: .*route to .*uses $other" send.err
	on a ip route delete "$HOSTS_B4/32" dev "$other"
	as_it_was
}

# ---- unusual ones ---------------------------------------------------------------

# A device on top of another, and an address that has no meaning without it.
macvlan_link_local()
{
	local host upper address

	upper=$(hosts_dev "$net" z)
	show hosts_up "$net"
	for host in a b; do
		on "$host" ip link add "$upper" link \
			"$(hosts_dev "$net" "$host")" type macvlan mode bridge
		on "$host" ip link set "$upper" up
	done
	address=$(on b ip -j -6 address show dev "$upper" scope link |
		jq -r '.[0].addr_info[0].local')
	dev_a() { echo "$upper"; }
	dev_b() { echo "$upper"; }
	receive_begin receive --listen "[$address%$upper]:7000" --out copy \
		--generic
	send_begin send --to "[$address%$upper]:7000" "$(image even)"
	as_it_was
}

# detour FAMILY ADDRESS: two cables; the sender's frames arrive on another
# device of host b than the one with the address, as when another card answered
# ARP for it.  Both ends report the cause and a remedy, and the remedy works.
detour()
{
	local host other to=$2

	other=$(hosts_dev "$net" z)
	show hosts_up "$net" --mtu 9000
	ip link add "$other" netns "$(hosts_netns "$net" a)" mtu 9000 type veth \
		peer name "$other" netns "$(hosts_netns "$net" b)"
	for host in a b; do
		on "$host" ip link set "$other" up
	done
	on a ip "-$1" route add "$to" dev "$other"
	on a ip "-$1" neighbour replace "$to" dev "$other" lladdr \
		"$(on b ip -j link show "$other" | jq -r '.[0].address')"
	dev_a() { echo "$other"; }
	receive_begin receive --listen "$to" --out copy
	send_begin send --to "$to" "$(image even)"
	ended send "$sender" 10 4 "come in by $other, not by $(dev_b)"
	ended receive "$receiver" 10 3 "come in by $other, not by $(dev_b)"
	dev_b() { echo "$other"; }
	receive_begin receive --listen "$to" --out copy
	send_begin send --to "$to" "$(image even)"
	as_it_was
}

for how in alone attached; do
	case_run "devices: the receiver's renamed, $how" receiver_renamed $how \
		"$(hosts_dev "$net" z)"
	for what in removed left returned; do
		case_run "devices: the receiver's $what, $how" \
			receiver_loses $what $how
	done
done
case_run "devices: the receiver's removed, while it looks" \
	receiver_loses_at_a_look
case_run "devices: the receiver's returned, meanwhile" receiver_loses_meanwhile
case_run "devices: the receiver's renamed, detached by its old name" \
	receiver_renamed attached "$(dev_b)"
case_run "devices: attached, moved to another namespace" attached_moved
case_run "devices: attached, and gone" attached_gone
case_run "devices: two containers, one device" two_containers
case_run "devices: the sender's renamed" sender_renamed
for what in removed left returned; do
	case_run "devices: the sender's $what" sender_loses $what
done
case_run "devices: the sender's MAC address changes" sender_mac
case_run "devices: the next hop's MAC address changes" next_hop_mac
case_run "devices: the sender's address leaves" sender_address_leaves
case_run "devices: the sender's address leaves and returns" \
	sender_address_returns
case_run "devices: the route moves" route_moves
case_run "devices: the route moves and returns" route_moves_and_returns
case_run "devices: frames by another one" detour 4 "$HOSTS_B4"
case_run "devices: frames by another one, IPv6" detour 6 "$HOSTS_B6"
case_run "devices: macvlan, a link-local address" macvlan_link_local
cases_end
