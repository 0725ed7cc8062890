#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                               host b
#   QEMU a --- pagetrim migrate =========== pagetrim receive --- QEMU b
#      \                                                          /
#       `------------------- pair.py asks both ------------------'
#
# A guest moves, and on entering each step, phase and state one of the four
# processes dies, the link is cut, or the move is interrupted.  The steps, phases
# and states are read from the headers (PT_SEND_LIVE_STEPS, PT_SEND_PHASES,
# PT_RX_STATES): one that has no row here fails.  Each time: never both guests
# run; one runs, or can be continued; it counts, and its memory is that of one
# moment; the agents end, with the right exit code and one line; no process, no
# program, no tracer is left.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/net/lib_entry.sh
source "$here/lib_entry.sh"

# A row: migrate's exit code, receive's, and the states of the guests at a and b,
# as extended regular expressions.
# A guest at b that has begun to arrive is gone when its stream ends, or stays
# paused if it was loaded.
paused='postmigrate|paused'
# shellcheck disable=SC2034 # the rows are used by name
declare -A step_rows=(		# migrate is killed
	[NONE]="never"		# the step before all
	[ARM]="137 4 running inmigrate"
	[ROUND]="137 4 running inmigrate"
	[LOOK]="137 4 running inmigrate"
	[BEGIN]="137 4 running inmigrate"
	[STOP]="137 4 running inmigrate"
	[LAST]="137 4 running inmigrate|gone"
	[HAND_OVER]="137 4 running inmigrate|gone"
	[LACK]="never"		# from here on: with --postcopy, see test_postcopy.sh
	[EARLY]="never"
	[RUN]="never"
	[FILL]="never"
)
# shellcheck disable=SC2034
declare -A phase_rows=(		# migrate is killed
	[VERIFY]="137 4 running inmigrate|gone"
	[COMMIT]="137 4 running $paused"	# not sent yet
	[DONE]="137 0 $paused running"		# COMMITTED has come
)
# shellcheck disable=SC2034
declare -A state_rows=(		# receive is killed
	[OFFERED]="4 137 running inmigrate"
	[OPENING]="4 137 running inmigrate"
	[DATA]="4 137 running inmigrate"
	[VERIFYING]="4 137 running inmigrate|gone"
	[VERIFIED]="4 137 running inmigrate|gone"
	[COMMITTING]="6 137 $paused $paused"
	[DONE]="6 137 $paused running"		# COMMITTED was not sent
	[ENDED]="0 137 $paused running"		# the sender has sent BYE
)

# ---- guests -----------------------------------------------------------------

firmware=$tmp/counter.bin
as --32 -o "$tmp/counter.o" "$root/tests/live/counter.S"
ld -m elf_i386 -Ttext 0 --oformat binary -o "$firmware" "$tmp/counter.o"

# qemu_begin HOST [ARG...]: its process is in qemu.HOST.pid.  Most of its memory
# does not change; the source's is there before it.
qemu_begin()
{
	local ram=/dev/shm/pagetrim-$net-$1 host=$1

	shift
	litter+=("$ram")
	truncate -s 8M "$ram"
	[[ $host == b ]] || dd if=/dev/urandom of="$ram" bs=1M seek=1 count=4 \
		conv=notrunc status=none
	ln -s "$ram" "ram.$host"
	qemu-system-x86_64 -accel tcg -M q35 -cpu max -m 8 \
		-object "memory-backend-file,id=ram,mem-path=$ram,size=8M,share=on" \
		-machine memory-backend=ram -nodefaults -no-user-config \
		-display none -bios "$firmware" \
		-qmp "unix:$PWD/agent.$host,server=on,wait=off" \
		-qmp "unix:$PWD/watch.$host,server=on,wait=off" "$@" \
		2>"qemu.$host.said" &
	echo $! >"qemu.$host.pid"
}

guests_begin()
{
	qemu_begin a
	[[ -z ${cgroup-} ]] || cat qemu.a.pid >"$cgroup/cgroup.procs"
	qemu_begin b -incoming defer
	mkfifo over
	"$root/tests/live/pair.py" watch.a ram.a watch.b ram.b \
		<over >pair.json 2>pair.said &
	watcher=$!
	exec {over}>over
}

pair_is_ready()
{
	! is_gone "$watcher" || die "pair.py ended: $(cat pair.said)"
	grep -qs ready pair.json
}

