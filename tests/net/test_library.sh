#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                          host b
#   send-my-memory -- ptNAMEa ============ ptNAMEb -- receive-into-my-memory
#
# Programs that are built only against the files of `make install`: the
# examples, and tests/lib/embedder.c.  migrate-myself counts its turns, so that
# it knows what its memory has to be, and compares it wherever it runs in the end.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/net/lib_entry.sh
source "$here/lib_entry.sh"

key=$tmp/keys.psk
installed=$tmp/installed
export LD_LIBRARY_PATH=$installed/usr/lib

# built PROGRAM SOURCE [FLAG...]: builds it by pkg-config, with the static library
# if is_static is set.
built()
{
	local program=$1 source=$2 flags

	shift 2
	[[ -d $installed ]] || make -C "$root" --no-print-directory \
		B="${build#"$root/"}" DESTDIR="$installed" PREFIX=/usr install >&2
	flags=$(PKG_CONFIG_PATH=$installed/usr/lib/pkgconfig \
		PKG_CONFIG_SYSROOT_DIR=$installed \
		pkg-config --cflags --libs ${is_static:+--static} libpagetrim)
	mkdir -p "$tmp/static"
	cp "$installed/usr/lib/libpagetrim.a" "$tmp/static"
	# shellcheck disable=SC2086 # flags are words
	(cd "$tmp" && show cc -O2 -Wall -Wextra -Werror -o "$program" \
		"$source" "$@" ${is_static:+-Lstatic} $flags)
}

# is_ready PID FILE
is_ready()
{
	! is_gone "$1" || die "ended: $(cat ./*.err)"
	grep -qsx ready "$2"
}

# examples: the memory of one program becomes that of another.
examples()
{
	built receiver "$root/examples/receive-into-my-memory.c"
	built sender "$root/examples/send-my-memory.c"
	show hosts_up "$net"
	head -c 12M "$(image even)" >memory	# and 4 MiB of zeroes
	truncate -s 16M memory
	hosts_exec "$net" b "$tmp/receiver" "$(dev_b)" "$HOSTS_B4:4711" "$key" \
		>copy 2>receive.err &
	receiver=$!
	wait_until 20 is_ready "$receiver" receive.err
	hosts_exec "$net" a "$tmp/sender" "$(dev_a)" "$HOSTS_B4:4711" "$key" \
		<memory >send.out 2>send.err &
	sender=$!
	finish "$sender" 60
	same "exit of the sender" "$status" 0
	finish "$receiver" 20
	same "exit of the receiver" "$status" 0
	same_file memory copy
	grep -q '^sent 16777216 bytes' send.out || die "$(cat send.out)"
	same "the sender's errors" "$(cat send.err)" ''
	nothing_left
}

embedder_built()
{
	built embedder "$root/tests/lib/embedder.c" "-I$root/tests/unit" -lbpf -pthread
}

# embedded SUFFIX: see embedder.c; to both commands.
embedded()
{
	embedder_built
	show hosts_up "$net"
	hosts_exec "$net" b "$tmp/embedder" "receive$1" "$(dev_b)" "$HOSTS_B4" \
		"$key" copy >receive.out 2>receive.err &
	receiver=$!
	wait_until 20 is_ready "$receiver" receive.out
	hosts_exec "$net" a "$tmp/embedder" "send$1" "$(dev_a)" "$HOSTS_B4" "$key" \
		"$(image even)" >send.out 2>send.err &
	sender=$!
	finish "$sender" 60
	same "exit of the sender" "$status" 0
	finish "$receiver" 20
	same "exit of the receiver" "$status" 0
	same_file "$(image even)" copy
	same "what both print" "$(cat send.out send.err receive.out receive.err)" \
		ready
	nothing_left
}

# myself MIB_A MIB_B RATE: a program on a moves to b, begun.  before_a and before_b
# have words to run it with.
before_a=() before_b=() verb=move
myself()
{
	built myself "$root/examples/migrate-myself.c" -pthread
	hosts_exec "$net" b "${before_b[@]}" "$tmp/myself" wait "$(dev_b)" "$HOSTS_B4:4711" \
		"$key" "$2" >receive.out 2>receive.err &
	receiver=$!
	wait_until 20 is_ready "$receiver" receive.err
	hosts_exec "$net" a "${before_a[@]}" "$tmp/myself" "$verb" "$(dev_a)" \
		"$HOSTS_B4:4711" "$key" "$1" "$3" >send.out 2>send.err &
	sender=$!
}

