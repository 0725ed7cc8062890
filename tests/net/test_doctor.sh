#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   pagetrim doctor -- ptNAMEa =============== ptNAMEb -- pagetrim doctor
#              --to b      something is wrong somewhere
#
# Each finding that two hosts can reproduce, its severity, and the exit code;
# and doctor leaves everything unchanged.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

wrap=()	# what pagetrim is run by

# doctor HOST EXIT [OPTION...]: it exits so, at once, with empty stderr; its
# findings go to out.json.
doctor()
{
	local host=$1 want=$2

	shift 2
	echo "+ [$host] ${wrap[*]-} pagetrim doctor --json $*" >&2
	hosts_exec "$net" "$host" "${wrap[@]}" "$pagetrim" doctor --json \
		--dev "$(hosts_dev "$net" "$host")" "$@" \
		>out.json 2>out.err &
	finish $! 60
	[[ ! -s out.err ]] || die "stderr has: $(<out.err)"
	[[ $status -eq $want ]] || die "exit $status, want $want:" \
		"$(jq -c '.[] | select(.severity | IN("warning", "error"))' \
			out.json)"
}

# found ID SEVERITY [TEXT [VALUE]]: there is such a finding, its text matches
# TEXT (an extended regular expression), its value is VALUE (JSON).
found()
{
	jq -e --arg id "$1" --arg severity "$2" --arg text "${3-}" \
		--argjson value "${4-\"any\"}" 'any(.id == $id and
		.severity == $severity and (.text | test($text)) and
		($value == "any" or .value == $value))' out.json >/dev/null ||
		die "no $2 of $1 with '${3-}' ${4-}:" \
			"$(jq -c --arg id "$1" '.[] | select(.id == $id)' out.json)"
}

# remedy ID TEXT: one of its remedies matches.
remedy()
{
	jq -e --arg id "$1" --arg text "$2" 'any(.id == $id and
		(.remedy // "" | test($text)))' out.json >/dev/null ||
		die "no remedy of $1 with '$2'"
}

# kernel_has MAJOR.MINOR: the kernel is that version or newer.
kernel_has()
{
	[[ $(printf '%s\n' "$1" "$(uname -r)" | sort -V | head -n1) == "$1" ]]
}

# state: prints all that doctor could change or leave, of both hosts.
state()
{
	local host dev

	for host in a b; do
		dev=$(hosts_dev "$net" "$host")
		hosts_run "$net" "$host" ip -d -j link show dev "$dev" |
			jq -S .
		hosts_run "$net" "$host" ethtool -k "$dev"
		hosts_run "$net" "$host" ethtool -l "$dev"
		hosts_run "$net" "$host" bpftool -j net show dev "$dev"
		hosts_run "$net" "$host" ip route show table all
	done
	# Other tests may run; only this test's devices and namespaces count.
	find /sys/fs/bpf/pagetrim -maxdepth 1 -name "pt$net*" 2>/dev/null ||
		true
	for host in a b; do
		hosts_run "$net" "$host" ss -Htuan '( sport = :16644 )'
		ip netns pids "$(hosts_netns "$net" "$host")" | sort
	done
}

# up OPTION...: hosts whose devices have reported to the kernel that they are
# up, which takes a moment: the state before and after is compared.
up()
{
	show hosts_up "$net" "$@"
	wait_until 10 links_are_up
}

links_are_up()
{
	local host

	for host in a b; do
		hosts_run "$net" "$host" ip -j link show dev \
			"$(hosts_dev "$net" "$host")" |
			jq -e '.[0].operstate == "UP"' >/dev/null || return
	done
}

# leases_of_us: prints the queues that a doctor took, or left.
leases_of_us() { grep -l ' doctor$' /run/pagetrim/*-q* 2>/dev/null || true; }

# ---- nothing wrong, nothing changed -----------------------------------------

fine()
{
	local large=ok

	kernel_has 6.6 || large=warning
	up --mtu 9000 --queues 2
	state >before
	doctor b "$([[ $large == ok ]] || echo 1)"
	found kernel ok "" "\"$(uname -r)\""
	found capabilities ok
	found program ok
	found device ok "$(dev_b).*veth"
	found xdp-mode ok native
	found multi-buffer "$large"
	found zero-copy info veth
	found mtu ok '' 9000
	found queues ok '' 2
	found queue-owner ok
	found socket ok '' 0
	found xdp-program ok none
	found leftover ok
	found firewall info netfilter
	found speed info 'GB/s'
	jq -e 'any(.id == "time" and .value > 0)' out.json ||
		die "no time to expect"
	jq -e 'all(.severity | IN("ok", "info"))' out.json >/dev/null ||
		[[ $large == warning ]] || die "something is wrong"
	state >after
	same "the hosts' state" "$(diff before after)" ''
	same "leases" "$(leases_of_us)" ''
	nothing_left
}

# For people: one line each, aligned.
text()
{
	show hosts_up "$net" --mtu 9000 --queues 2
	doctor b "$(kernel_has 6.6 || echo 1)"
	hosts_run "$net" b "$pagetrim" doctor --dev "$(dev_b)" >out || true
	same "findings" "$(wc -l <out)" "$(jq length out.json)"
	! grep -vE '^(ok     |info   |warning|error  )  [a-z-]+: {1,13}[^ ].*$' \
		out || die "a line of another form"
	same "columns where the text begins" "$(sed -E \
		's/^(.{9}[a-z-]+: *).*/\1/' out | awk '{ print length }' |
		sort -u)" 23
	grep -qE '^ok +mtu: +9000$' out || die "no line of the MTU: $(<out)"
}

