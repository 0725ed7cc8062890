# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# hosts.sh: two namespaces, joined by a veth pair, for the tests of this folder;
# nothing outside the packages is used.  Sourced; sets $tmp, which goes at the end.
#
#     netns NAME-a: NAMEa 10.79.0.1 ==== netns NAME-b: NAMEb 10.79.0.2
#
# Processes run by nsenter, since `ip netns exec` hides /sys/fs/bpf.
name=dt$$
tmp=$(mktemp -d)
# shellcheck disable=SC2034 # for the tests
dev_a=${name}a dev_b=${name}b addr_b=10.79.0.2

on()
{
	nsenter --net="/run/netns/$name-$1" -- "${@:2}"
}

# shellcheck disable=SC2317 # by trap
hosts_down()
{
	local host

	for host in a b; do
		ip netns pids "$name-$host" 2>/dev/null | xargs -r kill || true
		ip netns delete "$name-$host" 2>/dev/null || true
	done
	rm -rf "$tmp"
}

# hosts_wait COMMAND...: until it succeeds, a minute at most.
hosts_wait()
{
	local i

	for ((i = 0; i < 600; i++)); do
		"$@" && return
		sleep 0.1
	done
	echo "not within a minute: $*"
	return 1
}

trap hosts_down EXIT
for host in a b; do
	ip netns add "$name-$host"
	on "$host" ip link set lo up
done
ip link add "$dev_a" netns "$name-a" type veth peer name "$dev_b" \
	netns "$name-b"
on a ip address add 10.79.0.1/24 dev "$dev_a"
on b ip address add "$addr_b/24" dev "$dev_b"
on a ip link set "$dev_a" up
on b ip link set "$dev_b" up
