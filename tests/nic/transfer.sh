# shellcheck shell=bash disable=SC2154 # the caller's variables
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# transfer.sh: the two hosts of tests/nic/run.sh, and transfers between them by
# name: "ab" from a to b, "ba" back.  Their output is in /run/NAME.*.
timeout_s=120
queues_max=4	# one lane each: 2 MiB of the image
slow=256K	# bytes a second, until transfer_end
declare -A receivers=() senders=()

a() { nsenter --net=/run/netns/a "$@"; }
b() { nsenter --net=/run/netns/b "$@"; }

# join CARD HOST NAME ADDRESS
join()
{
	ip netns add "$2"
	ip link set dev "$1" netns "$2" name "$3"
	"$2" ip addr add "$4/24" dev "$3"
	"$2" ip link set dev lo up
	all_queues "$2" "$3"
	# The kernel spreads its own frames over all queues, from any CPU.
	by_hash "$2" "$3"
	# igb hashes UDP by addresses alone.
	"$2" ethtool -N "$3" rx-flow-hash udp4 sdfn 2>/dev/null
	"$2" ip link set dev "$3" up
}

# by_hash HOST DEV: the TX queue of a frame is its flow's hash.
by_hash()
{
	# shellcheck disable=SC2016 # the other shell's
	ip netns exec "$1" sh -c 'for f in /sys/class/net/'"$2"'/queues/tx-*; do
		echo 0 >"$f/xps_cpus"; done' 2>/dev/null
}

hosts_up()
{
	local path cards=()

	for path in /sys/class/net/*; do
		[[ ! -e $path/device ]] || cards+=("${path##*/}")
	done
	join "${cards[0]}" a n0 10.77.0.1
	join "${cards[1]}" b n1 10.77.0.2
}

# combined HOST DEV: prints the number of its queues.
combined() { "$1" ethtool -l "$2" | sed -n 's/^Combined:[^0-9]*//p' | tail -n 1; }

# all_queues HOST DEV: sets the highest number of queues, at most queues_max;
# the device comes up with one per CPU.
all_queues()
{
	local max

	max=$("$1" ethtool -l "$2" | sed -n 's/^Combined:[^0-9]*//p' | head -n 1)
	((max <= queues_max)) || max=$queues_max
	[[ $max -eq $(combined "$1" "$2") ]] ||
		"$1" ethtool -L "$2" combined "$max"
}

# rx_queues HOST DEV: prints the number of its RX queues; virtio-net has more
# while XDP runs.
rx_queues()
{
	ip netns exec "$1" sh -c "ls -d /sys/class/net/$2/queues/rx-*" | wc -l
}

# soon COMMAND...: waits until it succeeds, at most timeout_s.
soon()
{
	local end=$((SECONDS + timeout_s))

	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

is_reached() { a ping -q -c 1 -W 1 10.77.0.2 >/dev/null; }
is_off() { [[ $1 == on ]] && echo 0 || echo 1; }
is_on() { [[ $1 == on ]] && echo true || echo false; }
sender_pid() { echo "${senders[$1]}"; }
is_alive() { [[ -e /proc/$1/exe ]]; }
is_sending() { is_alive "${senders[$1]}"; }
is_over() { ! is_alive "${senders[$1]}"; }

listens_or_ended()
{
	grep -q ' listening on ' "/run/$1.receive.err" ||
		! is_alive "${receivers[$1]}"
}

# flows_or_ended: the transfer's frames arrive, or it has ended.
flows_or_ended()
{
	"$pagetrim" ctl status --json --control "/run/$1.control" 2>/dev/null |
		jq -e '.transferred > 0' >/dev/null || is_over "$1"
}

# ends NAME: sets from, to, dev_from, dev_to and addr, of the transfer.
ends()
{
	case $1 in
	ab)	from=a to=b dev_from=n0 dev_to=n1 addr=10.77.0.2 ;;
	ba)	from=b to=a dev_from=n1 dev_to=n0 addr=10.77.0.1 ;;
	esac
}

# receive_begin NAME OPTION...: returns once it listens.
receive_begin()
{
	local name=$1 from to dev_from dev_to addr

	shift
	ends "$name"
	rm -f "/run/$name."*
	: >"/run/$name.receive.err"
	# Not by "$to": the process to kill is pagetrim, not a subshell.
	nsenter --net="/run/netns/$to" "$pagetrim" receive --insecure \
		--dev "$dev_to" --listen "$addr" \
		--out "/run/$name.copy" --json --queues auto "$@" \
		>"/run/$name.receive.json" 2>"/run/$name.receive.err" &
	receivers[$name]=$!
	soon listens_or_ended "$name"
	soon is_reached
}

# send_begin NAME OPTION...: returns once frames flow; false: they do not.
send_begin()
{
	local name=$1 from to dev_from dev_to addr

	shift
	ends "$name"
	nsenter --net="/run/netns/$from" "$pagetrim" send --insecure \
		--dev "$dev_from" --to "$addr" --control "/run/$name.control" \
		--max-bandwidth "$slow" \
		--json --queues auto "$@" /run/image \
		>"/run/$name.send.json" 2>"/run/$name.send.err" &
	senders[$name]=$!
	soon flows_or_ended "$name"
	is_sending "$name"
}

# transfer_end NAME: lifts the limit and waits.  It keeps the sender's exit
# code.
transfer_end()
{
	local name=$1

	"$pagetrim" ctl set max-bandwidth 0 --control "/run/$name.control" >/dev/null 2>&1
	soon is_over "$name" || kill -TERM "${senders[$name]}"
	wait "${senders[$name]}" 2>/dev/null	# bash would print "Killed"
	echo $? >"/run/$name.code"
	[[ $(<"/run/$name.code") -eq 0 ]] ||
		kill -TERM "${receivers[$name]}" 2>/dev/null
	wait "${receivers[$name]}"
}

# whys COMMAND: prints how often that command of "ab" logged why it copies.
whys() { grep -c 'copy mode: ' "/run/ab.$1.err"; }

# says NAME CODE WORDS: the sender ended with this code and these words.
says()
{
	[[ $(<"/run/$1.code") -eq $2 ]] && grep -q "$3" "/run/$1.send.err"
}

# programs HOST DEV: prints the names of the XDP programs there.
programs()
{
	local id

	id=$("$1" ip -j link show dev "$2" | jq '.[0].xdp.prog.id // empty')
	[[ -z $id ]] || bpftool -j prog show id "$id" | jq -r .name
}

# runs NAME [HOST DEV]: the program of that name runs, by default on the
# sender's device.
runs() { [[ $(programs "${2-a}" "${3-n0}") == "$1" ]]; }
runs_not() { ! runs "$@"; }
has_no() { [[ -z $(programs "$1" "$2") ]]; }
has_none() { has_no a n0 && has_no b n1; }
