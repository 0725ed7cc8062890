# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# bytes_hop.sh: the bottleneck between two hosts, and what it counts.  Sourced by
# bytes.sh, whose variables it reads; takes the place of machine.sh's link.
# shellcheck disable=SC2154 # variables shared with bytes.sh

# hop_up MBPS MTU: the hosts, and a bridge with that rate in both directions between
# them; 0: no rate.
hop_up()
{
	local side dev hub

	hosts_up "$name" --wire --mtu "$2"
	hub=$(hosts_dev "$name" h)
	# Or frames in a queue of the hop would be on the account of the sender's
	# socket, which then waits: no cable does that.
	hosts_run "$name" w sysctl -qew net.bridge.bridge-nf-call-iptables=1
	hosts_run "$name" w ip link add "$hub" mtu "$2" type bridge \
		mcast_snooping 0
	hosts_run "$name" w ip link set "$hub" up
	for side in x y; do
		dev=$(hosts_dev "$name" $side)
		hosts_run "$name" w ip link set "$dev" master "$hub"
		[[ $1 -eq 0 ]] || hop_shape "$dev" "$1" "$2"
	done
	for side in "a a" "b b" "w x" "w y"; do
		hosts_run "$name" "${side% *}" ethtool -K \
			"$(hosts_dev "$name" "${side#* }")" \
			tso off gso off gro off >/dev/null
	done
}

# hop_shape DEV MBPS MTU [change]: bursts of 200 us, or of three frames; a queue of
# 20 ms, or of eight frames.  change: of a device that has a rate.
hop_shape()
{
	local frame_sz=$(($3 + 14)) how=${4-add} burst limit

	burst=$(($2 * 25 > 3 * frame_sz ? $2 * 25 : 3 * frame_sz))
	limit=$(($2 * 2500 > 8 * frame_sz ? $2 * 2500 : 8 * frame_sz))
	[[ $how == change ]] || hosts_run "$name" w tc qdisc replace dev "$1" \
		root handle 1: htb default 1
	hosts_run "$name" w tc class "$how" dev "$1" parent 1: classid 1:1 htb \
		rate "$2mbit" burst "$burst" cburst "$burst" quantum 60000
	hosts_run "$name" w tc qdisc "$how" dev "$1" parent 1:1 handle 2: \
		bfifo limit "$limit"
}

# hop_bytes: Ethernet bytes that the hop forwarded, both ways.
hop_bytes()
{
	local side

	for side in x y; do
		hosts_run "$name" w tc -s -j qdisc show \
			dev "$(hosts_dev "$name" $side)"
	done | jq -s 'flatten | map(select(.root)) | map(.bytes) | add'
}

# hop_can_fill MBPS MTU: frames of AF_XDP alone come to 1.2 times the rate without
# it; what the results say of that is believed.
hop_can_fill()
{
	local reached

	(($1 > 0)) || return 0
	reached=$(jq -s --argjson mtu "$2" 'map(select(.blast_mbps and .mtu == $mtu) |
		.blast_mbps) | max // 0' "$json")
	if [[ $reached == 0 ]]; then
		hop_up 0 "$2"
		run_blast "$2" >&2
		hosts_down "$name"
		reached=$(jq '.bytes * 8 / .seconds / 1e6 | round' <<<"$result")
		jq -nc --argjson mtu "$2" --argjson mbps "$reached" \
			'{mtu: $mtu, blast_mbps: $mbps}' >>"$json"
	fi
	((reached * 5 >= $1 * 6)) || {
		warn "$1 Mbit/s at MTU $2 is left out: $reached without a limit"
		return 1
	}
}

# ------------------------------------------------ in place of machine.sh's link

link_is_bare()
{
	local host

	for host in a b; do
		! hosts_run "$name" "$host" ip link show \
			"$(hosts_dev "$name" "$host")" | grep xdp >/dev/null ||
			return
	done
}

need_bare_link()
{
	until_true 5 link_is_bare || die "an XDP program on the link"
}

# shellcheck disable=SC2317 # contestants.sh calls it
link_bytes() { hop_bytes; }
