#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   pagetrim send -- ptNAMEa ================= ptNAMEb -- pagetrim receive
#      --control PATH
#        |
#   pagetrim ctl REQUEST
#
# Pause, resumption, cancel and metrics of a transfer that runs, and peers on its
# socket that mean no good.  (tests/net/test_rate.sh: limits, owners and paths;
# tests/net/test_live_death.sh: the same of a guest that moves.)
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/net/lib_entry.sh
source "$here/lib_entry.sh"

ctl() { show "$pagetrim" ctl --control control "$@"; }

# status_has JQ-CONDITION
status_has()
{
	"$pagetrim" ctl status --json --control control >status.json &&
		jq -e "$1" status.json >/dev/null
}

# stands_still: two statuses, with time for many frames between, tell of as many.
stands_still()
{
	local frames

	ctl status --json >status.json
	frames=$(field status .frames)
	sleep 0.3
	ctl status --json >status.json
	[[ $(field status .frames) == "$frames" ]]
}

# Paused, nothing goes for longer than both ends wait for progress; and then
# everything arrives.
paused()
{
	local frames

	show hosts_up "$net" --queues 2
	peer_timeout=1
	rate=1M under_way 1000000 --queues 2 --control control "$(image even)"
	ctl pause | grep -qx 'control: is paused' || die "pause: no answer"
	ctl set max-bandwidth 0
	wait_until 10 stands_still
	status_has .paused || die "not paused: $(<status.json)"
	frames=$(field status .frames)
	sleep 5
	status_has ".paused and .frames == $frames and .status == \"active\"" ||
		die "goes on in a pause: $(<status.json)"
	ctl status | grep -q '^active (paused), ' || die "status says no pause"
	ctl pause
	ctl resume | grep -qx 'control: goes on' || die "resume: no answer"
	ended send "$sender" 20 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
	nothing_left
}

# recorded RESULT JQ-CONDITION: nobody listens, and the record tells how it ended.
recorded()
{
	[[ ! -e control ]] || die "the socket is still there"
	ctl status --json >status.json
	same "result" "$(field status .result)" "$1"
	jq -e "$2" status.json >/dev/null || die "the record: $(<status.json)"
	ctl status >said
	grep -q "^Ended: $1, exit" said || die "ctl status: $(<said)"
}

# failed_early CAUSE SOURCE WORDS: a sender that ends before it has the socket.
failed_early()
{
	! "$pagetrim" send "${security[@]}" --dev lo --to "$HOSTS_B4" \
		--control control "$2" 2>begin.err || die "$1: sends"
	one_error begin "$3"
	[[ ! -e control ]] || die "$1: the socket is there"
}

# The last status stays until another sender takes the path.
after_the_end()
{
	show hosts_up "$net"
	rate=1M under_way 1000000 --control control "$(image even)"
	ctl cancel
	ended send "$sender" 10 1 interrupted
	ended receive "$receiver" 10 4
	recorded failed '.exit == 1 and (."error-desc" | test("interrupted")) and
		.frames > 0'
	! "$pagetrim" ctl pause --control control 2>pause.err ||
		die "pauses a sender that has ended"
	one_error pause 'No such file'

	failed_early "no such file" "$tmp/nowhere" 'No such file'
	! "$pagetrim" ctl status --control control 2>early.err ||
		die "tells of the last one: $(<control.last)"
	one_error early 'No such file'
	echo precious >control.last
	failed_early "another's file" "$(image even)" 'is no record'
	same "another's file" "$(<control.last)" precious
	rm control.last

	rate=1M under_way 1000000 --control control "$(image even)"
	wait_until 10 test -S control
	status_has '.result == null' || die "tells of the last one"
	kill -KILL "$sender"
	ended receive "$receiver" 30 4
	! "$pagetrim" ctl status --control control 2>killed.err ||
		die "knows of a killed one: $(<control.last)"
	one_error killed 'Connection refused'

	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --control control \
		"$(image small --pages 64)"
	ended send "$sender" 10 0
	ended receive "$receiver" 10 0
	recorded completed '.exit == 0 and ."error-desc" == null and
		.guest == null and .status == "completed"'
	ctl metrics >metrics.text
	"$root/tests/lib/openmetrics.py" <metrics.text >metrics.json ||
		die "no OpenMetrics: $(<metrics.text)"
	same "files" "$(compgen -G 'control*')" control.last
}

