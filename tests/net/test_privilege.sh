#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   docs/security.md, "Privileges"   what each thread may have
#              |
#   /proc/PID/task/*/status          what it has, of both agents, while they run
#
# It also covers core dumps, places where other users could read a key, owners
# of files, checks of paths, and the limit on announced memory.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image look --pages 2048 >/dev/null
document=$root/docs/security.md
nobody=$(id -u nobody)
patient=300	# while the other is examined, on a slow machine

# ---- the document, and /proc ------------------------------------------------

# listed AGENT PHASE: prints the capabilities in the table, one per line; where
# there are none it must say "none".
listed()
{
	local row

	row=$(grep -E "^\| $1 \| $2 \| " "$document") ||
		die "$document has no row for $1, $2"
	row=$(awk -F' *[|] *' '{ print $4 }' <<<"$row")
	[[ $row == *none* || $row == *CAP_* ]] || die "$1, $2: nothing listed"
	tr -s ' ' '\n' <<<"${row//none/}" | sed '/^$/d' |
		tr '[:upper:]' '[:lower:]' | sort
}

# held STATUS KEY: prints the capabilities of a set, one per line.
held()
{
	local hex

	hex=$(awk -v key="$2:" '$1 == key { print $2 }' "$1")
	[[ $hex =~ ^[0-9a-f]{16}$ ]] || die "$1: no $2"
	[[ $hex != 0000000000000000 ]] || return 0
	capsh --decode="$hex" | cut -d= -f2 | tr ',' '\n' | sort
}

# of_thread STATUS KEY: prints a line of it, without its name.
of_thread()
{
	awk -v key="$2:" '$1 == key { $1 = ""; print substr($0, 2) }' "$1"
}

# as_listed PID AGENT PHASE THREADS [UID]: every thread of the process, which
# has at least so many, has exactly the capabilities of the document.
as_listed()
{
	local pid=$1 want uid=${5:-0} status set cnt=0

	want=$(listed "$2" "$3")
	for status in "/proc/$pid/task/"*/status; do
		cnt=$((cnt + 1))
		for set in CapEff CapPrm; do
			same "$2, $3: $set" "$(held "$status" "$set")" "$want"
		done
		for set in CapInh CapAmb CapBnd; do
			same "$2, $3: $set" "$(held "$status" "$set")" ''
		done
		same "$2, $3: NoNewPrivs" "$(of_thread "$status" NoNewPrivs)" 1
		same "$2, $3: Seccomp" "$(of_thread "$status" Seccomp)" \
			"${filtered:-2}"
		same "$2, $3: Uid" "$(of_thread "$status" Uid)" \
			"$uid $uid $uid $uid"
	done
	[[ $cnt -ge $4 ]] || die "$2, $3: only $cnt threads"
	# OpenSSL's secure heap, with the keys.
	within "$2, $3: KiB locked" "$(awk '$1 == "VmLck:" { print $2 }' \
		"/proc/$pid/status")" 4096 8192
	same "$2, $3: core limit" "$(awk '/^Max core file/ { print $5, $6 }' \
		"/proc/$pid/limits")" "0 0"
}

# midway SEND-OPTION...: a transfer that has begun and not ended; the sender is
# stopped meanwhile, until `kill -CONT`. On a slow machine the check comes late,
# so the transfer is as slow there.
midway()
{
	send_begin send --to "$HOSTS_B4" \
		--max-bandwidth "$((4096 / patience))K" \
		--peer-timeout "$patient" "$@"
	wait_until 10 is_sending
	kill -STOP "$sender"
}

is_sending() { [[ $(sent_bytes) -gt 300000 ]]; }

# a folder that a user can reach and write, all the way from the root.
user_folder()
{
	chmod 0711 "$tmp" "$dir"
	mkdir -m 0700 "$1"
	chown nobody "$1"
}

# ---- cases ------------------------------------------------------------------

