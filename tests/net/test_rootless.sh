#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   root                        a user with CAP_NET_RAW alone
#   pagetrim attach --user ---> pins, leases ---> pagetrim receive, stats
#
# A user without any other privilege receives, and the ledger balances; others
# learn truly what they lack.  User namespaces, and places that cannot be written.
#
# It has a /run/pagetrim of its own: a pagetrim of an older version would remove the
# file of leases that attach gives.
#
# shellcheck disable=SC2317 # cases are called by name
if [[ -z ${PAGETRIM_OWN_RUN-} ]]; then
	mkdir -p /run/pagetrim
	exec env PAGETRIM_OWN_RUN=1 unshare -m --propagation private \
		bash -c 'mount -t tmpfs -o mode=755 none /run/pagetrim &&
			exec "$@"' bash "$0" "$@"
fi
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

security=(--insecure)	# the key file is root's
leases=/run/pagetrim
group=$((1000000 + $$))	# of nobody else

# A unit's AmbientCapabilities; the limit of locked memory is one queue's.
# shellcheck disable=SC2054 # setpriv's commas
as_user=(setpriv --bounding-set=-all,+net_raw --inh-caps=-all,+net_raw
	 --ambient-caps=-all,+net_raw)
run_as=()

# user_is NAME [GROUP]: the user of run_as, which begins a command.
user_is()
{
	run_as=("${as_user[@]}" --reuid "$1" --regid "${2:-nogroup}"
		--clear-groups prlimit "--memlock=$((8 << 20))")
}

# user_place NAME: a folder of the user's, and the program where all can run it.
user_place()
{
	chmod 0711 "$tmp" "$dir"
	if [[ $pagetrim != "$dir/pagetrim" ]]; then
		install -m 0755 "$pagetrim" "$dir/pagetrim"
		pagetrim=$dir/pagetrim
	fi
	mkdir "$dir/$1"
	chmod 0700 "$dir/$1"
	chown "$1" "$dir/$1"
}

# receive_as PATH: a receiver as run_as in host b.
receive_as()
{
	rm -f receive.err
	hosts_exec "$net" b "${run_as[@]}" "$pagetrim" receive --json \
		--dev "$(dev_b)" "${security[@]}" --listen "$HOSTS_B4" \
		--out "$1" >receive.json 2>receive.err &
	receiver=$!
}

# arrives PATH: a transfer into it, by a receiver as run_as.
arrives()
{
	receive_as "$1"
	wait_until 60 receive_is_ready receive
	send_begin send --to "$HOSTS_B4" "$(image look --pages 2048)"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image look)" "$1"
	balanced
	rm "$1"
}

# refused_as WORD COMMAND...: pagetrim as run_as in host b, which lacks something.
refused_as()
{
	local word=$1

	shift
	hosts_exec "$net" b "${run_as[@]}" "$pagetrim" "$@" >out.json 2>out.err &
	ended out $! 15 3 "$word"
}

# ---- by the pins ------------------------------------------------------------

attach_as_user()
{
	local pins

	pins=/sys/fs/bpf/pagetrim/$(dev_b)
	show hosts_up "$net"
	user_place nobody
	user_is nobody
	echo "unprivileged_bpf_disabled: $(sysctl -n \
		kernel.unprivileged_bpf_disabled)" >&2
	on b "$pagetrim" attach --dev "$(dev_b)" --user nobody --json >attach.json
	same "given to" "$(field attach '."given-to"')" 'user nobody'
	arrives "$dir/nobody/copy"
	arrives "$dir/nobody/copy"	# the lease is still there
	on b "${run_as[@]}" "$pagetrim" stats --dev "$(dev_b)" --json >stats.json
	[[ $(field stats .total.steered) -gt 100 ]] || die "$(cat stats.json)"
	same sockets "$(jq .sockets stats.json)" null
	on b "${run_as[@]}" "$pagetrim" doctor --dev "$(dev_b)" >doctor.out ||
		[[ $? -eq 1 ]] || die "$(grep ^error doctor.out)"
	same "of capabilities and locks" "$(grep -Ec \
		'^ok *(capabilities: all that are needed|locks:)' doctor.out)" 2
	# The link detaches the program: it stays root's.
	for pin in prog link pt_xsks; do
		! "${run_as[@]}" rm -f "$pins/$pin" 2>/dev/null ||
			die "nobody removed $pin"
	done
	refused_as 'CAP_SYS_ADMIN' detach --dev "$(dev_b)"
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
	same "leases left" "$(find "$leases" -user nobody)" ''
}