# A receiver tells of its transfers, too, and can be cancelled.
of_a_receiver()
{
	local id

	show hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --out copy --control control
	ctl status | tee said
	grep -qx 'waiting, transfers: 0' said || die "before a transfer: $(<said)"
	send_begin send --to "$HOSTS_B4" --max-bandwidth 1M --control from \
		"$(image even)"
	wait_until 10 status_has '.transfers[0].ram.placed > 0'
	"$pagetrim" ctl status --json --control from >from.json
	id=$(field from '."transfer-id"')
	status_has ".role == \"receiver\" and .status == \"active\" and
		.\"transfer-count\" == 1 and .transfers[0].\"transfer-id\" == \"$id\"" ||
		die "status: $(<status.json)"
	ctl metrics >metrics.text
	"$root/tests/lib/openmetrics.py" <metrics.text >metrics.json ||
		die "no OpenMetrics: $(<metrics.text)"
	same "total" "$(jq ".\"pagetrim_migration_data_total_bytes{role=\\\"receiver\\\",transfer_id=\\\"$id\\\"}\"" \
		metrics.json)" "$(stat -c %s "$(image even)")"
	! "$pagetrim" ctl pause --control control 2>pause.err ||
		die "pauses a receiver"
	one_error pause "want 'status', 'cancel' or 'drain'"
	ctl cancel
	ended send "$sender" 10 4 interrupted
	ended receive "$receiver" 10 1 interrupted
	recorded failed ".exit == 1 and .transfers[0].\"transfer-id\" == \"$id\""
	receive_begin receive --listen "$HOSTS_B4" --out copy --control control
	send_begin send --to "$HOSTS_B4" "$(image small --pages 64)"
	ended send "$sender" 10 0
	ended receive "$receiver" 10 0
	recorded completed '.transfers[0].ledger.unaccounted == 0'
}

# It ends as if interrupted, also in a pause.
cancelled()
{
	show hosts_up "$net"
	rate=1M under_way 1000000 --control control "$(image even)"
	[[ $1 != paused ]] || ctl pause
	ctl cancel | grep -qx 'control: is cancelled' || die "cancel: no answer"
	ended send "$sender" 10 1 interrupted
	ended receive "$receiver" 10 4
	[[ ! -e control && ! -e copy ]] || die "left: $(ls)"
	nothing_left
}

# A parser that is not ours reads the metrics, and finds the status's figures.
metrics()
{
	local labels

	show hosts_up "$net"
	rate=1M under_way 1000000 --control control "$(image even)"
	ctl pause
	wait_until 10 stands_still
	ctl metrics >metrics.text
	"$root/tests/lib/openmetrics.py" <metrics.text >metrics.json ||
		die "no OpenMetrics: $(<metrics.text)"
	labels='role=\"sender\",transfer_id=\"'$(field status '."transfer-id"')'\"'
	same "remaining" "$(jq ".\"pagetrim_migration_data_remaining_bytes{$labels}\"" \
		metrics.json)" "$(jq .ram.remaining status.json)"
	same "sent" "$(jq ".\"pagetrim_migration_data_processed_bytes{$labels}\"" \
		metrics.json)" "$(jq .ram.transferred status.json)"
	same "frames" "$(jq ".\"pagetrim_migration_frames_total{$labels}\"" \
		metrics.json)" "$(jq .frames status.json)"
	same "paused" "$(jq ".\"pagetrim_migration_paused{$labels}\"" \
		metrics.json)" 1
	same "phase" "$(jq -r 'to_entries[] | select(.value == 1 and
		(.key | test("migration_status\\{"))).key' metrics.json |
		grep -o 'status="[a-z]*"')" 'status="active"'
	ctl cancel
	ended send "$sender" 10 1 interrupted
	ended receive "$receiver" 10 4
}

# asking REQUEST: prints a command that makes the request, and does not wait for
# the answer, which comes to the file answer.
asking()
{
	printf '%s' "python3 -c 'import os, socket;" \
		" s = socket.socket(socket.AF_UNIX); s.connect(\"control\");" \
		" s.sendall(b\"$1\n\"); os.fork() or" \
		" open(\"answer\", \"w\").write(s.makefile().readline())'" \
		" >/dev/null 2>asking.err"
}

# A figure that is not known yet is left out.
unknown()
{
	local -a entry

	show hosts_up "$net"
	mapfile -t entry < <(at phase CONNECT "$(asking status)")
	receive_begin receive --listen "$HOSTS_B4" --out copy
	hosts_exec "$net" a "${entry[@]}" "$pagetrim" send --json \
		"${security[@]}" --dev "$(dev_a)" --to "$HOSTS_B4" \
		--control control "$(image even)" >send.json 2>send.err &
	sender=$!
	wait_until 30 test -s answer
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	same "keys" "$(jq -r 'keys_unsorted | join(" ")' answer)" \
		"role status transfer-id total-time paused ram files-total files-remaining frames frames-lost max-bandwidth compression pid name"
	same "phase" "$(jq -r .status answer)" connect
}

# is_listed: the list has an active process of the name $net.
is_listed()
{
	"$pagetrim" ctl --json >list.json &&
		jq -e ".processes[] | select(.name == \"$net\").status ==
			\"active\"" list.json >/dev/null
}

