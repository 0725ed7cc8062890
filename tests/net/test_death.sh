#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   pagetrim send -- ptNAMEa ================= ptNAMEb -- pagetrim receive
#     dies                      is cut                      dies
#
# A transfer is killed at some moment: the other end exits with one line that
# states it, no file has the final name, no program is attached, and the same
# transfer then works.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# again: the same transfer, undisturbed; leftovers of a dead receiver do not
# hinder it.  A receiver that lives accepts it.
again()
{
	is_gone "$receiver" && receive_begin receive --listen "$HOSTS_B4" \
		--out copy
	send_begin send --to "$HOSTS_B4" "$(image even)"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	nothing_left
}

# receiver_ended EXIT: the receiver exits so.  Before OPEN a connection belongs
# to no transfer: when it ends, the receiver keeps waiting for a sender.
receiver_ended()
{
	if grep -q ' transfer ' receive.err; then
		ended receive "$receiver" 10 "$1"
		nothing_left
	fi
}

receiver_killed()
{
	show hosts_up "$net" --mtu 9000
	under_way "$1"
	show kill -KILL "$receiver"
	finish "$receiver" 10
	ended send "$sender" 10 4
	nothing_committed
	again
}

sender_killed()
{
	show hosts_up "$net" --mtu 9000
	under_way "$1"
	show kill -KILL "$sender"
	finish "$sender" 10
	receiver_ended 4
	nothing_committed
	again
}

# sessions: prints the number of sessions in the pinned maps.
sessions()
{
	bpftool -j map dump pinned \
		"/sys/fs/bpf/pagetrim/$(dev_b)/pt_sessions" | jq length
}

# The next receiver removes a killed receiver's entries from the pinned maps;
# the interface carries other traffic in between.
attached_killed()
{
	show hosts_up "$net" --mtu 9000
	on b "$pagetrim" attach --dev "$(dev_b)"
	under_way 5000000
	show kill -KILL "$receiver"
	finish "$receiver" 10
	ended send "$sender" 10 4
	nothing_committed
	on a ping -q -c 5 -i 0.01 "$HOSTS_B4"
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" "$(image even)"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	same "sessions in the pinned maps" "$(sessions)" 0
	on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

# killed_any_moment WHO: kill -9 at ten moments from connecting to after commit.
# At each moment the other end reports the true result.  An end that knows of a
# commit waits the peer timeout for a query.
killed_any_moment()
{
	local pause who=$1 other pid other_pid

	other=$([[ $who == sender ]] && echo receive || echo send)
	show hosts_up "$net" --mtu 9000
	for pause in 0.{005,02,035,05,06,07,08,09,10,12}; do
		receive_begin receive --listen "$HOSTS_B4" --out copy \
			--peer-timeout 1
		send_begin send --to "$HOSTS_B4" --peer-timeout 1 \
			"$(image even)"
		pid=${!who}
		other_pid=$([[ $who == sender ]] && echo "$receiver" ||
			echo "$sender")
		sleep "$pause"
		kill -KILL "$pid" 2>/dev/null || true
		finish "$pid" 15
		# A receiver that saw no OPEN keeps waiting for a transfer.
		if [[ $who == sender ]] && ! grep -q ' transfer ' receive.err; then
			kill -TERM "$receiver"
		fi
		finish "$other_pid" 10
		echo "killed $who after $pause s: $other exits $status" >&2
		case $status in
		0)	same_file "$(image even)" copy ;;
		1 | 4)	nothing_committed ;;
		6)	[[ ! -e copy ]] || same_file "$(image even)" copy ;;
		*)	die "$other exits $status: $(cat "$other.err")" ;;
		esac
		rm -f copy
	done
	again
}

# The user ends it: Ctrl-C or systemctl stop.
told_to_end()
{
	local pid

	show hosts_up "$net" --mtu 9000
	under_way 5000000
	pid=${!1}
	show kill -TERM "$pid"
	if [[ $1 == sender ]]; then
		ended send "$sender" 10 1
		ended receive "$receiver" 10 4
	else
		ended receive "$receiver" 10 1
		ended send "$sender" 10 4
	fi
	nothing_committed
	again
}

connection_cut()
{
	show hosts_up "$net" --mtu 9000
	under_way "$1"
	on a ss -Kt dport = :16644 >/dev/null
	ended send "$sender" 10 4
	receiver_ended 4
	nothing_committed
	again
}

# Silence beyond --peer-timeout, of data and control.
link_silent()
{
	local peer_timeout=2

	show hosts_up "$net" --mtu 9000
	under_way 5000000
	on b ip link set "$(dev_b)" down
	ended send "$sender" 12 4
	ended receive "$receiver" 12 4
	on b ip link set "$(dev_b)" up
	wait_until 10 hosts_run "$net" a ping -q -c 1 -W 1 "$HOSTS_B4" >&2
	nothing_committed
	again
}