# guests_end A B: see the rows.
guests_end()
{
	eval "exec $over>&-"
	finish "$watcher" 60
	[[ $status -eq 0 ]] || die "$(cat pair.said pair.json)"
	sed -i 1d pair.json
	cat pair.json >&2
	same "both ran" "$(jq .both pair.json)" false
	[[ $(field pair .a) =~ ^($1)$ ]] || die "a: $(field pair .a), want $1"
	[[ $(field pair .b) =~ ^($2)$ ]] || die "b: $(field pair .b), want $2"
}

# ---- moves ------------------------------------------------------------------

migrate_options=()

# move AGENT KIND SYMBOL COMMAND: a move in which AGENT runs COMMAND at an entry.
move()
{
	local whole=$pagetrim
	local -a entry migrate=() receive=()

	guests_begin
	show hosts_up "$net"
	wait_until 60 pair_is_ready
	mapfile -t entry < <(at "${@:2}")
	[[ ${#entry[@]} -eq 4 ]] || exit 1
	if [[ $1 == receive ]]; then
		receive=("${entry[@]}")
	else
		migrate=("${entry[@]}")
	fi
	hosts_exec "$net" b "${receive[@]}" "$whole" receive --json \
		"${security[@]}" --dev "$(dev_b)" --listen "$HOSTS_B4" \
		--qmp agent.b --peer-timeout 2 --control into \
		>receive.json 2>receive.err &
	receiver=$!
	wait_until 60 receive_is_ready receive
	hosts_exec "$net" a "${migrate[@]}" "$whole" migrate --json \
		"${security[@]}" --dev "$(dev_a)" --to "$HOSTS_B4" \
		--qmp agent.a --peer-timeout 2 --control control \
		"${migrate_options[@]}" >migrate.json 2>migrate.err &
	migrator=$!
	echo "$migrator" >migrator
}

# agent_ends RUN PID EXIT: one that was killed says nothing, nor need the other's
# last word have come.
agent_ends()
{
	case $3 in
	137)
		finish "$2" 30
		same "exit of $1" "$status" 137
		;;
	*)
		finish "$2" 30
		[[ $status =~ ^($3)$ ]] ||
			die "$1: exit $status, want $3: $(cat "$1.err")"
		((status == 0)) || one_error "$1" ''
		;;
	esac
}

# comes_to MIGRATE RECEIVE A B: see the rows.
comes_to()
{
	agent_ends migrate "$migrator" "$1"
	migrated=$status
	[[ -e entered ]] || die "never there"
	agent_ends receive "$receiver" "$2"
	received=$status
	wait_until 30 all_ended
	guests_end "$3" "$4"
	record_tells "$migrated"
	record_there_tells "$received"
	nothing_attached
}

# record_tells EXIT: after the end of migrate, pagetrim ctl at host a knows as much
# of the guest as is true.  One that was killed before the hand-over left nothing.
record_tells()
{
	local result=none guest=

	if "$pagetrim" ctl status --json --control control >record.json; then
		result=$(field record .result)
		guest=$(field record .guest)
	fi
	echo "record: $result, guest: $guest" >&2
	case $1 in
	0)	[[ $result == completed && $guest == *"do not continue it here"* ]] &&
			"$pagetrim" ctl metrics --control control >metrics.text &&
			grep -q "^pagetrim_migration_last_downtime_duration_seconds{" \
				metrics.text ;;
	6)	[[ $result == unknown && $guest == *"only if it does not run there"* ]] ;;
	137)	[[ $result == unknown && $guest == *"only if it does not run there"* ]] ||
			[[ $result == none && $(field pair .a) == running ]] ;;
	*)	[[ $result == failed && $guest == *"never ran at the receiver"* ]] ;;
	esac || die "exit $1: the record tells '$result', '$guest'"
}

# all_ended: the guard, too; and nothing is left of them in QEMU.
all_ended()
{
	local pid

	[[ -z $(hosts_pids "$net") ]] || return 1
	while read -r pid; do
		! grep -qs '^TracerPid:[[:space:]]*[1-9]' "/proc/$pid/status" ||
			return 1
		[[ $(ls -l "/proc/$pid/fd" 2>/dev/null) != *userfaultfd* ]] ||
			return 1
	done < <(cat qemu.a.pid qemu.b.pid)
}