# Killed at any moment it leaves nothing either.
killed()
{
	local ms child

	up --mtu 9000 --queues 2
	state >before
	for ms in 005 010 020 030 040 060 080 120; do
		hosts_exec "$net" b "$pagetrim" doctor --dev "$(dev_b)" \
			>/dev/null 2>&1 &
		child=$!
		sleep "0.$ms"
		kill -KILL "$child" 2>/dev/null || true
		wait "$child" || true
	done
	wait_until 15 state_is before
	nothing_left
}

state_is() { diff "$1" <(state) >/dev/null; }

# ---- the device -------------------------------------------------------------

no_device()
{
	show hosts_up "$net"
	hosts_exec "$net" b "$pagetrim" doctor --json --dev nosuch0 \
		>out.json 2>out.err &
	finish $! 15
	same "exit" "$status" 3
	found device error 'nosuch0: no such device'
	hosts_exec "$net" b "$pagetrim" doctor --json --dev lo \
		>out.json 2>out.err &
	finish $! 15
	same "exit" "$status" 3
	found device error 'lo: the loopback device'
}

# device CHANGE EXIT FOUND...: after a change to b's device.
device()
{
	local change=$1 want=$2

	shift 2
	show hosts_up "$net" --queues 2
	# shellcheck disable=SC2086 # words on purpose
	on b ip link set "$(dev_b)" $change
	doctor b "$want"
	found "$@"
}

down()
{
	device down 3 device error down
	remedy device "ip link set $(dev_b) up"
	found socket info 'down'
}

no_carrier()
{
	show hosts_up "$net"
	on a ip link set "$(dev_a)" down
	doctor b 3
	found device error 'no carrier'
}

mtu()
{
	device "mtu 1200" 3 mtu error 'too small' 1200
	on b ip link set "$(dev_b)" mtu 1500
	doctor b 0
	found mtu info 'larger frames are faster' 1500
	found multi-buffer "$(kernel_has 6.6 && echo ok || echo info)"
}

# offload NAME SEVERITY EXIT
offload()
{
	show hosts_up "$net" --queues 2
	on b ethtool -K "$(dev_b)" tx off
	doctor b 0
	found offload ok
	on b ethtool -K "$(dev_b)" "$1" on
	doctor b "$3"
	found offload "$2" "$1" "\"$1\""
	remedy offload "ethtool -K $(dev_b) $1 off"
	# For a sender it is no more than a note.
	doctor b 1 --to "$HOSTS_A4"	# nothing listens there
	found offload info "$1"
}

# ---- queues -----------------------------------------------------------------

one_queue()
{
	show hosts_up "$net"
	doctor b 0
	found queues info '' 1
}

fewer_queues()
{
	show hosts_up "$net" --queues 2
	on b ethtool -L "$(dev_b)" rx 1
	doctor b 3
	found queues error 'fewer than' 1
	remedy queues 'ethtool -L'
	doctor b 1 --to "$HOSTS_A4"	# nothing listens there
	found queues ok '' 2
}