# ran_on FILE: the program ran there in the end, with its memory right.
ran_on()
{
	cat "$1" >&2
	grep -q '^ran from turn .* all pages are right$' "$1" ||
		die "it did not run"
}

# moved: it runs at b, where it was at a.
moved()
{
	finish "$sender" 90
	cat send.out send.err >&2
	same "exit of the sender" "$status" 0
	finish "$receiver" 60
	cat receive.err >&2
	same "exit of the receiver" "$status" 0
	ran_on receive.out
	! grep -qE '^(ran|resumed)' send.out || die "it ran on both hosts"
	left=$(sed -nE 's/^moved away at turn ([0-9]+),.*/\1/p' send.out)
	arrived=$(sed -nE 's/^ran from turn ([0-9]+) .*/\1/p' receive.out)
	[[ $left -gt 0 && $arrived -ge $left ]] ||
		die "it left at turn $left, and arrived at $arrived"
}

# stayed CAUSE: it runs on at a.
stayed()
{
	finish "$sender" 90
	same "exit of the sender" "$status" 5
	ran_on send.out
	grep -qE "$1" send.err || die "$(cat send.err)"
	! grep -q '^ran' receive.out || die "it ran on both hosts"
}

myself_moves()
{
	show hosts_up "$net" --mtu 9000
	myself 64 64 0
	moved
	nothing_left
}

# It tells which pages it wrote (tests/unit/test_live_told.c: those are what a look
# finds).
myself_tells()
{
	local verb=tell

	show hosts_up "$net" --mtu 9000
	myself 64 64 0
	moved
	grep -q '^told of [1-9][0-9]* pages' send.out || die "it was not asked"
	nothing_left
}

# into SINK METHOD: see embedder.c; to memory that is not the receiver's own.
into()
{
	embedder_built
	show hosts_up "$net"
	hosts_exec "$net" b "$tmp/embedder" "receive-$1" "$(dev_b)" "$HOSTS_B4" \
		"$key" copy >receive.out 2>receive.err &
	receiver=$!
	wait_until 20 is_ready "$receiver" receive.out
	hosts_exec "$net" a "$tmp/embedder" "send-$2" "$(dev_a)" "$HOSTS_B4" "$key" \
		"$(image even)" >send.out 2>send.err &
	sender=$!
	finish "$sender" 60
	cat send.err receive.err >&2
	same "exit of the sender" "$status" 0
	finish "$receiver" 20
	same "exit of the receiver" "$status" 0
	same_file "$(image even)" copy
	nothing_left
}

myself_moves_with_loss()
{
	show hosts_up "$net" --wire --mtu 9000
	show hosts_wire_start "$net" wire "$wire" --drop 10 --repeat 5
	myself 64 64 0
	moved
	show hosts_wire_stop
}

myself_and_death()
{
	show hosts_up "$net"
	myself 64 64 8000000
	wait_until 30 has_sent 4000000
	kill -KILL "$receiver"
	stayed 'cut from the peer|peer closed the connection'
}

myself_and_cut()
{
	show hosts_up "$net"
	myself 64 64 8000000
	wait_until 30 has_sent 4000000
	on b ip link set "$(dev_b)" down
	stayed 'did not move'
	finish "$receiver" 30
	same "exit of the receiver" "$status" 4
}

# A row: the exit codes at a and b after one of them was killed on entering a step,
# phase or state of its own.  5 and 0: it ran there to its end.
# shellcheck disable=SC2034 # the rows are used by name
declare -A step_ends=( [ARM]="137 4" [BEGIN]="137 4" [STOP]="137 4" [LAST]="137 4"
		       [HAND_OVER]="137 4" )
# shellcheck disable=SC2034
declare -A phase_ends=( [VERIFY]="137 4" [COMMIT]="137 4" [DONE]="137 0" )
# shellcheck disable=SC2034
declare -A state_ends=( [DATA]="5 137" [VERIFIED]="5 137" [COMMITTING]="6 137" )