# record_there_tells EXIT: the same of receive, at host b.  One that was killed
# before it let the guest run left nothing.
record_there_tells()
{
	local result=none guest=

	if "$pagetrim" ctl status --json --control into >there.json; then
		result=$(field there .result)
		guest=$(field there .guest)
	fi
	echo "record at b: $result, guest: $guest" >&2
	case $1 in
	0)	[[ $result == completed && $guest == "runs here: "* ]] ;;
	6)	[[ $result == unknown && $guest == *"may run in QEMU"* ]] ;;
	137)	[[ $result == unknown && $guest == *"may run in QEMU"* ]] ||
			[[ $result == completed && $guest == "runs here: "* ]] ||
			[[ $result == none && $(field pair .b) != running ]] ;;
	*)	[[ $result == failed && $guest == *QEMU* ]] ;;
	esac || die "exit $1: the record at b tells '$result', '$guest'"
}

# dies AGENT KIND SYMBOL ROW...: it is killed there.
dies()
{
	# shellcheck disable=SC2016 # at_entry's
	move "$1" "$2" "$3" 'kill -KILL $TARGET'
	comes_to "${@:4}"
}

for_list()
{
	local kind=$1 agent=$2 symbol row
	local -n rows=${kind}_rows

	for symbol in $(symbols "${list_of[$kind]}"); do
		row=${rows[$symbol]-}
		[[ $row && $row != never ]] || continue
		# shellcheck disable=SC2086 # words
		case_run "live death: $agent killed at $kind $symbol" \
			dies "$agent" "$kind" "$symbol" $row
	done
}

# happens COMMAND AGENT KIND SYMBOL ROW...: COMMAND runs when AGENT is there.
happens()
{
	move "$2" "$3" "$4" "$1"
	comes_to "${@:5}"
}

# qemu_dies HOST AGENT KIND SYMBOL ROW...
qemu_dies()
{
	happens "kill -KILL \$(cat qemu.$1.pid)" "${@:2}"
}

# link_cut AGENT KIND SYMBOL ROW...
link_cut()
{
	happens "ip -n $(hosts_netns "$net" a) link set $(dev_a) down" "$@"
}

# cut_connection: prints the command that ends it at once, for both ends.
cut_connection()
{
	echo "ip netns exec $(hosts_netns "$net" a) ss -HKt dport = 16644" \
		"| grep -q ."
}

# interrupted KIND SYMBOL ROW...
# shellcheck disable=SC2016 # at_entry's
interrupted() { happens 'kill -TERM $TARGET' migrate "$@"; }

# request: writes a request to the control socket, and does not wait.
request()
{
	printf '%s' "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX);" \
		" s.connect(\"control\"); s.sendall(b\"$1\\n\")'"
}

# cancelled KIND SYMBOL ROW...: by pagetrim ctl cancel.
cancelled() { happens "$(request cancel)" migrate "$@"; }

status_has()
{
	"$pagetrim" ctl status --json --control control >status.json &&
		jq -e "$1" status.json >/dev/null
}

# is_paused STEP: the guest runs and is not stopped, although the first look would
# allow it, until the move goes on.
is_paused()
{
	local rounds migrate_options=(--max-rounds 1 --downtime-limit 5000)

	move migrate step "$1" "$(request pause)"
	wait_until 30 status_has '.paused and (.live.step == "round" or
		.live.step == "look")'
	rounds=$(field status .live.rounds)
	sleep 4
	status_has ".paused and .live.rounds == $rounds and .live.downtime == null" ||
		die "goes on in a pause: $(<status.json)"
	show "$pagetrim" ctl set downtime-limit 200 --control control
	status_has '."downtime-limit" == 200' || die "limit: $(<status.json)"
	show "$pagetrim" ctl resume --control control
	comes_to 0 0 "$paused" running
}

# cgroup_begin: makes $cgroup; its limit is in $cgroup/$limit_file.
cgroup_begin()
{
	local base=/sys/fs/cgroup/cpu

	limit_file=cpu.cfs_quota_us limit=250000
	if [[ ! -d $base ]]; then
		base=/sys/fs/cgroup limit_file=cpu.max limit="250000 100000"
		echo +cpu >"$base/cgroup.subtree_control"
	fi
	cgroup=$base/pagetrim-$net
	mkdir "$cgroup"
}

# is_throttled: status shows it, and the guest's cgroup has a limit.
is_throttled()
{
	status_has '."cpu-throttle-percentage" >= 20' &&
		[[ $(<"$cgroup/$limit_file") != "$limit" ]]
}