# A shorter one is survived.
link_blinks()
{
	show hosts_up "$net" --mtu 9000
	under_way 5000000
	on a ip link set "$(dev_a)" down
	sleep 0.5
	on a ip link set "$(dev_a)" up
	on a ip address replace fd77::1/64 dev "$(dev_a)" nodad
	go_on
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
	nothing_left
}

# A receiver that is stopped for good: its kernel keeps the connection up.
receiver_stopped()
{
	local peer_timeout=2

	show hosts_up "$net" --mtu 9000
	under_way 5000000
	show kill -STOP "$receiver"
	ended send "$sender" 12 4 'silent|timeout|answer'
	show kill -KILL "$receiver"
	finish "$receiver" 10
	nothing_committed
	again
}

source_cut_short()
{
	show hosts_up "$net" --mtu 9000
	cp "$(image even)" source
	under_way 3000000 source
	truncate -s 1M source
	go_on
	ended send "$sender" 10 1 'source.*cut short'
	ended receive "$receiver" 10 4
	nothing_committed
	nothing_left
	again
}

# A stopped source process resumes when the sender that stopped it is killed.
process_freed()
{
	local pid

	show hosts_up "$net" --mtu 9000
	python3 -c 'if True:
		import random, time
		memory = random.Random(1).randbytes(1 << 25)
		print("ready", flush=True)
		while True:
			time.sleep(0.01)' >process &
	pid=$!
	wait_until 10 test -s process
	under_way 3000000 --pid "$pid"
	grep -q '^State:.[tT]' "/proc/$pid/status" || die "it was not stopped"
	show kill -KILL "$sender"
	finish "$sender" 10
	receiver_ended 4
	wait_until 15 grep -q '^State:.[RS]' "/proc/$pid/status"
	kill "$pid"
}

process_dies()
{
	local pid

	show hosts_up "$net" --mtu 9000
	python3 -c 'if True:
		import random, time
		memory = random.Random(1).randbytes(1 << 25)
		print("ready", flush=True)
		time.sleep(600)' >process &
	pid=$!
	wait_until 10 test -s process
	under_way 3000000 --pid "$pid"
	kill -KILL "$pid"
	go_on
	ended send "$sender" 10 1 "$pid.*went away"
	ended receive "$receiver" 10 4
	nothing_committed
	nothing_left
	again
}

disk_full()
{
	local out=$PWD/small/copy

	show hosts_up "$net" --mtu 9000
	mkdir small
	mount -t tmpfs -o size=8m none small
	mounts=("$PWD/small")
	under_way opened
	go_on
	ended receive "$receiver" 20 3 'space|full'
	ended send "$sender" 10 4 'space|full'
	nothing_committed
	nothing_left
	again
}

# data_placed: some of the image is in the partial file.
data_placed() { [[ -e copy.partial && $(stat -c %b copy.partial) -gt 2000 ]]; }

# A source that changes is never committed, and the error names the page.
source_changes()
{
	show hosts_up "$net" --mtu 9000
	cp "$(image even)" source
	under_way 3000000 source
	wait_until 10 data_placed
	printf changed | dd of=source conv=notrunc status=none
	go_on
	ended send "$sender" 30 5 "page 0 changed"
	ended receive "$receiver" 10 5 "page 0 changed"
	[[ ! -e copy ]] || die "committed all the same"
	nothing_left
}

# Without its program the receiver gets no frame, and reports that at once.
detached_meanwhile()
{
	show hosts_up "$net" --mtu 9000
	on b "$pagetrim" attach --dev "$(dev_b)"
	under_way 3000000
	wait_until 10 data_placed
	on b "$pagetrim" detach --force --dev "$(dev_b)"
	ended send "$sender" 20 4 "detached .* XDP program"
	ended receive "$receiver" 10 3 "detached .* XDP program"
	nothing_left
}

# test_states.sh kills in each state of the protocol; this one during the data.
for moment in 1000000 6000000; do
	case_run "death: receiver killed at $moment" receiver_killed "$moment"
	case_run "death: sender killed at $moment" sender_killed "$moment"
done
case_run "death: receiver killed at ten moments" killed_any_moment receiver
case_run "death: sender killed at ten moments" killed_any_moment sender
case_run "death: sender told to end" told_to_end sender
case_run "death: receiver told to end" told_to_end receiver
case_run "death: control connection cut at once" connection_cut connected
case_run "death: control connection cut half-way" connection_cut 5000000
case_run "death: link silent beyond the peer timeout" link_silent
case_run "death: link down for half a second is survived" link_blinks
case_run "death: receiver stopped for good" receiver_stopped
case_run "death: source cut short while it is read" source_cut_short
case_run "death: process killed while it is read" process_dies
case_run "death: a stopped process survives its sender" process_freed
case_run "death: a receiver under an attached program" attached_killed
case_run "death: sink's disk full" disk_full
case_run "death: a source that changes while it is sent" source_changes
case_run "death: the XDP program detached meanwhile" detached_meanwhile
cases_end