# A receiver's queue is named with its owner, and the receiver is not disturbed.
queue_taken()
{
	show hosts_up "$net" --queues 2
	receive_begin receive --listen "$HOSTS_B4" --out copy
	doctor b 3
	found queue-owner info "0: pid $receiver, pagetrim receive"
	found xdp-program error "pid $receiver, pagetrim receive"
	found socket ok '' 1
	doctor b 1 --to "$HOSTS_A4"
	found xdp-program info "pid $receiver"
	send_begin send --to "$HOSTS_B4" "$(image small --pages 64)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	same_file "$(image small)" copy
	nothing_left
}

queues_taken()
{
	show hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --out copy
	doctor b 3
	found queue-owner error 'no queue is free'
	found socket info 'no queue is free'
	kill -TERM "$receiver"
	finish "$receiver" 15
	nothing_left
}

# A program without leases: the test wire.
queue_taken_by_another()
{
	show hosts_up "$net" --wire
	hosts_wire_start "$net" wire "$wire"
	hosts_exec "$net" w "$pagetrim" doctor --json \
		--dev "$(hosts_dev "$net" x)" >out.json 2>out.err &
	finish $! 15
	same exit "$status" 3
	found xdp-program error wire_rx
	if kernel_has 6.18; then	# tells which queues are bound
		found queue-owner info '0: another program'
		found queue-owner error 'no queue is free'
	else
		found socket error 'another AF_XDP socket holds'
	fi
	hosts_wire_stop
}

# ---- other programs ---------------------------------------------------------

# The wire's program represents a foreign one.
foreign()
{
	local pin=/sys/fs/bpf/pt$net-other mode

	up --queues 2
	show bpftool prog load "$build/wire.bpf.o" "$pin"
	litter=("$pin")
	for mode in xdpdrv xdpgeneric; do
		on b bpftool net attach "$mode" pinned "$pin" dev "$(dev_b)"
		state >before
		doctor b 3
		found xdp-program error "wire_rx"
		found socket ok '' 0
		# doctor did not try to attach there.
		jq -e 'all(.id != "xdp-mode" or .severity != "error")' \
			out.json >/dev/null || die "tried to attach"
		remedy xdp-program "^use another device"
		# The program passes no frame, not even the answer to a
		# connection.
		doctor b 4 --to "$HOSTS_A4"
		found xdp-program info wire_rx
		same "the hosts' state" "$(diff before <(state))" ''
		on b bpftool net detach "$mode" dev "$(dev_b)"
	done
	rm -f "$pin"
	nothing_left
}