# throttled STEP COMMAND MIGRATE RECEIVE A B: COMMAND runs while the guest is
# throttled, since digest reads all of its memory at the stop, for longer than 1 ms.
# Then nothing limits it any more, nor did it on entering STEP.
throttled()
{
	local migrate_options=(--max-bandwidth 2M --downtime-limit 1
			       --on-no-converge throttle --max-rounds 10000
			       --tracker digest)
	local cgroup limit_file limit qemu

	cgroup_begin
	echo "$limit" >"$cgroup/$limit_file"
	move migrate step "$1" \
		"echo \$TARGET >target; cat $cgroup/$limit_file >limit"
	wait_until 60 is_throttled
	"$2"
	wait_until 60 cgroup_is_as_before
	comes_to "${@:3}"
	same "limit at step $1" "$(<limit)" "$limit"
	qemu=$(<qemu.a.pid)
	kill "$qemu" 2>/dev/null || true
	wait_until 30 rmdir "$cgroup"
}

kill_it() { kill -KILL "$(<target)"; }
cancel_it() { "$pagetrim" ctl cancel --control control; }
allow_it() { "$pagetrim" ctl set downtime-limit 3000 --control control; }

# pause_it: the guest runs freely in a pause, and is throttled again after it.
pause_it()
{
	show "$pagetrim" ctl pause --control control
	wait_until 10 cgroup_is_as_before
	status_has '.paused and ."cpu-throttle-percentage" == null' ||
		die "throttled in a pause: $(<status.json)"
	show "$pagetrim" ctl resume --control control
	wait_until 30 is_throttled
	allow_it
}

cgroup_is_as_before() { [[ $(<"$cgroup/$limit_file") == "$limit" ]]; }

# paced: the first round takes its time, up to half of that which there is.
paced()
{
	local migrate_options=(--deadline 10)

	happens true migrate step ROUND 0 0 "$paused" running
	jq -se 'map(select(.event == "round"))[0].time > 1000' migrate.json \
		>/dev/null || die "not paced: $(<migrate.json)"
}

# late HOW MIGRATE RECEIVE A B: a guest that does not converge at the deadline.
late()
{
	local migrate_options=(--max-bandwidth 2M --downtime-limit 1 --deadline 8
			       --on-no-converge "$1" --max-rounds 1
			       --tracker digest)

	happens true migrate step ROUND "${@:2}"
	[[ $(jq -s 'map(select(.event == "round")) | length' migrate.json) -gt 1 ]] ||
		die "the rounds counted: $(<migrate.json)"
}

too_late()
{
	late cancel 1 4 running "$begun"
	one_error migrate 'cannot end within 8 s'
}

# not_alone: a cgroup with another process in it is refused by name, and unchanged.
not_alone()
{
	local migrate_options=(--on-no-converge throttle)
	local cgroup limit_file limit other

	cgroup_begin
	limit=$(<"$cgroup/$limit_file")
	sleep 600 &
	other=$!
	echo "$other" >"$cgroup/cgroup.procs"
	move migrate step ARM true
	agent_ends migrate "$migrator" 3
	one_error migrate "process $other"
	same "limit" "$(<"$cgroup/$limit_file")" "$limit"
	kill "$other" "$(<qemu.a.pid)"
	wait_until 30 rmdir "$cgroup"
}

# events: one a line, in their order, and they can be drawn.
events()
{
	happens true migrate step ROUND 0 0 "$paused" running
	same "lines that are no object" \
		"$(grep -vc '^{.*}$' migrate.json || true)" 0
	same "events" "$(jq -r .event migrate.json | uniq | tr '\n' ' ')" \
		"started round stop switchover finished "
	jq -se 'map(.at // empty) | . == sort' migrate.json >/dev/null ||
		die "times go back: $(jq -c .at migrate.json)"
	jq -se '.[-1] | .status == "completed" and .live.downtime > 0' \
		migrate.json >/dev/null || die "the last: $(tail -n 1 migrate.json)"
	jq -se 'map(select(.event == "round")) | length > 0 and
		all(.pages > 0 and .transferred > 0 and
		(.converging | type) == "boolean")' migrate.json >/dev/null ||
		die "a round: $(<migrate.json)"
	show "$pagetrim" report migrate.json --out run.html
	same "charts" "$(grep -c '^<svg' run.html)" 5
	! "$pagetrim" report run.html 2>report.err || die "draws what is no run"
	one_error report 'no JSON'
}