# A killed receiver of the user leaves no session; root may receive, too.
attach_as_user_killed()
{
	show hosts_up "$net"
	user_place nobody
	user_is nobody
	on b "$pagetrim" attach --dev "$(dev_b)" --user nobody
	receive_as "$dir/nobody/one"
	wait_until 60 receive_is_ready receive
	kill -KILL "$receiver"
	finish "$receiver" 10
	run_as=()
	arrives "$dir/two"
	user_is nobody
	arrives "$dir/nobody/three"
	same "dead receivers" "$(find /sys/fs/bpf/pagetrim -name 'receive-*')" ''
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

attach_as_group()
{
	show hosts_up "$net"
	user_place nobody
	on b "$pagetrim" attach --dev "$(dev_b)" --group "$group"
	user_is nobody "$group"
	arrives "$dir/nobody/copy"
	user_place daemon
	user_is daemon "$group"
	arrives "$dir/daemon/copy"
	# Not of the group.
	user_is nobody
	refused_as "Permission denied.*--user" receive --dev "$(dev_b)" \
		"${security[@]}" --listen "$HOSTS_B4" --out "$dir/nobody/copy"
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
	same "leases left" "$(find "$leases" -gid "$group")" ''
}

# Each lacking right in turn; each remedy is the next step.
what_is_missing()
{
	local -a receive

	receive=(receive --dev "$(dev_b)" "${security[@]}" --listen "$HOSTS_B4"
		 --out "$dir/nobody/copy")
	show hosts_up "$net"
	user_place nobody
	user_is nobody
	refused_as 'Permission denied.*attach --dev DEV --user NAME' "${receive[@]}"
	on b "$pagetrim" attach --dev "$(dev_b)"
	own_lease
	refused_as "program [0-9]+ is on it.*Permission.*--user NAME" \
		"${receive[@]}"
	refused_as "program [0-9]+ is on it" stats --dev "$(dev_b)"
	on b "$pagetrim" detach --dev "$(dev_b)"
	own_lease
	refused_as "lacks CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON.*--user NAME" \
		"${receive[@]}"
	on b "$pagetrim" attach --dev "$(dev_b)" --user nobody
	run_as=(prlimit "--memlock=$((7 << 20))" "${run_as[@]:0:9}")
	refused_as 'RLIMIT_MEMLOCK.*8192 KiB' "${receive[@]}"
	run_as=(setpriv --bounding-set=-all --inh-caps=-all --reuid nobody
		--clear-groups)
	refused_as 'CAP_NET_RAW' "${receive[@]}"
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

# own_lease: nobody owns the file of b's leases, and nothing else.
own_lease()
{
	local cookie index file

	cookie=$(hosts_run "$net" b /usr/bin/python3 -c 'import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(struct.unpack("Q", s.getsockopt(socket.SOL_SOCKET, 71, 8))[0])')
	index=$(hosts_run "$net" b ip -o link show "$(dev_b)" 2>/dev/null)
	file=$leases/$cookie-${index%%:*}-queues
	: >"$file"
	chown nobody "$file"
}

both_given()
{
	show hosts_up "$net"
	hosts_exec "$net" b "$pagetrim" attach --dev "$(dev_b)" --user nobody \
		--group "$group" >out.json 2>out.err &
	ended out $! 10 2 'user with --group'
	hosts_exec "$net" b "$pagetrim" attach --dev "$(dev_b)" \
		--group 'no such' >out.json 2>out.err &
	ended out $! 10 2 'no such group'
	nothing_left
}

# ---- user namespaces --------------------------------------------------------

# Root there has all capabilities; none of them loads a program.
inner_root()
{
	cat >inner.sh <<-'END'
		ip link add v0 type veth peer name v1
		ip addr add 10.9.9.1/24 dev v0
		ip link set v0 up
		ip link set v1 up
		"$1" doctor --dev v0 >doctor.out
		"$1" receive --dev v0 --insecure --listen 10.9.9.1 --out out
	END
	unshare -Urn bash inner.sh "$pagetrim" 2>inner.err &
	ended inner $! 30 3 'user namespace.*rootless.*attach --dev v0 --user'
	! grep -q 'run as root' inner.err || die "it is root"
	grep -q '^error *capabilities: .*user namespace.*attach' doctor.out ||
		die "$(cat doctor.out)"
	! grep -q 'all that are needed' doctor.out || die "$(cat doctor.out)"
}

# refused_to WORD COMMAND...: it is refused, with WORD, and root is not told to be root.
refused_to()
{
	local word=$1

	shift
	"$@" >out.json 2>process.err &
	ended process $! 15 3 "$word"
	! grep 'as root' process.err || die "it is root"
}

# A process of the host is not that of root in a user namespace; root without the
# right is told its name.
process_of_the_host()
{
	local pid weak

	show hosts_up "$net"
	sleep 1000 &
	pid=$!
	weak=(setpriv --bounding-set=-sys_ptrace)
	refused_to 'not permitted to stop and read it .*another user namespace' \
		unshare -Ur "$pagetrim" inspect --pid "$pid"
	refused_to 'another user namespace' unshare -Ur "$pagetrim" inspect \
		--pid "$pid" --keep-running
	refused_to 'run with CAP_SYS_PTRACE' "${weak[@]}" "$pagetrim" inspect \
		--pid "$pid"
	refused_to 'run with CAP_SYS_PTRACE' hosts_exec "$net" a "${weak[@]}" \
		"$pagetrim" send --dev "$(dev_a)" "${security[@]}" \
		--to "$HOSTS_B4" --pid "$pid"
	# shellcheck disable=SC2016 # the inner shell's
	refused_to 'setgroups' unshare -Urn sh -c '
		ip link add v0 type veth peer name v1
		ip addr add 10.9.9.1/24 dev v0
		ip link set v0 up
		ip link set v1 up
		"$@" 2>&1 >/dev/null | grep -v "warning:" >&2
		exit 3' sh "$pagetrim" send --dev v0 --insecure --to 10.9.9.2 \
		--user 0:0 "$(image small --pages 64)"
	kill "$pid"
	nothing_left
}

# The network namespace is the host's: CAP_NET_RAW of another owner.
inner_host_network()
{
	show hosts_up "$net"
	on b "$pagetrim" attach --dev "$(dev_b)"
	run_as=(unshare -Ur)
	refused_as 'CAP_NET_RAW.*network namespace of its own' receive \
		--dev "$(dev_b)" "${security[@]}" --listen "$HOSTS_B4" --out copy
	! grep 'run as root' out.err || die "it is root"
	hosts_run "$net" b unshare -Ur "$pagetrim" doctor --dev "$(dev_b)" \
		>doctor.out || true
	grep -q '^error *capabilities: CAP_NET_RAW is not of the owner' \
		doctor.out || die "$(cat doctor.out)"
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

# A rootless container with a network namespace of its own: the remedy that it is
# told of works.
inner_attached()
{
	local pid enter

	show hosts_up "$net"
	user_place nobody
	setpriv --reuid nobody --regid nogroup --clear-groups \
		unshare -Urn sleep 1000 &
	pid=$!
	wait_until 10 is_inner "$pid"
	on b ip link set "$(dev_b)" netns "$pid"
	enter=(nsenter -t "$pid" -n)
	"${enter[@]}" ip addr add "$HOSTS_B4/24" dev "$(dev_b)"
	"${enter[@]}" ip link set "$(dev_b)" up
	show "${enter[@]}" "$pagetrim" attach --dev "$(dev_b)" \
		--user "$(id -u nobody):$(id -g nobody)"
	run_as=(setpriv --reuid nobody --regid nogroup --clear-groups
		nsenter -t "$pid" -U -n --preserve-credentials)
	arrives "$dir/nobody/copy"
	"${enter[@]}" "$pagetrim" detach --dev "$(dev_b)"
	kill "$pid"
	nothing_inner
}

# is_inner PID: it is in namespaces of its own.
is_inner()
{
	[[ $(readlink "/proc/$1/ns/net") != "$(readlink /proc/self/ns/net)" &&
	   $(cat "/proc/$1/uid_map") != *4294967295* ]]
}

# nothing_inner: neither pins nor leases; the device went with the container.
nothing_inner()
{
	[[ ! -e /sys/fs/bpf/pagetrim/$(dev_b) ]] || die "pinned: $(dev_b)"
	same "leases left" "$(find "$leases" -user nobody)" ''
}

# ---- places that cannot be written ------------------------------------------

# /run is read-only: the remedy is a mount, and it works.
run_read_only()
{
	local -a receive

	receive=(receive --dev "$(dev_b)" "${security[@]}" --listen "$HOSTS_B4"
		 --out copy)
	show hosts_up "$net"
	# shellcheck disable=SC2016 # the inner shell's
	run_as=(unshare -m sh -c 'mount -t tmpfs -o ro none /run; exec "$@"' sh)
	refused_as 'Read-only file system.*tmpfs at /run' "${receive[@]}"
	! grep 'run as root' out.err || die "it is root"
	hosts_run "$net" b "${run_as[@]}" "$pagetrim" doctor --dev "$(dev_b)" \
		>doctor.out || true
	grep -q '^error *locks: .*read-only.*tmpfs at /run' doctor.out ||
		die "$(cat doctor.out)"
	# shellcheck disable=SC2016
	run_as=(unshare -m sh -c 'mount -t tmpfs none /run; exec "$@"' sh)
	arrives copy
	nothing_left
}

case_run "rootless: attach --user, CAP_NET_RAW alone" attach_as_user
case_run "rootless: attach --user, one is killed" attach_as_user_killed
case_run "rootless: attach --group, two users" attach_as_group
case_run "rootless: what is missing is named" what_is_missing
case_run "rootless: --user and --group" both_given
case_run "rootless: root of a user namespace" inner_root
case_run "rootless: a process of the host" process_of_the_host
case_run "rootless: a user namespace, the host's network" inner_host_network
case_run "rootless: a rootless container, attach --user" inner_attached
case_run "rootless: /run read-only" run_read_only
cases_end
