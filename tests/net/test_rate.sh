#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   pagetrim send -- ptNAMEa ================= ptNAMEb -- pagetrim receive
#      --control PATH
#        |
#   pagetrim ctl status|set max-bandwidth N --control PATH
#
# The limit is kept, within 5 %, as the device counts; it can be changed while
# the transfer runs, by its user and root alone; and the socket for it is gone
# afterwards.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# ---- the rate ---------------------------------------------------------------

# A memory that lasts for all windows of all limits.
memory() { [[ -e $tmp/memory ]] || head -c 160M /dev/urandom >"$tmp/memory"; }

# look: prints the bytes that left host a so far, and the time in microseconds,
# to 5 ms.  It starts no process, since that may take any time.  A veth whose
# other end has XDP attached counts frames without their Ethernet headers.
look()
{
	local started line packets
	local -a lines

	while :; do
		started=${EPOCHREALTIME/./}
		mapfile -t lines <"/proc/$sender/net/dev"
		us=${EPOCHREALTIME/./}
		((us - started > 5000)) || break
	done
	for line in "${lines[@]}"; do
		[[ $line != *"$(dev_a):"* ]] ||
			read -r _ _ _ _ _ _ _ _ _ bytes packets _ <<<"$line"
	done
	bytes=$((bytes + packets * 14))
}

# measured: measures the bytes per second that leave host a, over 0.8 s.  Sets
# bandwidth.
measured()
{
	local bytes us bytes_before us_before

	look
	bytes_before=$bytes us_before=$us
	sleep 0.8
	look
	bandwidth=$(((bytes - bytes_before) * 1000000 / (us - us_before)))
}

# keeps LIMIT: never more than 5 % above; and, since a busy machine may send
# less, in one of five windows at most 5 % below.
keeps()
{
	local i

	for i in 1 2 3 4 5; do
		measured
		echo "limit $1, window $i: $bandwidth" >&2
		((bandwidth <= $1 * 105 / 100)) ||
			die "limit $1: sends $bandwidth"
		((bandwidth < $1 * 95 / 100)) || return 0
	done
	die "limit $1: sends $bandwidth"
}

# control ARGUMENT...: pagetrim ctl, of the socket ./control.
control() { show "$pagetrim" ctl --control control "$@"; }

is_sending() { [[ $(control status --json | jq -r .status) == active ]]; }

# changed MTU QUEUES: before and after a change, and after the next.
changed()
{
	memory
	show hosts_up "$net" --mtu "$1" --queues "$2"
	receive_begin receive --listen "$HOSTS_B4" --out copy --queues "$2"
	send_begin send --to "$HOSTS_B4" --queues "$2" --control control \
		--max-bandwidth 16M "$tmp/memory"
	wait_until 10 test -S control
	wait_until 10 is_sending
	keeps $((16 << 20))
	control set max-bandwidth 32M
	control status --json >status.json
	keeps $((32 << 20))
	control set max-bandwidth 8M
	keeps $((8 << 20))
	control set max-bandwidth 0
	ended send "$sender" 60 0
	ended receive "$receiver" 10 0
	same_file "$tmp/memory" copy
	balanced
	same "limit told" "$(field status '."max-bandwidth"')" $((32 << 20))
	[[ ! -e control ]] || die "the socket is still there"
	nothing_left
}

# Files travel beside the memory, under the same limit; and status reports the
# progress of both.
beside()
{
	memory
	head -c 64M /dev/urandom >state
	show hosts_up "$net" --queues 2
	receive_begin receive --listen "$HOSTS_B4" --out copy --queues 2
	send_begin send --to "$HOSTS_B4" --queues 2 --control control \
		--max-bandwidth 16M --with state "$tmp/memory"
	wait_until 10 test -S control
	wait_until 10 is_sending
	keeps $((16 << 20))
	control status --json >status.json
	within "bytes of files left" "$(field status '."files-remaining"')" \
		1 $((60 << 20))
	same "bytes of files" "$(field status '."files-total"')" $((64 << 20))
	within "bytes of memory left" "$(field status .ram.remaining)" \
		1 $((158 << 20))
	control status >text
	grep -q '^Files: 64.0 MiB, .* left$' text || die "status: $(<text)"
	control set max-bandwidth 0
	ended send "$sender" 60 0
	ended receive "$receiver" 20 0
	same_file "$tmp/memory" copy
	same_file state copy.with/state
	balanced
}

# From almost nothing: a debt at the old rate must not be waited for.
freed()
{
	show hosts_up "$net"
	rate=64K under_way opened --control control "$(image even)"
	wait_until 10 is_sending
	control set max-bandwidth 0
	ended send "$sender" 20 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
}

# ---- who asks ---------------------------------------------------------------

told()
{
	show hosts_up "$net"
	rate=1M under_way 1000000 --control control "$(image even)"
	control status --json >status.json
	same "status" "$(field status .status)" active
	same "limit" "$(field status '."max-bandwidth"')" $((1 << 20))
	# The device counts no Ethernet headers, and frames of a batch later.
	within "bytes sent" "$(field status .ram.transferred)" 900000 \
		$(($(sent_bytes) + 300000))
	within "bytes left" "$(field status .ram.remaining)" 1 \
		"$(field status .ram.total)"
	control status >text
	grep -q '^active, .* left$' text || die "status: $(<text)"
	grep -q ', at most 1.0 MiB$' text || die "status: $(<text)"
	kill -TERM "$sender"
	ended send "$sender" 10 1 interrupted
	[[ ! -e control ]] || die "the socket outlives SIGTERM"
	ended receive "$receiver" 10 4
	nothing_left
}