# each_has_a_row KIND FROM: the rows are the symbols of the list from FROM on.
each_has_a_row()
{
	local -n rows=${1}_rows

	[[ $(symbols "${list_of[$1]}" | wc -l) -gt 5 ]] ||
		die "cannot read the list"
	same "entries and rows" \
		"$(symbols "${list_of[$1]}" | sed -n "/^$2\$/,\$p" | sort)" \
		"$(printf '%s\n' "${!rows[@]}" | sort)"
}

case_run "live death: each step has a row" each_has_a_row step NONE
case_run "live death: each phase from verify on has a row" \
	each_has_a_row phase VERIFY
case_run "live death: each state has a row" each_has_a_row state OFFERED
for_list step migrate
for_list phase migrate
for_list state receive

begun='inmigrate|gone'
for step in ARM ROUND; do
	case_run "live death: QEMU a killed at step $step" qemu_dies a \
		migrate step $step 3 4 gone "$begun"
done
for step in ARM ROUND; do
	case_run "live death: QEMU b killed at step $step" qemu_dies b \
		migrate step $step 4 3 running gone
done
# The stream of the device state joins both QEMUs, so the other one ends, or
# fails, too, and either may be reported first.
for step in STOP LAST HAND_OVER; do
	case_run "live death: QEMU a killed at step $step" qemu_dies a \
		migrate step $step "3|4" "3|4" gone "$begun"
	case_run "live death: QEMU b killed at step $step" qemu_dies b \
		migrate step $step "3|4" "3|4" running gone
done
case_run "live death: QEMU b killed when the sender commits" qemu_dies b \
	migrate phase COMMIT 4 3 running gone
case_run "live death: QEMU b killed when the receiver commits" qemu_dies b \
	receive state COMMITTING 4 3 running gone
for step in ROUND LAST HAND_OVER; do
	case_run "live death: link cut at step $step" link_cut \
		migrate step $step 4 4 running "$begun"
done
case_run "live death: link cut when the sender commits" link_cut \
	migrate phase COMMIT 6 4 "$paused" "$paused"
case_run "live death: link cut when the receiver commits" link_cut \
	receive state COMMITTING 6 0 "$paused" running
case_run "live death: connection cut when the sender commits" happens \
	"$(cut_connection)" migrate phase COMMIT 4 4 running "$paused"
case_run "live death: connection cut when the receiver commits" happens \
	"$(cut_connection)" receive state COMMITTING 0 0 "$paused" running
# shellcheck disable=SC2016 # at_entry's
case_run "live death: connection cut, and QEMU b killed, when the receiver commits" \
	happens "$(cut_connection); kill -KILL \$(cat qemu.b.pid)" \
	receive state COMMITTING 4 3 running gone
for step in ROUND HAND_OVER; do
	case_run "live death: interrupted at step $step" interrupted \
		step $step 1 4 running "$begun"
done
case_run "live death: interrupted when the sender commits" interrupted \
	phase COMMIT "0|6" 0 "$paused" running
# shellcheck disable=SC2016 # at_entry's
case_run "live death: migrate killed when the receiver commits" happens \
	'kill -KILL $(cat migrator)' receive state COMMITTING \
	137 0 "$paused" running
case_run "live death: events of a move that succeeds" events
for step in ARM ROUND LOOK BEGIN STOP LAST HAND_OVER; do
	case_run "live death: cancelled at step $step" cancelled \
		step $step 1 4 running "$begun"
done
case_run "live death: cancelled when the sender verifies" cancelled \
	phase VERIFY 1 4 running "$begun"
case_run "live death: cancelled too late, when the sender commits" cancelled \
	phase COMMIT 0 0 "$paused" running
for step in ROUND LOOK; do
	case_run "live death: paused at step $step" is_paused $step
done
case_run "live death: migrate killed while it throttles the guest" throttled \
	ROUND kill_it 137 4 running inmigrate
case_run "live death: cancelled while it throttles the guest" throttled \
	ROUND cancel_it 1 4 running "$begun"
case_run "live death: converges while it throttles the guest" throttled \
	STOP allow_it 0 0 "$paused" running
case_run "live death: paused while it throttles the guest" throttled \
	STOP pause_it 0 0 "$paused" running
case_run "live death: a cgroup that is not the guest's alone is not throttled" \
	not_alone
case_run "live death: a deadline far away paces the first round" paced
case_run "live death: no stop fits at the deadline" too_late
case_run "live death: no stop fits at the deadline, stopped" \
	late stop 0 0 "$paused" running
case_run "live death: too late to pause, when the guest stops" happens \
	"$(request pause)" migrate step STOP 0 0 "$paused" running
cases_end
