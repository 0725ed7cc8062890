#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# hosts.sh: two hosts on this machine, as network namespaces, joined by a veth
# pair or by the test wire in a third namespace.
#
#   up NAME                 netns pt-NAME-a              netns pt-NAME-b
#                           +---------------+            +---------------+
#                           |       ptNAMEa ============== ptNAMEb       |
#                           +---------------+            +---------------+
#                            10.77.0.1/24                 10.77.0.2/24
#                            fd77::1/64                   fd77::2/64
#
#   up NAME --wire          netns pt-NAME-w between them:
#
#            +---------+     +------------------------+     +---------+
#            | ptNAMEa ======= ptNAMEx  wire  ptNAMEy ======= ptNAMEb |
#            +---------+     +------------------------+     +---------+
#
#   up NAME --hub           netns pt-NAME-w and a third host, pt-NAME-c: the
#                           bridge ptNAMEh sends all to all, so c hears a and b
#            +---------+     +------------------------+     +---------+
#            | ptNAMEa ======= ptNAMEx        ptNAMEy ======= ptNAMEb |
#            +---------+     |     ptNAMEh  ptNAMEz ---.    +---------+
#                            +------------------------+ \   +---------+
#                                 10.77.0.3, fd77::3     `=== ptNAMEc |
#                                                           +---------+
#   up NAME --lan           beside the path between a and b, which may be a wire,
#                           the guests' own network: a bridge in each host, a
#                           tap in a and b for a guest's card, and a client in c
#            host a                 host c                  host b
#            ptNAMEt                ptNAMEl 10.78.0.1       ptNAMEt
#               ptNAMEl - ptNAMEp === ptNAMEs ptNAMEr === ptNAMEp - ptNAMEl
# As a command (root):
#     hosts.sh up NAME [--queues N] [--mtu BYTES] [--wire | --hub] [--lan]
#     hosts.sh run NAME a|b|c|w COMMAND...
#     hosts.sh down NAME
# As a library, after `source scripts/hosts.sh`: hosts_up, hosts_run, hosts_exec
# (for background jobs: $! is then the command itself), hosts_down,
# hosts_wire_start, hosts_wire_stop for the wire's process, and hosts_bpffs for
# tests that pin without hosts.
#
# NAME: 1 to 10 letters and digits; $$ makes it the caller's own.  Every queue
# has a TX and an RX side.  Commands run by nsenter, because `ip netns exec`
# hides /sys/fs/bpf.  `up` mounts that file system if it is missing, and it
# stays.  `down` ends every process of the namespaces and removes namespaces,
# devices and pins in any state.

# shellcheck disable=SC2034 # for those who source this
HOSTS_A4=10.77.0.1 HOSTS_B4=10.77.0.2 HOSTS_C4=10.77.0.3
# shellcheck disable=SC2034
HOSTS_A6=fd77::1   HOSTS_B6=fd77::2
# shellcheck disable=SC2034 # the client of a --lan, and its guest
HOSTS_LAN_C4=10.78.0.1 HOSTS_LAN_GUEST4=10.78.0.2

hosts_say() { echo "hosts: $*" >&2; }

# hosts_bpffs: mounts the BPF file system, which pins need, if systemd did not
# at boot.  It stays, because others may pin there, too.  The lock prevents a
# second mount, which would hide the pins of the first.
hosts_bpffs()
{
	local bpf_fs_magic=cafe4a11

	[[ $(stat -f -c %t /sys/fs/bpf 2>/dev/null) != "$bpf_fs_magic" ]] ||
		return 0
	(
		flock -w 60 9 &&
		{ [[ $(stat -f -c %t /sys/fs/bpf) == "$bpf_fs_magic" ]] ||
			mount -t bpf bpf /sys/fs/bpf; }
	) 9</sys/fs || {
		hosts_say "/sys/fs/bpf: cannot mount the BPF file system: see" \
			"above (a container takes its host's, by a bind mount)"
		return 1
	}
}

