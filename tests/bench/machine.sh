# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# machine.sh: what the bench runs on, whether it has the machine for itself, and
# the link.  Sourced by scripts/bench.sh, whose variables it reads.
# shellcheck disable=SC2034,SC2154 # variables shared with bench.sh

# until_true SECONDS COMMAND...: wait for it, or fail.
until_true()
{
	local end=$((SECONDS + $1))

	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.01
	done
}

# machine_ticks: CPU time of the whole machine since its start, in ticks: what
# was worked, and what the hypervisor took away.
machine_ticks()
{
	awk '/^cpu / { print $2 + $3 + $4 + $7 + $8, $9; exit }' /proc/stat
}

# machine_spent BEFORE, machine_stolen BEFORE: seconds since then.
machine_spent() { machine_since 1 "$1"; }
machine_stolen() { machine_since 2 "$1"; }

machine_since()
{
	awk -v hz="$(getconf CLK_TCK)" -v i="$1" '{ t[NR] = $i }
		END { printf "%.2f", (t[2] - t[1]) / hz }' \
		<<<"$2"$'\n'"$(machine_ticks)"
}

# machine_others: what others use of the machine while the bench does nothing, a
# line of results: CPUs.
machine_others()
{
	local before

	before=$(machine_ticks)
	sleep 0.5
	jq -nc --argjson spent "$(machine_spent "$before")" \
		'{others_cpus: ($spent / 0.5)}'
}

# machine_check: refuse what would fail half-way, warn of what spoils figures.
machine_check()
{
	local load need=$((size_mib * 6)) have

	have=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
	((have >= need)) ||
		die "$have MiB of memory are free, $need needed (--size-mib)"
	read -r load _ </proc/loadavg
	awk -v l="$load" 'BEGIN { exit l >= 0.5 }' ||
		warn "the machine is busy (load $load): doubt its figures"
}

# machine_json: the first line of the results.
machine_json()
{
	local cpu load

	cpu=$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)
	read -r load _ </proc/loadavg
	jq -nc --arg cpu "${cpu:-$(uname -m)}" --argjson cores "$(nproc)" \
		--arg kernel "$(uname -r)" --argjson load "$load" \
		--argjson memory_mib "$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)" \
		--arg date "$(date -u +'%Y-%m-%d %H:%M UTC')" \
		--arg commit "$(git -C "$top" describe --always --dirty 2>/dev/null)" \
		--arg hypervisor "$(grep -qw hypervisor /proc/cpuinfo && echo yes || echo no)" \
		--arg qemu "$(qemu-system-x86_64 --version 2>/dev/null | sed -n '1s/.*version //p')" \
		--argjson size_mib "$size_mib" --argjson work "$work" \
		--argjson runs "$runs" --arg huge "$huge" --arg grid "$grid" \
		--arg args "${send_args[*]} ${receive_args[*]}" \
		'{machine: $ARGS.named}'
}

# warm_memory: what is allocated next is memory that the machine really has.
warm_memory()
{
	head -c "${size_mib}M" /dev/zero >"$memory/touch"
	rm "$memory/touch"
}

# -------------------------------------------------------------------- the link

link_mtu='' link_queues=''

# link_set MTU QUEUES
link_set()
{
	local host dev

	[[ $link_mtu.$link_queues != "$1.$2" ]] || return 0
	for host in a b; do
		dev=$(hosts_dev "$name" "$host")
		hosts_run "$name" "$host" ip link set "$dev" mtu "$1"
		[[ $link_queues == "$2" ]] || hosts_run "$name" "$host" \
			ethtool -L "$dev" rx "$2" tx "$2" >/dev/null || true
	done
	link_mtu=$1 link_queues=$2
}

# link_is_bare: no XDP program, and TCP's segments cross whole.
link_is_bare()
{
	local host dev

	for host in a b; do
		dev=$(hosts_dev "$name" "$host")
		! hosts_run "$name" "$host" ip link show "$dev" |
			grep xdp >/dev/null || return
		hosts_run "$name" "$host" ethtool -k "$dev" |
			grep '^tcp-segmentation-offload: on' >/dev/null ||
			return
	done
}

need_bare_link()
{
	until_true 5 link_is_bare ||
		die "an XDP program on the link, or no segmentation offload"
}

# link_bytes HEADER_SZ: Ethernet bytes that crossed it so far, both ways.  Where
# an XDP program receives, the kernel counts frames without their headers.
link_bytes()
{
	local host

	for host in a b; do
		hosts_run "$name" "$host" \
			ip -s -j link show "$(hosts_dev "$name" "$host")"
	done | jq -s --argjson header "$1" 'map(.[0].stats64.tx) |
		.[0].bytes + $header * .[0].packets + .[1].bytes'
}
