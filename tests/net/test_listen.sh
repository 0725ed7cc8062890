#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   receive --listen ADDR|NAME    an address that is not usable yet, or never, or
#                                 one of several of a name
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

new=fd78::2	# b's new address
other=192.0.2.7	# b's, of another device
named=()	# what pagetrim is run by, with names of its own

# with_names LINE...: /etc/hosts of the receiver.
with_names()
{
	printf '%s\n' "$@" >hosts
	# shellcheck disable=SC2016 # the inner shell's
	named=(unshare -m sh -c 'mount --bind "$0" /etc/hosts; exec "$@"'
	       "$PWD/hosts")
}

receive_named()
{
	hosts_exec "$net" b "${named[@]}" "$pagetrim" receive --json \
		--dev "$(dev_b)" "${security[@]}" --listen "$1" --out copy \
		>receive.json 2>receive.err &
	receiver=$!
}

# add_tentative TRANSMITS: b has the new address, after so many seconds.
add_tentative()
{
	hosts_run "$net" b sysctl -qw "net.ipv6.conf.$(dev_b).accept_dad=1" \
		"net.ipv6.conf.$(dev_b).dad_transmits=$1"
	on b ip address add "$new/64" dev "$(dev_b)"
}

has_new()
{
	[[ $(hosts_run "$net" b ip -o -6 address show dev "$(dev_b)" "$1") == \
	   *"$new"* ]]
}

tentative()
{
	show hosts_up "$net"
	on a ip address add fd78::1/64 dev "$(dev_a)" nodad
	add_tentative 20
	receive_named "$new"
	wait_until 20 receive_is_ready receive
	has_new tentative || die "the address was usable already"
	wait_until 60 has_new -tentative
	send_begin send --to "$new" "$(image small --pages 64)"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image small)" copy
	balanced
	nothing_left
}

duplicate()
{
	show hosts_up "$net"
	on a ip address add "$new/64" dev "$(dev_a)" nodad
	add_tentative 1
	wait_until 30 has_new dadfailed
	receive_named "$new"
	ended receive "$receiver" 20 3 "$new.*another host has this address"
	nothing_left
}

# It is taken, since a host may have its address on lo; but it is said.
other_device()
{
	show hosts_up "$net"
	on b ip link add other type veth peer name rehto
	on b ip address add "$other/32" dev other
	receive_named "$other"
	wait_until 60 receive_is_ready receive
	grep -q "warning: $other:.* is an address of other, .*from $(dev_b) only" \
		receive.err || die "$(<receive.err)"
	kill -TERM "$receiver"
	ended receive "$receiver" 10 1
	rm receive.err
	receive_named "$HOSTS_B4"
	wait_until 60 receive_is_ready receive
	! grep -q warning receive.err || die "$(<receive.err)"
	kill -TERM "$receiver"
	ended receive "$receiver" 10 1
	nothing_left
}

name_of_loopback()
{
	show hosts_up "$net"
	with_names '127.0.1.1 vmhost'
	receive_named vmhost
	ended receive "$receiver" 20 3 \
		"vmhost: 127.0.1.1 is a loopback address.*as $HOSTS_B4;"
	nothing_left
}

# The device's address is taken, whatever order the name service has.
name_of_several()
{
	local first=$1 second=$2

	show hosts_up "$net"
	on b ip address add "$other/32" dev lo
	with_names "$first vmhost" "$second vmhost" '127.0.1.1 vmhost'
	receive_named vmhost
	wait_until 60 receive_is_ready receive
	grep -q "listening on $HOSTS_B4:" receive.err || die "$(<receive.err)"
	send_begin send --to "$HOSTS_B4" "$(image small --pages 64)"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image small)" copy
	nothing_left
}

case_run "listen: an address of another device" other_device
case_run "listen: a tentative address" tentative
case_run "listen: a duplicate address" duplicate
case_run "listen: a name of a loopback address" name_of_loopback
case_run "listen: a name, the device's address last" \
	name_of_several $other "$HOSTS_B4"
case_run "listen: a name, the device's address first" \
	name_of_several "$HOSTS_B4" $other
cases_end