# hosts_netns NAME HOST: the namespace of host a, b, c or w.
hosts_netns() { echo "pt-$1-$2"; }

# hosts_dev NAME SIDE: the device of host a, b or c, or x, y, z of the wire or
# the hub h, or l, p, r, s, t of the lan.
hosts_dev() { echo "pt$1$2"; }

# hosts_run NAME HOST COMMAND...: run it in that host.
hosts_run()
{
	local netns

	netns=/run/netns/$(hosts_netns "$1" "$2")
	shift 2
	nsenter --net="$netns" -- "$@"
}

# hosts_exec NAME HOST COMMAND...: as hosts_run, in place of the calling
# (sub)shell.
hosts_exec()
{
	local netns

	netns=/run/netns/$(hosts_netns "$1" "$2")
	shift 2
	exec nsenter --net="$netns" -- "$@"
}

# hosts_netns_add NAME HOST: adds a namespace in which addresses are usable at
# once (no duplicate address detection) and hosts send nothing by themselves.
hosts_netns_add()
{
	ip netns add "$(hosts_netns "$1" "$2")" &&
	hosts_run "$1" "$2" sysctl -qw net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.default.router_solicitations=0 &&
	hosts_run "$1" "$2" ip link set lo up
}

# hosts_veth_add NAME QUEUES MTU HOST SIDE HOST SIDE: adds a veth pair with one
# end in each host.
hosts_veth_add()
{
	local name=$1 queues=$2 mtu=$3 left=$4 right=$6
	local left_dev right_dev
	local q=(numtxqueues "$queues" numrxqueues "$queues")

	left_dev=$(hosts_dev "$name" "$5")
	right_dev=$(hosts_dev "$name" "$7")
	ip link add "$left_dev" mtu "$mtu" "${q[@]}" \
		netns "$(hosts_netns "$name" "$left")" type veth \
		peer name "$right_dev" mtu "$mtu" "${q[@]}" \
		netns "$(hosts_netns "$name" "$right")"
}

# hosts_address NAME HOST NUMBER: sets a host's MAC and addresses, device up.
hosts_address()
{
	local dev

	dev=$(hosts_dev "$1" "$2")
	hosts_run "$1" "$2" ip link set "$dev" address "02:70:74:00:00:0$3" up &&
	hosts_run "$1" "$2" ip address add "10.77.0.$3/24" dev "$dev" &&
	hosts_run "$1" "$2" ip address add "fd77::$3/64" dev "$dev" nodad
}

hosts_is_up() { [[ -e /run/netns/$(hosts_netns "$1" a) ]]; }

# hosts_hub_up NAME QUEUES MTU: adds the silent hub, with one port per host, and
# host c.  Without learning a bridge sends every frame to all ports; netfilter
# would drop malformed IP on it.
hosts_hub_up()
{
	local name=$1 hub host side

	hub=$(hosts_dev "$name" h)
	hosts_run "$name" w sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1 &&
	hosts_run "$name" w sysctl -qew net.bridge.bridge-nf-call-iptables=0 \
		net.bridge.bridge-nf-call-ip6tables=0 \
		net.bridge.bridge-nf-call-arptables=0 &&
	hosts_run "$name" w ip link add "$hub" mtu "$3" type bridge \
		ageing_time 0 mcast_snooping 0 &&
	hosts_run "$name" w ip link set "$hub" up || return
	for host in a b c; do
		case $host in a) side=x ;; b) side=y ;; c) side=z ;; esac
		hosts_veth_add "$name" "$2" "$3" "$host" "$host" w $side &&
		hosts_run "$name" w ip link set "$(hosts_dev "$name" $side)" \
			master "$hub" up || return
	done
	hosts_address "$name" c 3 || return
	# Otherwise one frame here becomes several behind the hub.
	for host in a b c; do
		hosts_run "$name" "$host" ethtool -K \
			"$(hosts_dev "$name" $host)" tso off gso off >/dev/null
	done
}

