#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                          host b
#   send-my-memory -- ptNAMEa ============ ptNAMEb -- receive-into-my-memory
#
# Programs that are built only against the files of `make install`: the
# examples, and tests/lib/embedder.c.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

key=$tmp/keys.psk
installed=$tmp/installed
export LD_LIBRARY_PATH=$installed/usr/lib

# built PROGRAM SOURCE [FLAG...]: builds it by pkg-config.
built()
{
	local program=$1 source=$2 flags

	shift 2
	[[ -d $installed ]] || make -C "$root" --no-print-directory \
		B="${build#"$root/"}" DESTDIR="$installed" PREFIX=/usr install >&2
	flags=$(PKG_CONFIG_PATH=$installed/usr/lib/pkgconfig \
		PKG_CONFIG_SYSROOT_DIR=$installed \
		pkg-config --cflags --libs libpagetrim)
	# shellcheck disable=SC2086 # flags are words
	(cd "$tmp" && show cc -O2 -Wall -Wextra -Werror -o "$program" \
		"$source" $flags "$@")
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

# embedded SUFFIX: see embedder.c; to both commands.
embedded()
{
	built embedder "$root/tests/lib/embedder.c" -lbpf -pthread
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

case_run "library: the two examples" examples
case_run "library: a process stays as it was, and mistakes are refused" embedded ''
case_run "library: SIGBUS has a handler where that is allowed" embedded -mapped

cases_end
