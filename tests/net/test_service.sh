#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a                                 host b
#   pagetrim send -- ptNAMEa === ptNAMEb -- pagetrim receive --serve
#                                            |  ^ signals
#                              listen_notify.py, in systemd's place
#
# A receiver as a service: notifications of systemd, signals, logs.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

addr=$HOSTS_B4

# serve OPTION...: a receiver with a listener of its notifications, in told.
serve()
{
	show hosts_up "$net" --mtu 1500
	mkdir -p out
	"$here/listen_notify.py" "$PWD/socket" >told &
	wait_until 10 test -S socket
	NOTIFY_SOCKET=$PWD/socket receive_begin receive --serve \
		--listen "$addr" --out out "$@"
}

# is_told REGEX: systemd was notified so, in a line of its own.
is_told() { grep -Eqx -- "$1" told; }

send_one()
{
	send_begin "$1" --to "$addr" --name "$1" "${@:2}" \
		"$(image small --pages 1024)"
	ended "$1" "$sender" 30 0
	same_file "$(image small)" "out/$1"
}

notified()
{
	serve
	wait_until 10 is_told "READY=1 \| STATUS=$addr:16644, $(dev_b): \
0 running, 0 completed, 0 failed"
	send_one first
	wait_until 10 is_told "STATUS=.*: 1 running, 0 completed, 0 failed"
	wait_until 10 is_told "STATUS=.*: 0 running, 1 completed, 0 failed"
	! is_told WATCHDOG=1 || die "fed a watchdog that is not there"
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	wait_until 10 is_told STOPPING=1
	same "READY=1, times" "$(grep -c READY=1 told)" 1
	nothing_attached_but_listener
}

nothing_attached_but_listener()
{
	kill %1
	wait %1 || true
	nothing_left
}

# A receiver has the keys of two senders: each is named where its transfer is.
two_keys()
{
	"$pagetrim" keygen one.psk --identity host-one >/dev/null
	"$pagetrim" keygen two.psk --identity host-two >/dev/null
	cat one.psk two.psk >both.psk
	chmod 600 both.psk
	security=(--psk "$PWD/both.psk")
	serve --control control
	security=()
	send_one first --psk one.psk
	send_one second --psk two.psk
	grep -q 'transfer .* from .* as host-one: ' receive.err
	grep -q 'transfer .* from .* as host-two: ' receive.err
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	same "identities" "$(jq -r .identity receive.json | paste -sd ' ')" \
		"host-one host-two"
	nothing_attached_but_listener
}

# Its thread feeds only what control proves; tests/unit/test_notify.c covers that.
watchdog()
{
	WATCHDOG_USEC=400000 serve
	wait_until 20 fed_more_than 3
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	nothing_attached_but_listener
}

fed_more_than() { [[ $(grep -cx WATCHDOG=1 told) -gt $1 ]]; }

case_run "service: systemd is notified" notified
case_run "service: two keys, and the identity of each sender" two_keys
case_run "service: systemd's watchdog is fed" watchdog
cases_end
