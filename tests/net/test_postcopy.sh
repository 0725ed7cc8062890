#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a: QEMU, its guest stops --- the rest of its memory ---> host b: it runs
#                    ^                                                 |
#                    '------------- pages that it waits for -----------'
#
# A guest that writes and checks its memory moves by post-copy.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/net/lib_entry.sh
source "$here/lib_entry.sh"
# shellcheck source=tests/live/lib.sh
source "$root/tests/live/lib.sh"

# begin SETTINGS: the guest in host a.
begin()
{
	live=$dir
	live_options=(--set "$1")
	live_receive_args=(--serve-faults)
	live_migrate_args=(--postcopy --max-bandwidth 30M)
	mover=pagetrim
	trap 'code=$?; set +e; live_down; (exit $code); case_end' EXIT
	show hosts_up "$net" --lan
	cp "$tmp/keys.psk" "$live/psk"
	live_launch start a
}

sent() { jq -r "select(.live) | $1" migrate.json; }
served() { jq -r ".postcopy$1" receive.json; }

# there_and_back: nothing of the guest's memory is wrong, and the client gets each
# answer.
there_and_back()
{
	local way

	begin "MIB=96 RATE=2000"
	live_client_begin
	for way in "a b" "b a"; do
		# shellcheck disable=SC2086 # two words
		move $way
		jq -c 'del(.report)' move.json
		live_is_sound "${way#* }"
		served '' >&2
		same "pages to come" "$(served '."pending-pages"')" 0
		same "handed over" "$(sent '.live.postcopy."handed-over"')" true
		[[ $(sent '.live.postcopy."lacking-pages"') -gt 100 ]] ||
			die "few pages lacked"
		jq -es '[.[].event] | index("switchover") < index("handed-over")' \
			migrate.json
	done
	live_client_end
}

# agents_begin: both agents, and QEMU in host b; the rest comes at 2 MB/s.
agents_begin()
{
	receive_begin
	migrate_begin
}

receive_begin()
{
	[[ -d b ]] || live_launch incoming b
	rm -f receive.err
	hosts_exec "$net" b "$pagetrim" receive --json --psk psk --dev "$(dev_b)" \
		--listen "$HOSTS_B4" --qmp "$monitor" --peer-timeout 3 \
		--control into "${live_receive_args[@]}" >receive.json 2>receive.err &
	receiver=$!
	wait_until 60 live_receive_listens "$receiver"
}

migrate_begin()
{
	rm -f migrate.json
	hosts_exec "$net" a "${entry[@]}" "$pagetrim" migrate --json --psk psk --dev "$(dev_a)" \
		--to "$HOSTS_B4" --qmp a/agent.sock --control control --peer-timeout 3 \
		"${live_migrate_args[@]}" >migrate.json 2>migrate.err &
	migrator=$!
}

monitor=b/agent.sock	# of QEMU in host b, for receive
entry=()	# words to run migrate with, see lib_entry.sh

said() { grep -qs "\"event\": *\"$1\"" migrate.json; }
agents_said() { cat migrate.err receive.err migrate.json receive.json >&2; }

# handed_over: the guest runs in host b, and most of what it lacks is still to come.
handed_over()
{
	wait_until 60 said switchover
	show "$pagetrim" ctl set max-bandwidth "${slow:-2M}" --control control
	wait_until 60 said handed-over
}

agents_end()
{
	finish "$migrator" 120
	agents_said
	[[ $status =~ ^($1)$ ]] || die "migrate's exit: $status, want $1"
	finish "$receiver" 30
	[[ $status =~ ^($2)$ ]] || die "receive's exit: $status, want $2"
}

# ahead: the guest waits for single pages, and not for all that come before them.
ahead()
{
	local p99 fill

	begin "MIB=96 RATE=4000"
	agents_begin
	handed_over
	agents_end 0 0
	live_is_sound b
	[[ $(served .faults) -ge 5 ]] || die "it waited for few pages"
	p99=$(served '."fault-us".p99')
	fill=$(sent '.live.postcopy."fill-time"')
	jq -ne "$fill > 1000 and $p99 / 1000 < $fill / 8" ||
		die "99 % of the faults took up to $p99 us of $fill ms"
	[[ ! -e b/agent.sock.keeper && ! -e b/agent.sock.lock ]] || die "a keeper is left"
}