# hosts_bridge_add NAME HOST: adds the lan's bridge.  It learns, as a switch does,
# and so follows a guest that moves; it sends nothing by itself.
hosts_bridge_add()
{
	local bridge

	bridge=$(hosts_dev "$1" l)
	hosts_run "$1" "$2" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 &&
	hosts_run "$1" "$2" sysctl -qew net.bridge.bridge-nf-call-iptables=0 \
		net.bridge.bridge-nf-call-ip6tables=0 \
		net.bridge.bridge-nf-call-arptables=0 &&
	hosts_run "$1" "$2" ip link add "$bridge" type bridge mcast_snooping 0 &&
	hosts_run "$1" "$2" ip link set "$bridge" up
}

# hosts_lan_up NAME: adds host c and the guests' own network.
hosts_lan_up()
{
	local name=$1 host side dev

	hosts_bridge_add "$name" c || return
	for host in a b; do
		case $host in a) side=s ;; b) side=r ;; esac
		hosts_bridge_add "$name" "$host" &&
		hosts_veth_add "$name" 1 1500 "$host" p c "$side" &&
		hosts_run "$name" "$host" ip tuntap add "$(hosts_dev "$name" t)" \
			mode tap vnet_hdr || return
		for dev in "$host t" "$host p" "c $side"; do
			hosts_run "$name" "${dev% *}" ip link set \
				"$(hosts_dev "$name" "${dev#* }")" \
				master "$(hosts_dev "$name" l)" up || return
		done
	done
	hosts_run "$name" c ip address add "$HOSTS_LAN_C4/24" \
		dev "$(hosts_dev "$name" l)"
}

# hosts_up NAME [--queues N] [--mtu BYTES] [--wire | --hub] [--lan]: makes the
# hosts.  hosts_down cleans up after a failure.
hosts_up()
{
	local name=$1 queues=1 mtu=1500 wire='' hub='' lan='' host side

	shift
	while (($#)); do
		case $1 in
		--queues)	queues=$2; shift 2 ;;
		--mtu)		mtu=$2; shift 2 ;;
		--wire)		wire=1; shift ;;
		--hub)		hub=1; shift ;;
		--lan)		lan=1; shift ;;
		*)		hosts_say "$1: not an option of up"; return 2 ;;
		esac
	done

	[[ -z $hub || -z $lan ]] || {
		hosts_say "--hub and --lan: both have a host c"
		return 2
	}
	hosts_bpffs || return
	for host in a b ${wire:+w} ${hub:+c w} ${lan:+c}; do
		hosts_netns_add "$name" "$host" || return
	done
	if [[ -n $hub ]]; then
		hosts_hub_up "$name" "$queues" "$mtu" || return
	elif [[ -z $wire ]]; then
		hosts_veth_add "$name" "$queues" "$mtu" a a b b || return
	else
		hosts_veth_add "$name" "$queues" "$mtu" a a w x || return
		hosts_veth_add "$name" "$queues" "$mtu" w y b b || return
		for side in x y; do
			hosts_wire_dev "$name" "$side" || return
		done
	fi
	hosts_address "$name" a 1 && hosts_address "$name" b 2 || return
	[[ -z $wire ]] || hosts_checksums_full "$name" || return
	[[ -z $lan ]] || hosts_lan_up "$name"
}

# hosts_wire_dev NAME SIDE: makes a device of the wire.  It has no address, so
# the wire's own host sends nothing.  With a queueing discipline veth reports
# "busy" where it would drop without one, so the wire can hold a frame and try
# again.
hosts_wire_dev()
{
	local dev

	dev=$(hosts_dev "$1" "$2")
	hosts_run "$1" w sysctl -qw "net.ipv6.conf.$dev.disable_ipv6=1" &&
	hosts_run "$1" w tc qdisc add dev "$dev" root pfifo &&
	hosts_run "$1" w ip link set "$dev" up
}

