#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                       host b
#   pagetrim send ------- ptNAMEa === ptNAMEb -- a peer that does not go on
#   pretender.py sender ------------------------ pagetrim receive --> ext4 on a
#                                                    loop device, frozen
#
# SIGTERM in each phase.  Within a second the peer is told why, and connections,
# sockets and program are gone.  A process whose thread is in the kernel, since
# a file system is frozen, waits for that thread alone.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

security=(--insecure)
addr=$HOSTS_B4
limit_ms=1000

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# in_time WHAT MS [FACTOR]: it took no longer than the limit, or FACTOR times
# that, plus five times the time that this machine takes to start three
# processes.
in_time()
{
	local begun

	begun=$(now_ms)
	for _ in 1 2 3; do
		"$pagetrim" --version >/dev/null
	done
	within "$1, ms" "$2" 0 $((limit_ms * ${3:-1} * patience +
				  5 * ($(now_ms) - begun)))
}

# stopped RUN PID EXIT WORD: SIGTERM, or SIG\$signal, ends it in time, so.
signal=TERM
stopped()
{
	local begun

	begun=$(now_ms)
	kill -"$signal" "$2"
	ended "$1" "$2" 20 "$3" "$4"
	in_time "to end" $(($(now_ms) - begun))
	nothing_of "$1"
}

# nothing_of RUN: its host has neither program nor socket of it.
nothing_of()
{
	local host=a

	[[ $1 == send ]] || host=b
	! hosts_run "$net" "$host" ip link show "$(hosts_dev "$net" "$host")" |
		grep -q xdp || die "the program is still there"
	same "AF_XDP sockets" "$(hosts_run "$net" "$host" ss -Hx -f xdp | wc -l)" 0
}

# ---- the sender --------------------------------------------------------------

# A name service that does not answer.
sender_resolving()
{
	show hosts_up "$net" --mtu 1500
	echo "nameserver $addr" >resolv.conf
	hosts_exec "$net" b python3 -c 'if True:
		import socket, time
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.bind(("", 53))
		time.sleep(3600)' &
	wait_until 10 names_are_taken
	cat >asking <<-EOF
		#!/bin/sh
		exec unshare -m sh -c 'mount --bind resolv.conf \\
			/etc/resolv.conf && exec "\$0" "\$@"' '$pagetrim' "\$@"
	EOF
	chmod +x asking
	pagetrim=$PWD/asking send_begin send --to some.name.example "$(image small)"
	wait_until 10 asks_for_a_name
	stopped send "$sender" 1 'stopped while asking'
}

names_are_taken() { hosts_run "$net" b ss -Hlun 'sport = :53' | grep -q .; }
asks_for_a_name() { hosts_run "$net" a ss -Hun 'dport = :53' | grep -q .; }

# No host has the address.
sender_connecting()
{
	show hosts_up "$net" --mtu 1500
	send_begin send --to "${addr%.*}.77" "$(image small)"
	wait_until 10 is_connecting
	stopped send "$sender" 1 'stopped while connecting'
}

is_connecting() { hosts_run "$net" a ss -Htn state syn-sent | grep -q .; }

# A peer that accepts and sends nothing: neither TLS nor HELLO.
sender_greeting()
{
	local security=("$@")

	show hosts_up "$net" --mtu 1500
	hosts_exec "$net" b "$here/peer.py" silent "$addr" 16644 2>ready &
	wait_until 10 grep -q ready ready
	send_begin send --to "$addr" "$(image small)"
	wait_until 10 is_connected
	stopped send "$sender" 1 'stopped while connecting'
}

# sender_with STOP EXIT WORD: a receiver that stops there.
sender_with()
{
	show hosts_up "$net" --mtu 1500
	truncate -s 4M zeroes
	pretend_receiver "$1"
	send_begin send --to "$addr" zeroes
	wait_until 20 has_stopped
	stopped send "$sender" "$2" "$3"
	wait_until 15 grep -q "$3" told
}