# refused EXIT WORD: migrate ends so, with one line, and the guest runs on.
refused()
{
	finish "$migrator" 60
	agents_said
	same "migrate's exit" "$status" "$1"
	grep -v '^....-..-..T' migrate.err >fail.err || true
	one_error fail "$2"
	live_is_sound a
	kill "$receiver" 2>/dev/null || true
	finish "$receiver" 30
}

# no_server: the receiver answers no faults.
no_server()
{
	begin "MIB=16 RATE=100"
	live_receive_args=()
	agents_begin
	refused 4 --serve-faults
}

# mapped_twice: another process has the memory mapped, too.
mapped_twice()
{
	live=$dir
	live_options=(--set "MIB=16 RATE=100")
	trap 'code=$?; set +e; live_down; (exit $code); case_end' EXIT
	show hosts_up "$net" --lan
	cp "$tmp/keys.psk" psk
	live_launch incoming b
	mapper=$("$here/mapper.py" "$(live_ram b)")
	hosts_exec "$net" b timeout 30 "$pagetrim" receive --psk psk --dev "$(dev_b)" \
		--listen "$HOSTS_B4" --qmp b/agent.sock --serve-faults 2>all.err &
	finish $! 30
	kill "$mapper"
	cat all.err >&2
	same "receive's exit" "$status" 3
	grep -v '^....-..-..T' all.err >fail.err || true
	one_error fail "$mapper"
	[[ ! -e b/agent.sock.keeper && ! -e b/agent.sock.lock ]] || die "a keeper is left"
}

# mapped_late: another process maps the memory once the receiver answers faults.
mapped_late()
{
	begin "MIB=16 RATE=100"
	mapfile -t entry < <(at step EARLY \
		"'$here/mapper.py' '$(live_ram b)' >mapper.pid")
	agents_begin
	refused 4 "mapped by process"
	kill "$(cat mapper.pid)"
	grep -q "process $(cat mapper.pid) (" fail.err || die "its process is not named"
}

# mapped_at_last: it maps the memory while the guest runs, and touches nothing of it.
mapped_at_last()
{
	local mapper

	begin "MIB=96 RATE=4000"
	agents_begin
	slow=256K
	handed_over
	mapper=$("$here/mapper.py" "$(live_ram b)")
	wait_until 30 grep -q "warning: b/agent.sock: process $mapper (.* has mapped" \
		receive.err
	kill "$mapper"
	show "$pagetrim" ctl set max-bandwidth 30M --control control
	agents_end 0 0
	[[ $(served '."late-mapper"') == "$mapper ("*")" ]] || die "the report has it not"
	same "pages that it filled" "$(served '."foreign-pages"')" 0
	live_is_sound b
}

# unkept: the keeper is killed while the guest runs, which still gets all.
unkept()
{
	begin "MIB=96 RATE=4000"
	agents_begin
	slow=256K
	handed_over
	kill -KILL "$(pgrep -x pt-keeper)"
	wait_until 30 grep -q "warning: b/agent.sock: the keeper of .* has ended" receive.err
	show "$pagetrim" ctl set max-bandwidth 30M --control control
	agents_end 0 0
	live_is_sound b
}

# made_large: a kernel that would fill pages which lack: the oldest that setarch(8) gives
# itself out for.
made_large()
{
	live=$dir
	live_options=(--set "MIB=16 RATE=100")
	trap 'code=$?; set +e; live_down; umount huge; (exit $code); case_end' EXIT
	show hosts_up "$net" --lan
	cp "$tmp/keys.psk" psk
	mkdir huge
	mount -t tmpfs -o huge=always "pt-$net" huge
	live_ram() { echo "$dir/huge/$1"; }
	live_launch incoming b
	hosts_exec "$net" b timeout 30 setarch --uname-2.6 "$pagetrim" receive --psk psk \
		--dev "$(dev_b)" --listen "$HOSTS_B4" --qmp b/agent.sock --serve-faults \
		2>all.err &
	finish $! 30
	cat all.err >&2
	same "receive's exit" "$status" 3
	grep -v '^....-..-..T' all.err >fail.err || true
	one_error fail "without huge="
	[[ ! -e b/agent.sock.keeper && ! -e b/agent.sock.lock ]] || die "a keeper is left"
}