# hosts_checksums_full NAME: AF_XDP copies frames as they are; a checksum left
# for hardware to fill in would arrive unfilled.
hosts_checksums_full()
{
	local host

	for host in a b; do
		hosts_run "$1" "$host" ethtool -K "$(hosts_dev "$1" "$host")" \
			tx off >/dev/null || return
	done
}

# hosts_wire_start NAME OUT WIRE [OPTION...]: starts the wire's program, WIRE,
# and returns when it forwards.  Sets HOSTS_WIRE_PID; its counts go to OUT.json,
# its messages to OUT.err.
hosts_wire_start()
{
	local name=$1 out=$2 wire=$3

	shift 3
	: >"$out.err"
	hosts_exec "$name" w "$wire" "$@" "$(hosts_dev "$name" x)" \
		"$(hosts_dev "$name" y)" >"$out.json" 2>"$out.err" &
	HOSTS_WIRE_PID=$!
	for _ in {1..500}; do
		grep -q '^wire: ready' "$out.err" && return 0
		kill -0 "$HOSTS_WIRE_PID" 2>/dev/null || break
		sleep 0.02
	done
	hosts_say "the wire did not start: $(cat "$out.err")"
	return 1
}

# hosts_wire_stop: ends the wire, which then writes its counts.  Fails if the
# wire lost a frame by itself.
hosts_wire_stop()
{
	kill -TERM "$HOSTS_WIRE_PID" && wait "$HOSTS_WIRE_PID"
}

# hosts_pids NAME: prints the processes of its namespaces.
hosts_pids()
{
	local host netns

	for host in a b c w; do
		netns=$(hosts_netns "$1" "$host")
		[[ ! -e /run/netns/$netns ]] || ip netns pids "$netns"
	done
}

# hosts_down NAME: removes all of it, in any state.
hosts_down()
{
	local name=$1 signal side host netns
	local -a pids devs=()

	for signal in TERM KILL; do
		mapfile -t pids < <(hosts_pids "$name")
		((${#pids[@]})) || break
		# A stopped process handles no TERM before it continues.
		kill -"$signal" "${pids[@]}" 2>/dev/null || true
		kill -CONT "${pids[@]}" 2>/dev/null || true
		for _ in {1..100}; do
			[[ -n $(hosts_pids "$name") ]] || break
			sleep 0.02
		done
	done
	for side in a b c x y z h l p r s t; do
		devs+=("$(hosts_dev "$name" "$side")")
	done
	for host in a b c w; do
		netns=$(hosts_netns "$name" "$host")
		[[ -e /run/netns/$netns ]] || continue
		# A namespace may outlive its name; its devices must not.
		printf 'link delete %s\n' "${devs[@]}" |
			hosts_run "$name" "$host" ip -force -batch - \
				2>/dev/null || true
		ip netns delete "$netns"
	done
	rm -rf "${devs[@]/#//sys/fs/bpf/pagetrim/}"
}

hosts_main()
{
	local verb=${1-} name=${2-}

	case $verb in
	-h | --help)
		sed -n '4,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
		return
		;;
	up | run | down) ;;
	*)
		hosts_say "'$verb': want up, run or down (see --help)"
		return 2
		;;
	esac
	if ! [[ $name =~ ^[A-Za-z0-9]{1,10}$ ]]; then
		hosts_say "'$name': a name is 1 to 10 letters and digits"
		return 2
	fi
	shift
	if [[ $verb == up ]] && hosts_is_up "$name"; then
		hosts_say "$name is up already (hosts.sh down $name)"
		return 1
	fi
	[[ $verb != run ]] || hosts_exec "$@"
	"hosts_$verb" "$@" && return
	[[ $verb != up ]] || hosts_down "$name"
	return 1
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
	set -euo pipefail
	hosts_main "$@"
fi