# during RECEIVE-USER SEND-USER [attached]: a transfer, examined midway.
during()
{
	local -a receive_user=() send_user=()

	ulimit -c unlimited
	show hosts_up "$net" --queues 2
	[[ -z ${3-} ]] || on b "$pagetrim" attach --dev "$(dev_b)"
	user_folder place
	[[ -z $1 ]] || receive_user=(--user "$1")
	[[ -z $2 ]] || send_user=(--user "$2")
	[[ -n $1 ]] || chown root place
	echo secret >state
	chmod 0600 state	# only root may read it
	receive_begin receive --listen "$HOSTS_B4" --out "$PWD/place/copy" \
		--queues 2 --peer-timeout "$patient" "${receive_user[@]}"
	wait_until 10 grep -q 'listening on' receive.err
	as_listed "$receiver" receive listening 3 "${1:+$nobody}"
	midway --queues 2 --with state "${send_user[@]}" "$(image look)"
	as_listed "$receiver" receive listening 3 "${1:+$nobody}"
	as_listed "$sender" send sending 3 "${2:+$nobody}"
	kill -CONT "$sender"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$(image look)" place/copy
	same_file state place/copy.with/state
	balanced
	same "owner and mode" "$(stat -c '%U %a' place/copy)" \
		"${1:-root} 600"
	same "of the folder" "$(stat -c '%U %a' place/copy.with)" \
		"${1:-root} 700"
	[[ -z ${3-} ]] || on b "$pagetrim" detach --dev "$(dev_b)"
	nothing_left
}

# The sender before its peer sends a message.
connecting()
{
	local peer

	show hosts_up "$net"
	hosts_exec "$net" b "$here/peer.py" silent "$HOSTS_B4" 16644 2>ready &
	peer=$!
	wait_until 10 grep -q ready ready
	send_begin send --to "$HOSTS_B4" --peer-timeout "$patient" "$@" \
		"$(image small --pages 64)"
	wait_until 10 connected
	kill -STOP "$sender"
	as_listed "$sender" send connecting 1 "${1:+$nobody}"
	kill "$sender"
	kill -CONT "$sender"
	finish "$sender" 10
	kill "$peer"
}

connected()
{
	hosts_run "$net" a ss -Htn state established "dport = :16644" | grep -q .
}

# A system call that gdb makes in the agent, which is not on the list, fails, and the
# log names it once; with --no-seccomp it is made.
unlisted_call()
{
	local filtered

	show hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --out copy
	same "personality, refused" "$(personality_of "$receiver")" -1
	same "personality, refused" "$(personality_of "$receiver")" -1
	wait_until 10 grep -q 'system call personality .*refused' receive.err
	same "lines about it" "$(grep -c 'was refused' receive.err)" 1
	kill "$receiver"
	finish "$receiver" 10
	receive_begin receive --listen "$HOSTS_B4" --out copy --no-seccomp
	same "personality, allowed" "$(personality_of "$receiver")" 0
	filtered=0
	as_listed "$receiver" receive listening 3
	kill "$receiver"
	finish "$receiver" 10
	nothing_left
}

# personality_of PID: prints the result of personality(2) in its first thread.
personality_of()
{
	# shellcheck disable=SC2016 # sed's
	gdb -nx -q -batch -p "$1" -ex 'print (int)personality(0xffffffff)' \
		2>/dev/null | sed -n 's/^\$1 = //p'
}

# The source process belongs to another user than the agent's new one.
process_of_another()
{
	local pid

	show hosts_up "$net" --mtu 9000
	setpriv --reuid daemon --clear-groups sleep 1000 &
	pid=$!
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --user nobody --pid "$pid"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	balanced
	! grep -q '^State:.*[Tt]' "/proc/$pid/status" ||
		die "the process is still stopped"
	kill "$pid"
}

# A process that crashes leaves no core, though the shell allows one.
no_core()
{
	ulimit -c unlimited
	show hosts_up "$net"
	user_folder place
	cd place
	receive_begin ../receive --listen "$HOSTS_B4" --out "$PWD/copy" \
		--user nobody
	midway "$(image look)" --user nobody
	kill -SEGV "$sender" "$receiver"
	kill -CONT "$sender"
	finish "$sender" 10
	same "the sender's exit" "$status" 139
	finish "$receiver" 10
	same "the receiver's exit" "$status" 139
	same "cores" "$(find "$dir" -name '*core*')" ''
}

