#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a: QEMU --unix--> proxy ====frames====> proxy --unix--> QEMU :host b
#
# QEMU's own migration of a guest with private memory goes through two proxies.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/live/lib.sh
source "$root/tests/live/lib.sh"

mover=proxy

# begin SETTINGS [UP-OPTION...]: guest in host a, client.
begin()
{
	live=$dir
	live_options=(--set "$1")
	trap 'code=$?; set +e; live_down; (exit $code); case_end' EXIT
	show hosts_up "$net" --lan "${@:2}"
	cp "$tmp/keys.psk" "$live/psk"
	live_launch start a
	live_client_begin
}

live_ram() { echo private; }

# Where QEMU loses writes of a guest that runs, it stands still.
live_limit=300 rate=2000
if live_loses_writes; then
	live_limit=stopped rate=0
fi

# there_and_back LOSS: per mille of the frames lost.
there_and_back()
{
	local way

	if (($1 > 0)); then
		begin "MIB=64 RATE=$rate BLOCKS=4" --wire
		hosts_wire_start "$net" wire "$wire" --drop "$1"
	else
		begin "MIB=64 RATE=$rate BLOCKS=4"
	fi
	for way in "a b" "b a"; do
		# shellcheck disable=SC2086 # two words
		move $way
		jq -c . "$live/move.json"
		live_is_sound "${way#* }"
		# Zero blocks and headers do not travel.
		jq -e '.wire < .bytes' "$live/move.json"
	done
	live_client_end
	(($1 == 0)) || hosts_wire_stop
}

# killed WHO: the proxy of host a or b is killed in the middle: the guest runs on at
# a, and not at b.
killed()
{
	local victim live_limit=300	# it is to be seen running on

	begin "MIB=64 RATE=0"
	live_launch incoming b
	live_proxies_begin a b --max-bandwidth 4M
	proxied "$live/moved.json" 2>"$live/moved.err" &
	wait_until 60 moves_pages
	victim=$live_proxy_from
	[[ $1 == a ]] || victim=$live_proxy_into
	kill -KILL "$victim"
	finish "$live_proxy_from" 40
	finish "$live_proxy_into" 40
	live_is_sound a 2
	wait_until 30 ended_or_waits
	live_client_end
}

# pauses: the transfer pauses and goes on, again and again.  A page whose batch was
# held meanwhile must not be lost.
pauses()
{
	local migration cnt

	begin "MIB=64 RATE=$rate BLOCKS=4"
	live_launch incoming b
	live_proxies_begin a b --max-bandwidth 16M
	proxied "$live/move.json" 2>"$live/move.err" &
	migration=$!
	wait_until 60 moves_pages
	for ((cnt = 0; cnt < 30; cnt++)); do
		ctl pause || break
		ctl resume || break
	done
	echo "$cnt pauses"
	((cnt > 5))
	finish "$migration" 120
	((status == 0)) || die "exit $status: $(cat "$live/move.err")"
	finish "$live_proxy_from" 40
	((status == 0)) || die "exit $status: $(cat "$live/proxy.from.err")"
	finish "$live_proxy_into" 40
	((status == 0)) || die "exit $status: $(cat "$live/proxy.into.err")"
	live_is_sound b
	live_client_end
}

ctl() { "$pagetrim" ctl "$@" --control "$live/control"; }

# cancelled: QEMU cancels in the middle, by its second monitor: both proxies tell so, the guest runs on, and
# moves through others.
cancelled()
{
	begin "MIB=64 RATE=0"
	live_launch incoming b
	live_proxies_begin a b --max-bandwidth 4M
	live_limit=300 proxied "$live/moved.json" 2>"$live/moved.err" &
	wait_until 60 moves_pages
	"$root/scripts/guest/qmp.py" "$live/a/agent.sock" migrate_cancel
	finish "$live_proxy_from" 40
	same exit "$status" 1
	finish "$live_proxy_into" 40
	same exit "$status" 4
	grep "QEMU ended its migration before" "$live/proxy.from.err"
	grep "sender: .*QEMU ended its migration before" "$live/proxy.into.err"
	live_is_sound a 2
	live_stop b
	move a b
	live_is_sound b
	live_client_end
}

proxied() { live_proxied a b >"$1"; }

# moves_pages: the proxy at b has placed pages.
moves_pages()
{
	ctl status --json 2>/dev/null |
		jq -e '.live.last.round > 3'
}

# ended_or_waits: the guest does not run at b.
ended_or_waits()
{
	local state

	state=$("$root/scripts/guest/qmp.py" "$live/b/qmp.sock" query-status) ||
		return 0
	jq -e '.running == false' <<<"$state"
}

# A machine that executes nothing, so that an emulated CPU in an emulated CPU does
# not matter: its RAM, drawn at random and in part zero, arrives byte for byte.
stands_still()
{
	live=$dir
	trap 'code=$?; set +e; stop_still a; stop_still b; (exit $code); case_end' EXIT
	show hosts_up "$net"
	cp "$tmp/keys.psk" "$live/psk"
	mkdir "$live/a" "$live/b"
	"$here/make_image.py" ram --pages 4096 >/dev/null
	start_still a -device loader,file=ram,addr=0x1000000,force-raw=on
	start_still b -incoming defer
	live_proxies_begin a b
	qmp b migrate-incoming "{\"uri\": \"unix:$live/b/stream.sock\"}"
	qmp a migrate "{\"uri\": \"unix:$live/a/stream.sock\"}"
	finish "$live_proxy_from" 60
	((status == 0)) || die "exit $status: $(cat "$live/proxy.from.err")"
	finish "$live_proxy_into" 10
	((status == 0)) || die "exit $status: $(cat "$live/proxy.into.err")"
	wait_until 10 has_migrated
	save_still a
	save_still b
	cmp a.ram b.ram
	cmp -n 16777216 -i 0x1000000:0 b.ram ram
}

has_migrated() { qmp b query-migrate | jq -e '.status == "completed"'; }

qmp() { "$root/scripts/guest/qmp.py" "$live/$1/qmp.sock" "${@:2}"; }

# start_still HOST ARG...: a QEMU with 64 MiB that does not run.
start_still()
{
	hosts_exec "$net" "$1" qemu-system-x86_64 -S -nodefaults -display none \
		-accel tcg -M q35 -m 64 -qmp \
		"unix:$live/$1/qmp.sock,server=on,wait=off" "${@:2}" \
		2>"$live/$1/err" &
	echo $! >"$live/$1/pid"
	wait_until 30 test -S "$live/$1/qmp.sock"
}

stop_still()
{
	[[ ! -e $live/$1/pid ]] || kill "$(cat "$live/$1/pid")"
}

save_still()
{
	qmp "$1" pmemsave "{\"val\": 0, \"size\": 67108864,
		\"filename\": \"$PWD/$1.ram\"}"
}

case_run "proxy: a machine that stands still" stands_still
case_run "proxy: QEMU's stream, there and back" there_and_back 0
case_run "proxy: the same, 1 % lost" there_and_back 10
case_run "proxy: paused" pauses
case_run "proxy: QEMU cancels" cancelled
case_run "proxy: killed at the source" killed a
case_run "proxy: killed at the destination" killed b
cases_end