# The source has so many mappings that their table needs a receiver that reads:
# 5 MB, and queue and kernel hold less.
sender_of_many()
{
	local name victim

	name=$(printf 'm%.0s' {1..60})
	show hosts_up "$net" --mtu 1500
	truncate -s 1G "$name"
	python3 -c 'if True:
		import ctypes, mmap, os, sys, time
		libc = ctypes.CDLL(None, use_errno=True)
		libc.mmap.restype = ctypes.c_void_p
		fd = os.open(sys.argv[1], os.O_RDWR)
		for i in range(60000):
			at = libc.mmap(None, ctypes.c_size_t(4096),
				mmap.PROT_READ | mmap.PROT_WRITE,
				mmap.MAP_PRIVATE, fd, ctypes.c_long(i * 8192))
			assert at != ctypes.c_void_p(-1).value
		print("mapped", flush=True)
		time.sleep(3600)' "$name" >mapped &
	victim=$!
	wait_until 20 grep -q mapped mapped
	pretend_receiver deaf
	send_begin send --to "$addr" --pid "$victim"
	wait_until 20 has_stopped
	wait_until 20 is_held_up
	stopped send "$sender" 1 interrupted
}

# is_held_up: its next message finds no space: it waits in its queue.
is_held_up()
{
	grep -q '^State:.S' "/proc/$sender/status" &&
		[[ $(cat "/proc/$sender/wchan") == *poll* ]]
}

# During the data, with a file that takes minutes more on a slow link; the
# receiver is told.  Under nohup(1) agents ignore a terminal that goes away: not
# here.
sender_sending()
{
	local signal=$1 program=$pagetrim pagetrim=$PWD/heeding

	cat >heeding <<-EOF
		#!/bin/sh
		exec env --default-signal=HUP '$program' "\$@"
	EOF
	chmod +x heeding
	show hosts_up "$net" --mtu 1500
	on a tc qdisc add dev "$(dev_a)" root tbf rate 100mbit burst 64k \
		latency 50ms
	truncate -s 2G state
	rate=0 under_way opened --with state "$(image small --pages 1024)"
	wait_until 20 has_sent 8000000
	stopped send "$sender" 1 interrupted
	ended receive "$receiver" 10 4 interrupted
	nothing_left
}

# ---- the sender, and a source that stands still ------------------------------

# still_fs FILE AFTER [direct]: mnt/still has FILE's content and hangs after so
# many bytes.  Sets server.
still_fs()
{
	mkdir mnt
	"$here/still_fs.py" mnt "$@" >served &
	server=$!
	wait_until 10 grep -q ready served
	served+=("$PWD/mnt")
	: <mnt/still	# it learns that there is no FLUSH, which would wait, too
}