# Keys are neither in the arguments nor in the environment, nor in the output;
# and another user cannot inspect the process.
no_key_to_see()
{
	local key identity pid

	IFS=: read -r identity key <"$tmp/keys.psk"
	[[ ${#key} -ge 64 ]] || die "no key of '$identity'"
	show hosts_up "$net" --mtu 9000
	user_folder place
	receive_begin receive --listen "$HOSTS_B4" --out "$PWD/place/copy" \
		--peer-timeout "$patient" --user nobody
	midway --user nobody "$(image look)"
	for pid in "$receiver" "$sender"; do
		! grep -qai "$key" "/proc/$pid/cmdline" "/proc/$pid/environ" ||
			die "the key can be seen in /proc/$pid"
		! setpriv --reuid nobody --regid nogroup --clear-groups \
			cat "/proc/$pid/environ" >/dev/null 2>&1 ||
			die "the same user can look into process $pid"
	done
	kill -CONT "$sender"
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	! grep -rqai --exclude-dir=place "$key" . ||
		die "the key was printed"
}

# Started with all descriptors closed: no opened file may take the place of
# standard output or error.
closed_descriptors()
{
	local fd

	show hosts_up "$net" --mtu 9000
	hosts_exec "$net" b "$pagetrim" receive --dev "$(dev_b)" \
		"${security[@]}" --listen "$HOSTS_B4" --out copy --json \
		<&- >&- 2>&- &
	receiver=$!
	wait_until 10 listens b 16644
	for fd in 0 1 2; do
		same "descriptor $fd" "$(readlink "/proc/$receiver/fd/$fd")" \
			/dev/null
	done
	send_begin send --to "$HOSTS_B4" "$(image look)"
	ended send "$sender" 30 0
	finish "$receiver" 10
	same_file "$(image look)" copy
	nothing_left
}

# sink_refused_to WORD COMMAND...: a sink that --user nobody may not write is
# refused before a sender connects.
sink_refused_to()
{
	local word=$1

	shift
	show hosts_up "$net"
	chmod 0711 "$tmp" "$dir"
	"$@"
	receive_launch receive --listen "$HOSTS_B4" --out "$PWD/place/copy" \
		--user nobody
	ended receive "$receiver" 10 3 "$word"
	nothing_left
}

not_root_to_become()
{
	show hosts_up "$net"
	hosts_exec "$net" b setpriv --bounding-set=-setuid \
		--inh-caps=-setuid "$pagetrim" receive --dev "$(dev_b)" \
		--insecure --listen "$HOSTS_B4" --out copy --user nobody \
		>receive.json 2>receive.err &
	ended receive $! 10 3 'nobody.*CAP_SETUID'
	nothing_left
}

# Root, but without the right to write everywhere, which the agent has dropped.
root_overrides_nothing()
{
	show hosts_up "$net"
	user_folder place
	receive_launch receive --listen "$HOSTS_B4" --out "$PWD/place/copy"
	ended receive "$receiver" 10 3 'root has given up its rights.*--user'
	nothing_left
}

# A stranger's link on the path to the image.
planted_link()
{
	show hosts_up "$net"
	mkdir victim
	ln -s victim place
	chown -h nobody place
	receive_launch receive --listen "$HOSTS_B4" --out "$PWD/place/copy"
	ended receive "$receiver" 10 3 "another user's"
	same "files" "$(ls victim)" ''
	nothing_left
}

# Two senders may announce 10 MiB together, and not more; when one has ended its
# share is free again.
max_memory()
{
	local first

	show hosts_up "$net" --mtu 9000 --queues 2
	mkdir copies
	receive_begin receive --listen "$HOSTS_B4" --out copies --serve \
		--max-memory 10M --peer-timeout "$patient"
	midway "$(image look)"
	first=$sender
	send_begin second --to "$HOSTS_B4" --name other "$(image look)"
	ended second "$sender" 20 4 'max-memory'
	kill -CONT "$first"
	ended send "$first" 60 0
	send_begin third --to "$HOSTS_B4" --name other "$(image look)"
	ended third "$sender" 20 0
	kill "$receiver"
	finish "$receiver" 10
	same_file "$(image look)" copies/other
	nothing_left
}

max_memory_exactly()
{
	show hosts_up "$net" --mtu 9000
	receive_begin receive --listen "$HOSTS_B4" --out copy \
		--max-memory $(($(stat -c %s "$(image look)") - 1))
	send_begin send --to "$HOSTS_B4" "$(image look)"
	ended send "$sender" 20 4 'max-memory'
	ended receive "$receiver" 10 3 'max-memory'
	local -a receive_options=(--max-memory
		"$(stat -c %s "$(image look)")")
	transfer "$(image look)"
	nothing_left
}

max_transfers()
{
	local first

	show hosts_up "$net" --mtu 9000 --queues 2
	mkdir copies
	receive_begin receive --listen "$HOSTS_B4" --out copies --serve \
		--max-transfers 1 --peer-timeout "$patient"
	midway "$(image look)"
	first=$sender
	send_begin second --to "$HOSTS_B4" --name other "$(image look)"
	ended second "$sender" 20 4 'max-transfers'
	kill -CONT "$first"
	ended send "$first" 60 0
	send_begin third --to "$HOSTS_B4" --name other "$(image look)"
	ended third "$sender" 20 0
	kill "$receiver"
	finish "$receiver" 10
	same_file "$(image look)" copies/other
	nothing_left
}

max_lanes()
{
	local security=(--insecure)

	show hosts_up "$net" --mtu 1500
	mkdir copies
	receive_begin receive --listen "$HOSTS_B4" --out copies --serve \
		--peer-timeout "$patient"
	hosts_run "$net" a python3 "$root/tests/net/many_lanes.py" \
		"$HOSTS_B4" 16644 5 >lanes
	grep -q '^192 .*too many lanes.*--queues' lanes ||
		die "want 192 lanes of one address, have $(<lanes)"
	kill "$receiver"
	finish "$receiver" 10
	nothing_left
}

max_files_exactly()
{
	show hosts_up "$net" --mtu 9000
	head -c 5000 /dev/urandom >state
	receive_begin receive --listen "$HOSTS_B4" --out copy --max-files 12287
	send_begin send --to "$HOSTS_B4" --with state "$(image look)"
	ended send "$sender" 20 4 "'state'.*max-files"
	ended receive "$receiver" 10 3 "'state'.*max-files"
	local -a receive_options=(--max-files 12K)
	transfer "$(image look)" --with state
	same_file state copy.with/state
	rm -r state copy.with
	nothing_left
}

# limited_receive THREADS: a receiver as a user with a limit on threads, whose
# count no other process shares.
limited_receive()
{
	local dev

	dev=$(dev_b)
	: >receive.err
	(
		ulimit -u "$1"
		exec nsenter --net="/run/netns/$(hosts_netns "$net" b)" -- \
			"$pagetrim" receive --dev "$dev" "${security[@]}" \
			--listen "$HOSTS_B4" --out folder/copy \
			--user "$limited_uid:$limited_uid"
	) >receive.json 2>receive.err &
	receiver=$!
}

ended_or_listens() { is_gone "$receiver" || says_it_listens receive; }

# few_threads: for each thread that cannot be started the error states that.
limited_uid=$((1000000 + $$))
few_threads()
{
	hosts_up "$net"
	mkdir folder
	chown "$limited_uid" folder
	chmod o+x . ..
	for ((threads = 1; threads < 20; threads++)); do
		limited_receive "$threads"
		wait_until 20 ended_or_listens
		if says_it_listens receive; then
			send_begin send --to "$HOSTS_B4" "$(image look)"
			finish "$sender" 60
			[[ $status -ne 0 ]] || break
			same "exit of send" "$status" 4
			one_error send 'cannot start'
		fi
		ended receive "$receiver" 20 3 'cannot (start|wait for signals)'
		same "files left" "$(find folder -type f)" ''
	done
	ended receive "$receiver" 20 0
	same_file "$(image look)" folder/copy
}

case_run "privilege: as the document lists" during '' ''
case_run "privilege: as the document lists, --user on both" during nobody nobody
case_run "privilege: --user, an attached program" during nobody '' attached
case_run "privilege: while it connects" connecting
case_run "privilege: while it connects, --user" connecting --user nobody
case_run "privilege: --user, a process of another user" process_of_another
case_run "privilege: a system call that is not on the list" unlisted_call
case_run "privilege: no core" no_core
case_run "privilege: no key to be seen" no_key_to_see
case_run "privilege: closed descriptors" closed_descriptors
case_run "privilege: --user may not write there" \
	sink_refused_to '--user' mkdir -m 0755 place
case_run "privilege: --user may not look there" \
	sink_refused_to '--user' mkdir -m 0700 place
case_run "privilege: --user without the right to" not_root_to_become
case_run "privilege: threads that cannot be started" few_threads
case_run "privilege: root overrides no mode" root_overrides_nothing
case_run "privilege: a stranger's link on the way" planted_link
case_run "privilege: --max-memory, together" max_memory
case_run "privilege: --max-memory, to the byte" max_memory_exactly
case_run "privilege: --max-transfers, of one address" max_transfers
case_run "privilege: lanes of one address" max_lanes
case_run "privilege: --max-files, to the byte" max_files_exactly
cases_end