attached()
{
	up --queues 2
	on b "$pagetrim" attach --dev "$(dev_b)"
	state >before
	doctor b 0
	found xdp-program ok 'attached by pagetrim attach'
	found leftover ok
	same "the hosts' state" "$(diff before <(state))" ''
	on b "$pagetrim" detach --dev "$(dev_b)"
	on b "$pagetrim" attach --generic --dev "$(dev_b)"
	doctor b 1
	found xdp-program warning generic
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

# The device was removed, and another has its name; the pins belong to the
# first.
leftover()
{
	local pins

	show hosts_up "$net" --queues 2
	pins=/sys/fs/bpf/pagetrim/$(dev_b)
	on b "$pagetrim" attach --dev "$(dev_b)"
	on b ip link delete "$(dev_b)"
	hosts_veth_add "$net" 2 1500 a a b b
	hosts_address "$net" a 1
	hosts_address "$net" b 2
	doctor b 1
	found leftover warning "$pins"
	remedy leftover "detach --force"
	[[ -e $pins ]] || die "it removed the pins"
	on b "$pagetrim" detach --force --dev "$(dev_b)"
	doctor b 0
	found leftover ok
}

# ---- privileges -------------------------------------------------------------

unprivileged()
{
	local -a wrap=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	local pin=/sys/fs/bpf/pt$net-other

	install -m 0755 "$pagetrim" "$dir/pagetrim"
	chmod 0755 "$dir" "$tmp"
	local pagetrim=$dir/pagetrim
	show hosts_up "$net" --queues 2
	show bpftool prog load "$build/wire.bpf.o" "$pin"
	litter=("$pin")
	on b bpftool net attach xdpdrv pinned "$pin" dev "$(dev_b)"
	doctor b 3
	found capabilities error 'CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF'
	found locks error '/run/pagetrim: Permission denied'
	found program info 'not tried'
	found socket info 'not tried.*CAP_NET_RAW'
	found xdp-program warning 'only CAP_SYS_ADMIN shows its owner'
	found device ok
	on b bpftool net detach xdpdrv dev "$(dev_b)"
	doctor b 3 --to "$HOSTS_A4"
	found path-mtu info 'not measured.*CAP_NET_RAW'
	found receiver warning 'nothing listens'
	# The same privilege that ping uses is enough.
	hosts_run "$net" b sysctl -qw net.ipv4.ping_group_range='0 65534'
	doctor b 3 --to "$HOSTS_A4"
	found path-mtu ok '' 1500
}

# lacks CAPABILITY ID SEVERITY TEXT: without that one, and its namesake.
lacks()
{
	local -a wrap=(setpriv --inh-caps=-all "--bounding-set=$1")

	show hosts_up "$net" --queues 2
	doctor b "$2"
	shift 2
	found "$@"
}

memlock()
{
	local -a wrap=(prlimit "--memlock=$1" setpriv --inh-caps=-all
		       --bounding-set=-ipc_lock)

	show hosts_up "$net" --queues 2
	doctor b "$2"
	shift 2
	found "$@"
}

memlock_none()
{
	memlock $((4 << 20)) 3 memlock error 'only 4096 KiB' 4096
	found socket error 'RLIMIT_MEMLOCK'
}

bpffs_hidden()
{
	show hosts_up "$net" --queues 2
	ip netns exec "$(hosts_netns "$net" b)" "$pagetrim" doctor --json \
		--dev "$(dev_b)" >out.json
	found bpffs info 'no BPF file system'
}

# ---- the way ----------------------------------------------------------------

# to_receiver ADDRESS: all is well, and doctor leaves the receiver undisturbed.
to_receiver()
{
	up --mtu 9000 --queues 2
	receive_begin receive --listen "$1" --out copy
	state >before
	doctor a "$(kernel_has 6.6 || echo 1)" --to "$1"
	found route ok 'on the link'
	found path-mtu ok '' 9000
	found receiver ok answers
	wait_until 15 state_is before
	send_begin send --to "$1" "$(image small --pages 64)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	same_file "$(image small)" copy
	nothing_left
}

no_receiver()
{
	show hosts_up "$net"
	doctor a 1 --to "$HOSTS_B4"
	found receiver warning "nothing listens at $HOSTS_B4:16644"
	doctor a 1 --to "$HOSTS_B4:17000"
	found receiver warning ":17000"
	doctor a 4 --to 10.77.0.99
	found receiver error '10\.77\.0\.99'
	found path-mtu info 'not measured'
}

no_route()
{
	show hosts_up "$net"
	doctor a 3 --to 10.99.0.1
	found route error '10\.99\.0\.1: no route'
	doctor a 3 --to "$HOSTS_A4"
	found route error 'this host itself'
	doctor a 3 --to 'no such host'
	found route error 'no such host'
}

other_route()
{
	show hosts_up "$net"
	hosts_run "$net" a ip link add "${net}c" type veth peer name "${net}d"
	hosts_run "$net" a ip link set "${net}c" up
	hosts_run "$net" a ip link set "${net}d" up
	hosts_exec "$net" a "$pagetrim" doctor --json --dev "${net}c" \
		--to "$HOSTS_B4" >out.json 2>out.err &
	finish $! 15
	same exit "$status" 3
	found route error "reached by $(dev_a)" "\"$(dev_a)\""
	remedy route "--dev $(dev_a)"
}

# between MTU: a router in host w, whose link to b has this MTU.
#
#   a ptNAMEa ==== ptNAMEx w ptNAMEy ==== ptNAMEb b
between()
{
	local host

	for host in a b w; do
		hosts_netns_add "$net" "$host"
	done
	hosts_veth_add "$net" 1 9000 a a w x
	hosts_veth_add "$net" 1 "$1" w y b b
	hosts_address "$net" a 1
	on w ip link set "$(hosts_dev "$net" x)" up
	on w ip link set "$(hosts_dev "$net" y)" up
	on b ip link set "$(dev_b)" up
	on w sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	on w ip address add 10.77.0.3/24 dev "$(hosts_dev "$net" x)"
	on w ip address add fd77::3/64 dev "$(hosts_dev "$net" x)" nodad
	on w ip address add 10.78.0.3/24 dev "$(hosts_dev "$net" y)"
	on b ip address add 10.78.0.2/24 dev "$(dev_b)"
	on a ip route add 10.78.0.0/24 via 10.77.0.3
	on b ip route add default via 10.78.0.3
	[[ $1 -ge 1280 ]] || return 0	# less is no IPv6
	on w ip address add fd78::3/64 dev "$(hosts_dev "$net" y)" nodad
	on b ip address add fd78::2/64 dev "$(dev_b)" nodad
	on a ip route add fd78::/64 via fd77::3
	on b ip route add default via fd78::3
}

# path_smaller: a router reports it, in both families.
path_smaller()
{
	between 1400
	doctor a 1 --to 10.78.0.2
	found route ok 'by gateway 10\.77\.0\.3'
	found path-mtu warning 'fewer than' 1400
	doctor a 1 --to fd78::2
	found route ok 'by gateway fd77::3'
	found path-mtu warning 'fewer than' 1400
}

path_too_small()
{
	between 1100
	doctor a 3 --to 10.78.0.2
	found path-mtu error '1280 are needed' 1100
}

# A link layer that carries less than its ends' MTU drops silently.
path_hole()
{
	local value family=$1

	show hosts_up "$net" --mtu 9000
	on b ip link set "$(dev_b)" mtu 1500
	doctor a 1 --to "$family"
	found path-mtu warning 'are dropped silently'
	value=$(jq '.[] | select(.id == "path-mtu").value' out.json)
	[[ $value -ge 1484 && $value -le 1504 ]] || die "$value bytes, not 1500"
}

case_run "doctor: nothing wrong, nothing changed" fine
case_run "doctor: text" text
case_run "doctor: killed, nothing is left" killed
case_run "doctor: no such device, no Ethernet device" no_device
case_run "doctor: device down" down
case_run "doctor: no carrier" no_carrier
case_run "doctor: MTU too small, MTU usual" mtu
case_run "doctor: GRO" offload gro info 0
case_run "doctor: merging GRO" offload rx-gro-list warning 1
case_run "doctor: one queue" one_queue
case_run "doctor: fewer queues than the peer" fewer_queues
case_run "doctor: queue taken by a receiver" queue_taken
case_run "doctor: all queues taken" queues_taken
case_run "doctor: queue taken by another program" queue_taken_by_another
case_run "doctor: another XDP program" foreign
case_run "doctor: attached, natively and not" attached
case_run "doctor: pins of a device that is gone" leftover
case_run "doctor: an ordinary user" unprivileged
case_run "doctor: no CAP_NET_RAW" lacks -net_raw 3 capabilities error \
	'lacks CAP_NET_RAW$'
case_run "doctor: no CAP_NET_ADMIN" lacks -net_admin 3 capabilities error \
	'lacks CAP_NET_ADMIN$'
case_run "doctor: no CAP_SYS_PTRACE" lacks -sys_ptrace 0 capabilities info \
	'CAP_SYS_PTRACE'
case_run "doctor: too little locked memory" memlock_none
case_run "doctor: locked memory for one queue" memlock $((8 << 20)) 1 \
	memlock warning '' 1
case_run "doctor: no BPF file system" bpffs_hidden
case_run "doctor: to a receiver" to_receiver "$HOSTS_B4"
case_run "doctor: to a receiver, IPv6" to_receiver "$HOSTS_B6"
case_run "doctor: nothing listens, nobody there" no_receiver
case_run "doctor: no route" no_route
case_run "doctor: route by another device" other_route
case_run "doctor: path MTU below the device's" path_smaller
case_run "doctor: path MTU too small" path_too_small
case_run "doctor: large packets vanish" path_hole "$HOSTS_B4"
case_run "doctor: large packets vanish, IPv6" path_hole "$HOSTS_B6"
cases_end
