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
	live_launch incoming b
	hosts_exec "$net" b "$pagetrim" receive --json --psk psk --dev "$(dev_b)" \
		--listen "$HOSTS_B4" --qmp b/agent.sock --peer-timeout 3 \
		"${live_receive_args[@]}" >receive.json 2>receive.err &
	receiver=$!
	wait_until 60 live_receive_listens "$receiver"
	hosts_exec "$net" a "$pagetrim" migrate --json --psk psk --dev "$(dev_a)" \
		--to "$HOSTS_B4" --qmp a/agent.sock --control control --peer-timeout 3 \
		"${live_migrate_args[@]}" >migrate.json 2>migrate.err &
	migrator=$!
}

said() { grep -q "\"event\": *\"$1\"" migrate.json; }
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
	same "migrate's exit" "$status" "$1"
	finish "$receiver" 30
	same "receive's exit" "$status" "$2"
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
	python3 -c 'import mmap, sys, time
with open(sys.argv[1], "r+b") as ram:
    memory = mmap.mmap(ram.fileno(), 4096)
print("mapped", flush=True)
time.sleep(100)' "$(live_ram b)" >mapper.said &
	mapper=$!
	wait_until 30 grep -qs mapped mapper.said
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

case_run "postcopy: there and back" there_and_back
case_run "postcopy: a page that is waited for goes first" ahead
case_run "postcopy: a receiver that answers no faults" no_server
case_run "postcopy: memory that another process maps" mapped_twice
cases_end