# waits_for_source: the file system hangs, and a thread of the sender waits for
# it in the kernel.
waits_for_source()
{
	grep -q still served && grep -qsE 'folio|filemap|page_bit|fuse|request_wait' \
		/proc/"$sender"/task/*/wchan
}

# term_still: the receiver is told in time, and while the thread is still in the
# kernel another sender has the queue.
term_still()
{
	local begun begun_ms

	wait_until 20 waits_for_source
	begun=$(now_ms)
	kill -TERM "$sender"
	first=$sender
	wait_until 15 grep -q 'interrupted' receive.err
	in_time "to tell" $(($(now_ms) - begun))
	while
		begun_ms=$(($(now_ms) - begun))
		send_begin again --to "$addr" --queues 1 "$(image small)"
		finish "$sender" 20
		[[ $status -eq 3 ]]
	do
		in_time "to be gone" "$begun_ms"
	done
	same "the other sender" "$status" 0
	nothing_of send
	same_file "$(image small)" "out/$(basename "$(image small)")"
}

serve()
{
	show hosts_up "$net" --mtu 1500
	mkdir out
	receive_begin receive --serve --listen "$addr" --out out "$@"
}

# A write into the mapping waits for storage: the kernel still lets the process
# exit.
still_mapped()
{
	serve
	still_fs "$(image even)" 4000000
	send_begin send --to "$addr" --queues 1 mnt/still
	term_still
	ended send "$first" 15 1 interrupted
}

# still_direct AFTER OPTION...: the file system must answer earlier requests
# first; the process waits for that alone.
still_direct()
{
	serve
	still_fs "$(image even)" "$1" direct
	shift
	send_begin send --to "$addr" --queues 1 "$@"
	term_still
	! is_gone "$first" || die "its thread was not in the kernel"
	kill -USR1 "$server"
	ended send "$first" 10 1 interrupted
}

# The digests of the receiver's data are compared with it.
still_resumed()
{
	serve --resume
	send_begin send --to "$addr" --queues 1 --resume --name still \
		--max-bandwidth 10M "$(image even)"
	wait_until 20 has_sent 9000000
	kill -TERM "$sender"
	ended send "$sender" 15 1 interrupted
	wait_until 15 grep -q interrupted receive.err
	: >receive.err
	still_fs "$(image even)" 2000000 direct
	send_begin send --to "$addr" --queues 1 --resume --name still mnt/still
	term_still
	kill -USR1 "$server"
	ended send "$first" 10 1 interrupted
	same "phase" "$(field send .phase)" compare
}

still_files() { still_direct 1000000 --with mnt/still "$(image small)"; }

runs_on() { grep -q '^TracerPid:.0$' "/proc/$1/status"; }

# The memory of a process: it resumes at once.
still_process()
{
	serve
	still_fs "$(image even)" 4000000
	python3 -c 'if True:
		import mmap, os, time
		fd = os.open("mnt/still", os.O_RDONLY)
		at = mmap.mmap(fd, 0, mmap.MAP_PRIVATE,
			mmap.PROT_READ | mmap.PROT_WRITE)
		print("mapped", flush=True)
		while True:
			time.sleep(0.05)' >mapped &
	victim=$!
	wait_until 10 grep -q mapped mapped
	send_begin send --to "$addr" --queues 1 --pid "$victim"
	wait_until 20 waits_for_source
	! runs_on "$victim" || die "it was not stopped"
	term_still
	wait_until 15 runs_on "$victim"
	kill -USR1 "$server"
	ended send "$first" 10 1 interrupted
}

# ---- the receiver ------------------------------------------------------------

# Senders in each state, and one that sends messages without pause.
receiver_of_all()
{
	local stop i stops=(OPEN SEGMENT slow data VERIFY COMMIT BYE works flood)

	show hosts_up "$net" --mtu 1500
	mkdir out
	receive_begin receive --serve --listen "$addr" --out out
	for stop in "${stops[@]}"; do
		pretend "$stop"
	done
	for i in "${!stops[@]}"; do
		wait_until 60 stops "${stops[i]}-$i"
	done
	stopped receive "$receiver" 0 ''
	for i in "${!stops[@]}"; do
		finish "${pretenders[i]}" 15
		stop=interrupted
		[[ ${stops[i]} != BYE ]] || stop=closed
		grep -q "$stop" "told-${stops[i]}-$i" ||
			die "${stops[i]} was told: $(cat "told-${stops[i]}-$i")"
	done
	nothing_left
}

# A peer that has not sent HELLO yet, over TLS.
receiver_of_a_stranger()
{
	local security=(--psk "$tmp/keys.psk")

	show hosts_up "$net" --mtu 1500
	receive_begin receive --listen "$addr" --out copy
	hosts_exec "$net" a "$here/peer.py" give "$addr" 16644 < <(sleep 60) &
	wait_until 10 is_connected
	stopped receive "$receiver" 1 'interrupted'
}

# ---- the receiver, and a file system that stands still ------------------------

# frozen_in STATE: a transfer whose file system is frozen when its receiver
# enters that state.  Sets receiver (the debugger, which ends as the receiver
# does) and frozen, the receiver.
frozen_in()
{
	show hosts_up "$net" --mtu 1500
	show truncate -s 200M disk
	show mkfs.ext4 -q -F disk
	mkdir mnt
	show mount -o loop disk mnt
	mounts+=("$PWD/mnt")
	cat >debugged <<-EOF
		#!/bin/sh
		exec gdb -batch -nx -iex 'set debuginfod enabled off' \\
			-iex 'set source open off' \\
			-iex 'set startup-with-shell off' \\
			-ex 'break pt_rx_session_enter if state == PT_RX_$1' \\
			-ex run -ex 'shell fsfreeze -f mnt' \\
			-ex 'shell touch is-frozen' -ex delete -ex continue \\
			-ex 'quit \$_exitcode' \\
			--args '$pagetrim' "\$@" >debugger.log
	EOF
	chmod +x debugged
	pagetrim=$PWD/debugged receive_begin receive --listen "$addr" \
		--out mnt/copy --peer-timeout 4
	send_begin send --to "$addr" --peer-timeout 4 --queues 1 \
		"$(image small --pages 1024)"
	wait_until 20 test -e is-frozen
	frozen=$(pgrep -P "$receiver" -x pagetrim)
	# It is in the middle of it now.
	wait_until 10 grep -q 'waiting for storage' receive.err
}

thaw() { show fsfreeze -u mnt; }

# term_frozen EXIT WORD: SIGTERM; the sender exits so, and only the process
# stays.
term_frozen()
{
	local begun

	begun=$(now_ms)
	kill -TERM "$frozen"
	wait_until 15 gone_from_b
	ended send "$sender" 15 "$1" "$2"
	in_time "to be gone" $(($(now_ms) - begun)) 2
	! is_gone "$receiver" || die "it did not wait for its storage"
}

# In commit: after one signal it is completed; after two its outcome is unknown.
frozen_in_commit()
{
	frozen_in COMMITTING
	! is_gone "$sender" || die "the sender did not wait"
	term_frozen 6 'outcome unknown'
	if [[ $1 == twice ]]; then
		kill -TERM "$frozen"
		wait_until 15 grep -q 'interrupted twice' receive.err
	fi
	thaw
	if [[ $1 == twice ]]; then
		ended receive "$receiver" 20 6 'outcome unknown'
	else
		ended receive "$receiver" 20 0
		same_file "$(image small)" mnt/copy
	fi
}

# Verified, and COMMIT arrives while it is frozen: as in commit.
frozen_in_verified()
{
	frozen_in VERIFIED
	term_frozen 6 'outcome unknown'
	thaw
	ended receive "$receiver" 20 0
	same_file "$(image small)" mnt/copy
}

# has_taken_signals PID: no signal is pending.
has_taken_signals() { grep -q '^ShdPnd:[[:space:]]*0*$' "/proc/$1/status"; }

# The received data cannot be removed yet.  A second signal changes nothing;
# after a third it may stay.
frozen_in_data()
{
	local i

	frozen_in DATA
	term_frozen 4 interrupted
	for ((i = 1; i < $1; i++)); do
		wait_until 5 has_taken_signals "$frozen"
		kill -TERM "$frozen"
	done
	if [[ $1 -eq 3 ]]; then
		wait_until 30 grep -q interrupted receive.err
	else
		wait_until 5 has_taken_signals "$frozen"
	fi
	thaw
	ended receive "$receiver" 20 1 interrupted
	[[ ! -e mnt/copy ]] || die "committed all the same"
	[[ $1 -eq 3 ]] ||
		same "left behind" "$(find mnt -name 'copy*')" ''
}

case_run "stop: a sender that asks for a name" sender_resolving
case_run "stop: a sender that connects" sender_connecting
case_run "stop: a sender that waits for HELLO" sender_greeting --insecure
case_run "stop: a sender that waits for TLS" sender_greeting \
	--psk "$tmp/keys.psk"
case_run "stop: a sender that waits for OFFER" sender_with OFFER 1 interrupted
case_run "stop: a sender that waits for OPENED" sender_with OPENED 1 interrupted
case_run "stop: a sender that probes" sender_with LANE_READY 1 interrupted
case_run "stop: a sender whose receiver reads no SEGMENT" sender_of_many
case_run "stop: a sender in its midst, with files" sender_sending TERM
case_run "stop: a sender whose terminal goes away" sender_sending HUP
case_run "stop: a sender that waits for VERIFIED" \
	sender_with VERIFIED 1 interrupted
case_run "stop: a sender that waits for COMMITTED" \
	sender_with COMMITTED 6 'outcome unknown'
case_run "stop: a sender whose receiver talks without pause" \
	sender_with flood 6 'outcome unknown'
case_run "stop: a sender whose source stands still" still_mapped
case_run "stop: a sender whose source, not cached, stands still" \
	still_direct 4000000 mnt/still
case_run "stop: a sender whose source stands still for one of three lanes" \
	still_direct 4000000 --lanes 3 mnt/still
case_run "stop: a sender whose source stands still when read again" \
	still_direct "$(($(stat -c %s "$(image even)") + 4000000))" mnt/still
case_run "stop: a sender whose source stands still when compared" still_resumed
case_run "stop: a sender whose files stand still" still_files
case_run "stop: a sender of a process whose memory stands still" still_process
case_run "stop: a receiver of senders in each state" receiver_of_all
case_run "stop: a receiver of one that has not said HELLO" \
	receiver_of_a_stranger
case_run "stop: a receiver frozen in data" frozen_in_data 1
case_run "stop: a receiver frozen in data, told twice" frozen_in_data 2
case_run "stop: a receiver frozen in data, told three times" frozen_in_data 3
case_run "stop: a receiver frozen when it has verified" \
	frozen_in_verified
case_run "stop: a receiver frozen in commit" frozen_in_commit once
case_run "stop: a receiver frozen in commit, twice" frozen_in_commit twice

cases_end