# listed SEND-OPTION...: a transfer of the name $net is under way; sets pid and socket.
listed()
{
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --max-bandwidth 1M --name "$net" "$@" \
		"$(image even)"
	wait_until 20 is_listed
	pid=$(jq ".processes[] | select(.name == \"$net\").pid" list.json)
	socket=$(jq -r ".processes[] | select(.name == \"$net\").control" list.json)
}

# Without --control a transfer is found by its number and by its name, and leaves
# nothing; one that was killed is not listed, and swept by the next.
by_name()
{
	local pid socket killed

	show hosts_up "$net"
	listed --user nobody
	same "entry" "$socket" "/run/pagetrim/ctl/65534/$pid.sock"
	"$pagetrim" ctl | tee said
	grep -Eqx "$pid +sender +active +$net" said || die "the list: $(<said)"
	grep -Eq "^[0-9]+ +receiver +active +copy\$" said || die "$(<said)"
	show "$pagetrim" ctl "$net" pause | grep -qx "$net: is paused" ||
		die "pause by name: no answer"
	"$pagetrim" ctl "$pid" status --json >status.json
	jq -e ".paused and .pid == $pid and .name == \"$net\"" status.json \
		>/dev/null || die "status by number: $(<status.json)"
	show "$pagetrim" ctl "$net" cancel
	ended send "$sender" 10 1 interrupted
	ended receive "$receiver" 10 4
	[[ ! -e $socket ]] || die "$socket is left"
	! "$pagetrim" ctl "$net" status 2>gone.err || die "finds one that ended"
	one_error gone "no transfer of this user has that name"

	listed --control control
	killed=$socket
	same "link" "$(readlink "$socket")" "$PWD/control"
	"$pagetrim" ctl "$net" status | grep -q '^active' || die "by the link"
	kill -KILL "$pid"
	ended receive "$receiver" 30 4
	! "$pagetrim" ctl "$net" status 2>killed.err || die "finds a killed one"
	[[ -L $killed ]] || die "$killed is gone before the next"

	listed
	[[ ! -L $killed ]] || die "$killed is not swept"
	"$pagetrim" ctl "$net" set max-bandwidth 0
	ended send "$sender" 20 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
}

# Metrics are no JSON.
no_json()
{
	local status=0

	"$pagetrim" ctl metrics --json --control control >out 2>json.err ||
		status=$?
	same "exit" "$status" 2
	grep -q 'metrics are OpenMetrics text' json.err || die "$(<json.err)"
	[[ ! -s out ]] || die "prints $(<out)"
}

# The memory stands still, so there is no downtime to be limited.
refused()
{
	show hosts_up "$net"
	rate=1M under_way 1000000 --control control "$(image even)"
	! "$pagetrim" ctl set downtime-limit 5 --control control 2>limit.err ||
		die "sets a limit of no downtime"
	one_error limit 'nothing that runs is moved'
	ctl cancel
	ended send "$sender" 10 1 interrupted
	ended receive "$receiver" 10 4
}

# crowd: takes every place and more, byte by byte and without a newline, and holds
# on until its input ends.
crowd()
{
	python3 - <<-'END'
		import os, select, socket, sys, time

		peers = []
		end = time.monotonic() + 60
		print("ready", flush=True)
		while not os.path.exists("enough") and time.monotonic() < end:
		    s = socket.socket(socket.AF_UNIX)
		    s.setblocking(False)
		    try:
		        s.connect("control")
		        peers.append(s)
		    except OSError:
		        pass
		    for s in peers[-32:]:
		        try:
		            s.send(b"s")
		        except OSError:
		            pass
		    for s in peers[:-32]:
		        s.close()
		    peers = peers[-32:]
		    time.sleep(0.002)
	END
}

asks() { "$pagetrim" ctl status --control control >/dev/null 2>&1; }

# Peers that say nothing whole, many and slow ones, keep nobody else out.
crowded()
{
	local crowd

	show hosts_up "$net"
	rate=1M under_way 100000 --control control "$(image even)"
	crowd >crowd.said &
	crowd=$!
	wait_until 10 grep -qs ready crowd.said
	for _ in 1 2 3 4 5; do
		wait_until 20 asks
	done
	touch enough
	finish "$crowd" 20
	ctl set max-bandwidth 0
	ended send "$sender" 20 0
	ended receive "$receiver" 10 0
	same_file "$(image even)" copy
	balanced
}

case_run "ctl: nothing goes in a pause, and all after it" paused
case_run "ctl: cancelled" cancelled running
case_run "ctl: cancelled in a pause" cancelled paused
case_run "ctl: metrics" metrics
case_run "ctl: after the end" after_the_end
case_run "ctl: of a receiver" of_a_receiver
case_run "ctl: a figure that is not known is left out" unknown
case_run "ctl: by name and by number" by_name
case_run "ctl: no JSON of metrics" no_json
case_run "ctl: no limit where nothing stops" refused
case_run "ctl: many slow peers on the socket" crowded
cases_end