# goes_on: both agents are started again, and the guest gets the rest.
goes_on()
{
	[[ -e b/agent.sock.keeper ]] || die "no keeper is left"
	agents_begin
	agents_end 0 0
	same "pages to come" "$(served '."pending-pages"')" 0
	same "keys of post-copy" "$(served ' | keys | join(" ")')" \
		"fault-us faults foreign-pages lacking-pages pending-pages"
	live_is_sound b 2
	[[ ! -e b/agent.sock.keeper && ! -e b/agent.sock.lock ]] || die "a keeper is left"
}

# broken COMMAND MIGRATE RECEIVE: COMMAND runs once the guest was handed over; the
# agents end so, the guest waits, and goes on.
broken()
{
	begin "MIB=96 RATE=4000"
	agents_begin
	slow=256K
	handed_over
	sleep 1
	"$pagetrim" ctl status --json --control into |
		jq -e '.postcopy | ."pending-pages" > 0 and ."lacking-pages" > 100'
	show eval "$1"
	agents_end "$2" "$3"
	! grep -q "nothing was" receive.err migrate.err || die "a text denies the hand-over"
	goes_on
}

# is_at HOST RUN: the state of QEMU's guest there.
is_at()
{
	"$root/scripts/guest/qmp.py" "$1/qmp.sock" query-status | grep -q "\"$2\""
}

# not_continued SIGNAL RECEIVE: the receiver gets SIGNAL, and ends so, when the guest may
# run, and QEMU was not told to run it: nor does its source, and the same commands do.
not_continued()
{
	begin "MIB=48 RATE=2000"
	live_launch incoming b
	touch hold
	"$here/qmp_keep.py" held.sock b/agent.sock hold >holder.said &
	holder=$!
	wait_until 10 grep -qs ready holder.said
	monitor=held.sock
	live_receive_args+=(--pid "$(cat b/qemu.pid)")
	agents_begin
	wait_until 60 test -e hold.kept
	show kill "-$1" "$receiver"
	agents_end 6 "$2"
	[[ -e held.sock.keeper ]] || die "no keeper is left"
	is_at b paused || die "the guest was run"
	is_at a postmigrate || die "the guest runs on, and may run there"
	rm hold
	agents_begin
	agents_end 0 0
	grep -q "was not told to run yet, and runs now" receive.err ||
		die "nobody says that it was run"
	live_is_sound b
	[[ ! -e held.sock.keeper && ! -e held.sock.lock ]] || die "a keeper is left"
	kill "$holder"
}

sends_rest()
{
	"$pagetrim" ctl status --json --control control 2>/dev/null |
		jq -e '.live.step == "fill" and .ram.normal > 50'
}

# twice: each agent dies once.
twice()
{
	begin "MIB=96 RATE=4000"
	agents_begin
	slow=256K
	handed_over
	kill -KILL "$migrator"
	agents_end 137 4
	live_migrate_args=(--postcopy --max-bandwidth 256K)
	agents_begin
	wait_until 60 sends_rest
	sleep 1
	kill -KILL "$receiver"
	agents_end 4 137
	live_migrate_args=(--postcopy)
	goes_on
}

# stranger_before: another transfer comes where the rest of a guest is waited for.
stranger_before()
{
	begin "MIB=48 RATE=2000"
	agents_begin
	slow=256K
	handed_over
	kill -KILL "$migrator"
	agents_end 137 4
	receive_begin
	head -c 1M /dev/urandom >other
	hosts_exec "$net" a "$pagetrim" send --psk psk --dev "$(dev_a)" --to "$HOSTS_B4" \
		other 2>other.err &
	finish $! 60
	cat other.err >&2
	same "send's exit" "$status" 4
	wait_until 10 grep -q "turned away: the guest here runs" receive.err
	kill -0 "$receiver" || die "the receiver has ended"
	migrate_begin
	agents_end 0 0
	live_is_sound b 2
}