# myself_killed KIND SYMBOL: the agent that has such entries is killed at one.
myself_killed()
{
	local -n ends=$1_ends
	local want=${ends[$2]} is_static=yes words

	# shellcheck disable=SC2016 # at_entry's
	mapfile -t words < <(at "$1" "$2" 'kill -KILL $TARGET')
	if [[ $1 == state ]]; then
		before_b=("${words[@]}")
	else
		before_a=("${words[@]}")
	fi
	show hosts_up "$net"
	myself 4 4 0
	finish "$sender" 60
	cat send.out send.err >&2
	same "exit of the sender" "$status" "${want% *}"
	finish "$receiver" 60
	cat receive.out receive.err >&2
	same "exit of the receiver" "$status" "${want#* }"
	same "it ran at a to its end" "$(grep -c "^ran" send.out || true)" \
		"$([[ $want == 5* ]] && echo 1 || echo 0)"
	[[ $want == 5* ]] || ! grep -q '^resumed' send.out || die "it was resumed"
	same "it ran at b to its end" "$(grep -c "^ran" receive.out || true)" \
		"$([[ $want == *0 ]] && echo 1 || echo 0)"
}

# Another program waits there: nothing moves.
myself_and_another()
{
	show hosts_up "$net"
	myself 64 32 0
	stayed "refuses the sender's: Invalid argument"
	finish "$receiver" 30
	same "exit of the receiver" "$status" 4
	grep -q "refuses the sender's" receive.err || die "$(cat receive.err)"
	same "memory that was sent" "$(grep -c '^round' send.out || true)" 0
}

# unreadable HOW RECEIVE STATUS LIST: page 1 of a program's memory cannot be read.
# LIST: the ranges in the list beside the copy.
unreadable()
{
	embedder_built
	show hosts_up "$net"
	cp "$(image even)" memory
	dd if=/dev/zero of=memory bs=4096 seek=1 count=1 conv=notrunc status=none
	hosts_exec "$net" b "$tmp/embedder" "$2" "$(dev_b)" "$HOSTS_B4" "$key" copy \
		>receive.out 2>receive.err &
	receiver=$!
	wait_until 20 is_ready "$receiver" receive.out
	hosts_exec "$net" a "$tmp/embedder" "send-$1-mapped" "$(dev_a)" "$HOSTS_B4" \
		"$key" memory >send.out 2>send.err &
	sender=$!
	finish "$sender" 60
	same "exit of the sender" "$status $(cat send.out send.err)" "0 "
	finish "$receiver" 20
	same "exit of the receiver" "$status" "$3"
	[[ $3 -ne 0 ]] || same_file memory copy
	same "list" "$(jq -c '[.unreadable[] | .offset, .bytes]' \
		copy.with/unreadable.json 2>/dev/null)" "$4"
	nothing_left
}

case_run "library: the two examples" examples
case_run "library: a program moves itself" myself_moves
case_run "library: a program tells what it writes" myself_tells
case_run "library: into a memfd, compressed by zstd" into memfd zstd
case_run "library: into another process, compressed by LZ4" into process lz4
case_run "library: a page that cannot be read is marked" \
	unreadable mark receive-mark-mapped 0 "[4096,4096]"
case_run "library: a page that cannot be read goes as zeroes" \
	unreadable zero receive-mapped 0 ''
case_run "library: a page that cannot be read fails the transfer" \
	unreadable fail receive-mapped 1 ''
case_run "library: a program moves itself, frames lost" myself_moves_with_loss
case_run "library: it stays if the receiver dies" myself_and_death
case_run "library: it stays if the link is cut" myself_and_cut
for symbol in ARM BEGIN STOP LAST HAND_OVER; do
	case_run "library: the sender is killed at step $symbol" \
		myself_killed step "$symbol"
done
for symbol in VERIFY COMMIT DONE; do
	case_run "library: the sender is killed in phase $symbol" \
		myself_killed phase "$symbol"
done
for symbol in DATA VERIFIED COMMITTING; do
	case_run "library: the receiver is killed in state $symbol" \
		myself_killed state "$symbol"
done
case_run "library: it stays if another program waits" myself_and_another
case_run "library: a process stays as it was, and mistakes are refused" embedded ''
case_run "library: SIGBUS has a handler where that is allowed" embedded -mapped

cases_end