# talk: sends invalid requests, a line at a time, and checks that they are
# refused; then sends more, and disconnects before the answer.
talk()
{
	python3 - <<-'END'
		import json, os, socket, time

		def dial():
		    s = socket.socket(socket.AF_UNIX)
		    s.settimeout(10)
		    for attempt in range(1000):
		        try:
		            s.connect("control")
		            return s
		        except BlockingIOError:	# more requests than the queue holds
		            time.sleep(0.01)
		    raise TimeoutError

		for line in (b"", b"x", b"status ", b"set", b"set max-bandwidth ",
		             b"set max-bandwidth x", b"set max-bandwidth -1",
		             b"set max-bandwidth 1K", b"set max-bandwidth  5",
		             b"set max-bandwidth 1099511627777",
		             b"set max-bandwidth 99999999999999999999",
		             b"set max-downtime 5", b"set downtime-limit 0",
		             b"set downtime-limit 60001", b"set downtime-limit 5",
		             b"pause ", b"cancel 1", b"resumed", b"\xff\xfe\x1b[2J",
		             b"status\0", b"x" * 2000):
		    s = dial()
		    s.sendall(line + b"\n")
		    answer = s.makefile().readline()
		    assert json.loads(answer)["error"], (line, answer)
		for i in range(500):
		    s = dial()
		    try:
		        s.sendall(os.urandom(i * 10))
		    except OSError:
		        pass
		    s.close()
	END
}

# Invalid requests are answered, do no harm, and the transfer continues.
nonsense()
{
	show hosts_up "$net"
	rate=1M under_way 100000 --control control "$(image even)"
	show talk
	control status --json >status.json
	same "limit" "$(field status '."max-bandwidth"')" $((1 << 20))
	# Another user is refused, even with access to the socket.
	chmod 755 "$tmp" "$dir"
	chmod 666 control
	! setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$pagetrim" ctl --control "$PWD/control" set max-bandwidth 1M 2>other.err ||
		die "another user may change it"
	one_error other 'ask as root'
	control set max-bandwidth 0
	ended send "$sender" 20 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
}

# As another user, who then owns the socket.
as_user()
{
	show hosts_up "$net"
	chmod 755 "$tmp" "$dir"
	mkdir theirs
	chown 65534:65534 theirs
	under_way opened --user 65534:65534 --control "$PWD/theirs/control" \
		"$(image even)"
	wait_until 10 test -S theirs/control
	same "owner and mode" "$(stat -c '%u %a' theirs/control)" "65534 600"
	show setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$pagetrim" ctl --control "$PWD/theirs/control" \
		set max-bandwidth 0
	ended send "$sender" 20 0
	ended receive "$receiver" 10 0
	[[ ! -e theirs/control ]] || die "the socket is still there"
}

# ---- paths ------------------------------------------------------------------

# refuses PATH WORD [OPTION...]: no sender starts, and no socket is made there.
refuses()
{
	local path=$1 word=$2

	shift 2
	send_begin send --to "$HOSTS_B4" --control "$path" "$@" "$(image even)"
	ended send "$sender" 10 3 "$word"
}

paths()
{
	show hosts_up "$net"
	rate=256K under_way 100000 --control control "$(image even)"
	mv send.err first.err
	first=$sender
	refuses control exists
	touch file
	refuses file exists
	[[ -f file && ! -s file ]] || die "the file was touched"
	refuses none/control folder
	refuses "$(printf '%0120d' 0)" '1..107 bytes'
	mkdir -m 755 ours
	chmod 755 "$tmp" "$dir"
	refuses "$PWD/ours/control" 'may write' --user 65534:65534
	[[ -z $(ls -A ours) ]] || die "left: $(ls -A ours)"
	# A killed sender leaves its socket; the next one replaces it.
	kill -KILL "$first"
	wait "$first" || true
	ended receive "$receiver" 10 4
	[[ -S control ]] || die "nothing was left to be replaced"
	! "$pagetrim" ctl status --control control 2>status.err || die "the dead answer"
	one_error status 'nobody listens'
	rm -f copy.partial
	under_way opened --control control "$(image even)"
	wait_until 10 is_sending
	control set max-bandwidth 0
	ended send "$sender" 20 0
	ended receive "$receiver" 10 0
	[[ ! -e control ]] || die "the socket is still there"
	! "$pagetrim" ctl pause --control control 2>pause.err || die "nobody answers"
	one_error pause '--control'
	control status >said
	grep -qx 'Ended: completed, exit 0' said || die "after the end: $(<said)"
}

ahead case_run "the limit is kept, and changed" changed 9000 1
ahead case_run "the limit is kept, and changed, with two lanes" changed 1500 2
ahead case_run "files travel beside the memory, within the limit" beside
case_run "no limit, from nearly nothing" freed
case_run "status tells, and the socket goes with SIGTERM" told
case_run "nonsense and others on the socket" nonsense
case_run "the socket of another user" as_user
case_run "paths of the socket" paths
cases_end