# dies_at KIND SYMBOL COMMAND MIGRATE RECEIVE: COMMAND runs when migrate is there.
dies_at()
{
	begin "MIB=48 RATE=2000"
	rm -f receiver.pid
	mapfile -t entry < <(at "$1" "$2" "$3")
	[[ ${#entry[@]} -eq 4 ]] || exit 1
	agents_begin
	echo "$receiver" >receiver.pid
	agents_end "$4" "$5"
	entry=()
}

# before KIND SYMBOL...: the guest runs on here, and never did there, where nothing waits
# for it any more: a QEMU that is started anew takes it.
before()
{
	dies_at "$@"
	wait_until 60 live_is_sound a
	live_stop b
	wait_until 10 test ! -e b/agent.sock.keeper
	agents_begin
	agents_end 0 0
	live_is_sound b
}

# behind KIND SYMBOL...: it runs there, and goes on.
behind()
{
	dies_at "$@"
	! grep -q "nothing was" receive.err migrate.err || die "a text denies the hand-over"
	goes_on
}

# alone: all pages have come, and the receiver needs no sender to end the keeper.
alone()
{
	dies_at "$@"
	[[ -e b/agent.sock.keeper ]] || die "no keeper is left"
	receive_begin
	finish "$receiver" 30
	cat receive.err >&2
	same "receive's exit" "$status" 0
	live_is_sound b 2
	[[ ! -e b/agent.sock.keeper && ! -e b/agent.sock.lock ]] || die "a keeper is left"
}

# shellcheck disable=SC2016 # run later
{
	kills_itself='kill -KILL $TARGET'
	stops_itself='kill -TERM $TARGET'
	kills_receiver='until kill -KILL $(cat receiver.pid); do sleep 0.1; done'
	kills_handing="until grep -qs handed into.last; do sleep 0.1; done; $kills_receiver"
	cuts_connection='ss -Kt dport = :16644 >cut; test -s cut'

	cut_link='ip -n $(hosts_netns "$net" a) link set $(dev_a) down; sleep 4;
		ip -n $(hosts_netns "$net" a) link set $(dev_a) up'
	kill_receiver='kill -KILL $receiver'
	kill_migrator='kill -KILL $migrator'
	stop_receiver='kill -TERM $receiver'
}
case_run "postcopy: there and back" there_and_back
case_run "postcopy: a page that is waited for goes first" ahead
case_run "postcopy: a receiver that answers no faults" no_server
case_run "postcopy: memory that another process maps" mapped_twice
case_run "postcopy: a kernel that fills the pages which lack" made_large
case_run "postcopy: another process maps the memory before the guest runs" mapped_late
case_run "postcopy: another process maps the memory of the guest that runs" mapped_at_last
case_run "postcopy: the keeper is killed" unkept
case_run "postcopy: the receiver is killed" broken "$kill_receiver" 4 137
case_run "postcopy: the sender is killed" broken "$kill_migrator" 137 4
case_run "postcopy: the link is cut" broken "$cut_link" 4 4
case_run "postcopy: the receiver is told to end" broken "$stop_receiver" 4 1
for step in LACK EARLY; do
	case_run "postcopy: the sender is killed at step $step" \
		before step "$step" "$kills_itself" 137 4
	case_run "postcopy: the receiver is killed at step $step" \
		before step "$step" "$kills_receiver" 4 137
done
for step in RUN FILL; do
	case_run "postcopy: the sender is killed at step $step" \
		behind step "$step" "$kills_itself" 137 '4|6'
done
case_run "postcopy: the sender is told to end at step RUN" \
	behind step RUN "$stops_itself" '1|6' '1|4|6'
for phase in VERIFY COMMIT; do
	case_run "postcopy: the sender is killed at phase $phase" \
		behind phase "$phase" "$kills_itself" 137 4
	case_run "postcopy: the receiver is killed at phase $phase" \
		behind phase "$phase" "$kills_receiver" '4|6' 137
done
case_run "postcopy: the receiver is killed at step RUN" \
	behind step RUN "$kills_handing" '4|6' 137
case_run "postcopy: the connection breaks before COMMIT is written" \
	behind phase COMMIT "$cuts_connection" 4 4
case_run "postcopy: both agents have ended when the last page has come" \
	alone phase COMMIT "$kills_receiver" '4|6' 137
case_run "postcopy: another transfer comes before the rest" stranger_before
case_run "postcopy: the receiver is killed before QEMU is told to run" not_continued KILL 137
case_run "postcopy: the receiver is told to end before QEMU is told to run" \
	not_continued TERM '1|6'
case_run "postcopy: one dies, and then the other" twice
cases_end
