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
	show hosts_up "$net" --mtu 1500 --queues 2
	mkdir -p out
	"$here/listen_notify.py" "$PWD/socket" >told &
	wait_until 10 test -S socket
	NOTIFY_SOCKET=$PWD/socket receive_begin receive --serve \
		--queues 2 --listen "$addr" --out out "$@"
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
	wait_until 10 is_told READY=1
	wait_until 10 is_told "STATUS=$addr:16644, $(dev_b): \
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

# peers_are TEXT: writes the receiver's --peers, TEXT for host-one alone.
peers_are()
{
	cat >peers <<-EOF
		[host-one]
		folder = one
		name = vm-*
		$1
		[host-two]
		folder = two
	EOF
}

# send_as KEY NAME OPTION...: begins a transfer.
send_as()
{
	send_begin "$1-$2" --psk "$PWD/$1.psk" --to "$addr" --name "$2" "${@:3}" \
		"$(image small --pages 1024)"
}

# Each identity has its own folder, names, quota and bandwidth; others have none.
peers()
{
	local key

	heed_hangups
	for key in one two three; do
		"$build/pagetrim" keygen "$key.psk" --identity "host-$key" >/dev/null
	done
	cat one.psk two.psk three.psk >all.psk
	chmod 600 all.psk
	mkdir -p out/one out/two
	peers_are "quota = 8M"
	security=(--psk "$PWD/all.psk")
	serve --peers peers
	security=()
	send_as one vm-a
	ended one-vm-a "$sender" 30 0
	same_file "$(image small)" out/one/vm-a
	send_as two vm-a
	ended two-vm-a "$sender" 30 0
	same_file "$(image small)" out/two/vm-a
	send_as one other
	ended one-other "$sender" 30 4 "'other': identity 'host-one' may not use"
	send_as three vm-a
	ended three-vm-a "$sender" 30 4 "'host-three' may not send"
	echo "folder = three" >>peers
	hang_up
	wait_until 20 says 'the former keys stay: --peers peers:7: a second folder' 1
	peers_are $'quota = 1M\nbandwidth = 1M'
	hang_up
	wait_until 20 says 'keys were read again' 1
	send_as one vm-b
	ended one-vm-b "$sender" 30 4 "'host-one': memory of .* of 1048576 for one"
	peers_are "bandwidth = 512K"
	hang_up
	wait_until 20 says 'keys were read again' 2
	SECONDS=0
	send_as one vm-b --compress off --copies off
	ended one-vm-b "$sender" 60 0
	same "the limit" "$(jq '."max-bandwidth"' one-vm-b.json)" 524288
	((SECONDS >= 2)) || die "faster than its limit: $SECONDS s"
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	nothing_attached_but_listener
}

# receiver_has JQ-CONDITION
receiver_has()
{
	"$pagetrim" ctl status --json --control control >status.json &&
		jq -e "$1" status.json >/dev/null
}

# One of two transfers is cancelled at the receiver; its limits, and those of each
# transfer, are told.
cancel_one()
{
	local key id one two

	for key in one two; do
		"$pagetrim" keygen "$key.psk" --identity "host-$key" >/dev/null
	done
	cat one.psk two.psk >all.psk
	chmod 600 all.psk
	mkdir -p out/one out/two
	peers_are $'quota = 8M\nbandwidth = 512K'
	security=(--psk "$PWD/all.psk")
	serve --peers peers --control control --max-peer-memory 1G
	security=()
	send_as one vm-a --queues 1 --compress off --copies off
	one=$sender
	send_as two vm-a --queues 1 --compress off --copies off \
		--max-bandwidth 512K
	two=$sender
	wait_until 20 receiver_has '[.transfers[] | .ram.placed > 0] == [true, true]'
	receiver_has '.limits == {"max-memory": 17592186044416,
		"max-transfers": 48, "max-peer-memory": 1073741824,
		"max-files": 1099511627776, "max-peer-files": 0} and
		(.transfers | map({(.identity): [."max-bandwidth", .quota]}) | add) ==
		{"host-one": [524288, 8388608], "host-two": [0, 0]}' ||
		die "limits: $(<status.json)"
	show "$pagetrim" ctl --control control status >said
	grep -q '^At most 16.0 TiB of memory in all; of one peer 48 transfers, 1.0 GiB' said
	grep -q '^  at most 512.0 KiB a second' said
	grep -q '^  quota of its sender 8.0 MiB' said
	! "$pagetrim" ctl --control control cancel 2>all.err || die "ends all"
	grep -q "'cancel TRANSFER-ID' ends one" all.err
	! "$pagetrim" ctl --control control cancel 0123456789abcdef 2>none.err ||
		die "cancels nothing"
	grep -q 'no transfer 0123456789abcdef runs here' none.err
	! "$pagetrim" ctl --control control cancel 0123456789ABCDEF 2>odd.err ||
		die "no number of a transfer"
	grep -q "cancel '0123456789ABCDEF': want the 16" odd.err
	id=$(jq -r '.transfers[] | select(.identity == "host-one")."transfer-id"' \
		status.json)
	show "$pagetrim" ctl --control control cancel "$id" >said
	grep -qx "control: transfer $id is cancelled" said
	ended one-vm-a "$one" 10 4 'cancelled at the receiver; nothing was committed'
	wait_until 10 receiver_has '[.transfers[].identity] == ["host-two"]'
	ended two-vm-a "$two" 60 0
	same_file "$(image small)" out/two/vm-a
	[[ ! -e out/one/vm-a && ! -e out/one/vm-a.partial ]] || die "left: $(ls out/one)"
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	nothing_attached_but_listener
}

# Data that one sender left is neither resumed nor replaced by another.
peers_resume()
{
	heed_hangups
	"$build/pagetrim" keygen one.psk --identity host-one >/dev/null
	"$build/pagetrim" keygen two.psk --identity host-two >/dev/null
	cat one.psk two.psk >all.psk
	chmod 600 all.psk
	mkdir -p out/one out/two
	peers_are "bandwidth = 1M"
	security=(--psk "$PWD/all.psk")
	serve --peers peers --resume
	security=()
	send_as one vm-a --resume
	wait_until 20 grep -q ' transfer .* as host-one: ' receive.err
	kill -KILL "$sender"
	wait_until 60 says 'kept out/one/vm-a.partial' 1
	send_as two vm-a --resume
	ended two-vm-a "$sender" 30 0
	! says ', resumes' 1 || die "resumed another's"
	[[ -e out/one/vm-a.partial ]] || die "another's data is gone"
	send_as one vm-a --resume
	ended one-vm-a "$sender" 60 0
	says ', resumes' 1
	same_file "$(image small)" out/one/vm-a
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	nothing_attached_but_listener
}

# says WORD: the receiver's log has that many lines with it.
says() { [[ $(grep -c -- "$1" receive.err) -eq $2 ]]; }

is_ready_again() { [[ $(grep -c READY=1 told) -eq 2 ]]; }

hang_up() { show kill -HUP "$receiver"; }

# heed_hangups: a test under nohup(1) would not be heard.
heed_hangups()
{
	cat >heeding <<-EOF
		#!/bin/sh
		exec env --default-signal=HUP '$pagetrim' "\$@"
	EOF
	chmod +x heeding
	pagetrim=$PWD/heeding
}

# A key is replaced while a transfer of the former one runs: that ends well, the
# former key is refused afterwards, and a file without a key changes nothing.
new_key()
{
	local running program=$pagetrim

	heed_hangups
	"$program" keygen old.psk --identity old >/dev/null
	"$program" keygen new.psk --identity new >/dev/null
	cp -p old.psk key.psk
	security=(--psk "$PWD/key.psk")
	serve
	security=()
	send_begin running --to "$addr" --name running --psk old.psk \
		--max-bandwidth 2M --control control "$(image even)"
	running=$sender
	wait_until 20 grep -q ' transfer .* as old: ' receive.err
	cp -p new.psk key.psk
	hang_up
	wait_until 20 says 'keys were read again' 1
	wait_until 10 is_told 'RELOADING=1 \| MONOTONIC_USEC=[0-9]+'
	wait_until 10 is_ready_again
	send_one second --psk new.psk
	send_begin third --to "$addr" --name third --psk old.psk \
		"$(image small)"
	ended third "$sender" 20 4 'refuses our pre-shared key'
	echo nothing >key.psk
	hang_up
	wait_until 20 says 'the former keys stay: .*key.psk: it has no colon' 1
	send_one fourth --psk new.psk
	! is_gone "$running" || die "the first transfer ended too early"
	show "$program" ctl set max-bandwidth 0 --control control
	ended running "$running" 60 0
	same_file "$(image even)" out/running
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	nothing_attached_but_listener
}

# The receiver's certificate expires; SIGHUP brings the renewed one.
new_certificate()
{
	local certs=$PWD/certs

	heed_hangups
	"$root/scripts/certs.sh" "$certs" "$addr" >&2
	cp -p "$certs/expired-receiver.pem" cert.pem
	cp -p "$certs/expired-receiver-key.pem" cert-key.pem
	security=(--tls-cert "$PWD/cert.pem" --tls-key "$PWD/cert-key.pem"
		--tls-ca "$certs/ca.pem")
	serve
	security=(--tls-cert "$certs/sender.pem" --tls-key
		"$certs/sender-key.pem" --tls-ca "$certs/ca.pem")
	send_begin first --to "$addr" --name first "$(image small)"
	wait_until 20 says 'warning: .*cert.pem: the certificate has expired' 1
	ended first "$sender" 20 4 'expired'
	cp -p "$certs/receiver.pem" cert.pem
	cp -p "$certs/receiver-key.pem" cert-key.pem
	hang_up
	wait_until 20 says 'keys were read again' 1
	send_one second
	grep -q 'transfer .* as sender.pagetrim.test: ' receive.err
	says 'has expired' 1 || die "the new one is called expired"
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	nothing_attached_but_listener
}

# The certificate expires while the receiver waits.
expires()
{
	local certs=$PWD/certs

	CERTS_END=$(date -u -d '+10 seconds' +%Y%m%d%H%M%SZ) \
		"$root/scripts/certs.sh" "$certs" "$addr" >&2
	security=(--tls-cert "$certs/expired-receiver.pem" --tls-key
		"$certs/expired-receiver-key.pem" --tls-ca "$certs/ca.pem")
	serve
	wait_until 60 says 'warning: .*the certificate has expired.*SIGHUP' 1
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	nothing_attached_but_listener
}

# drained COMMAND...: asked so, it ends when its transfer has, and takes no other.
drained()
{
	local running

	serve --drain --control control
	send_begin running --to "$addr" --name running --max-bandwidth 2M \
		--control sender "$(image even)"
	running=$sender
	wait_until 20 grep -q ' transfer .* from ' receive.err
	show "$@"
	wait_until 10 says 'takes no new transfer, .*: 1$' 1
	wait_until 10 is_told 'EXTEND_TIMEOUT_USEC=[0-9]+'
	send_begin second --to "$addr" --name second "$(image small)"
	ended second "$sender" 20 4 'takes no new transfer'
	! is_gone "$running" || die "the first transfer ended too early"
	! is_told STOPPING=1 || die "systemd's time to stop runs already"
	if [[ ${twice-} ]]; then
		kill -TERM "$receiver"
		ended running "$running" 20 4 interrupted
	else
		show "$pagetrim" ctl set max-bandwidth 0 --control sender
		ended running "$running" 60 0
		same_file "$(image even)" out/running
	fi
	ended receive "$receiver" 20 0
	wait_until 10 is_told STOPPING=1
	nothing_attached_but_listener
}

terminate() { kill -TERM "$receiver"; }

# With nothing to wait for it ends at once.
drained_idle()
{
	serve --drain
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	nothing_attached_but_listener
}

# Each report is one line of JSON, no name turns the lines of log and reports
# around, and the journal gets priorities.
logs()
{
	local name=$'abc\u202edef\u061cghi'

	: >receive.err
	# The file stays the same while it is appended to.
	journal=$(stat -c %d:%i receive.err)
	show hosts_up "$net" --mtu 1500
	mkdir out
	JOURNAL_STREAM=$journal hosts_exec "$net" b "$pagetrim" receive --json \
		"${security[@]}" --dev "$(dev_b)" --serve --listen "$addr" \
		--out out >receive.json 2>>receive.err &
	receiver=$!
	wait_until 60 receive_is_ready receive
	send_begin first --to "$addr" --name "$name" "$(image small)"
	ended first "$sender" 30 0
	same_file "$(image small)" "out/$name"
	send_begin second --to "$addr" --name "$name" "$(image small)"
	ended second "$sender" 30 4 'exists'
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	same "lines of JSON" "$(wc -l <receive.json)" 2
	same "names" "$(jq -r .name receive.json | sort -u)" "$name"
	grep -q 'abc\\u202edef\\u061cghi' receive.err || die "not named: $(<receive.err)"
	! LC_ALL=C grep -P '[^ -~]' receive.json receive.err first.err second.err ||
		die "a name came through"
	grep -q '^<6>[0-9TZ:.-]* listening on ' receive.err
	grep -q '^<4>[0-9TZ:.-]* transfer .* failed: ' receive.err
	! grep -v '^<[346]>' receive.err || die "a line without a priority"
	kill %1 2>/dev/null || true
	nothing_left
}

# descriptors: two memories of one process, a file's and a memfd's, have names of their
# own.
descriptors()
{
	local holder from

	show hosts_up "$net" --mtu 1500
	mkdir out
	receive_begin receive --serve --listen "$addr" --out out
	cp "$(image small)" named.ram
	python3 -c '
import os, sys, time
data = open(sys.argv[1], "rb").read()
fd = os.memfd_create("guest-ram")
os.write(fd, data)
file = os.open(sys.argv[1], os.O_RDONLY)
print(fd, file, flush=True)
time.sleep(600)' named.ram >fds &
	holder=$!
	wait_until 10 test -s fds
	for from in $(<fds); do
		send_begin send --to "$addr" "/proc/$holder/fd/$from"
		ended send "$sender" 30 0
	done
	kill "$holder"
	same_file named.ram out/guest-ram
	same_file named.ram out/named.ram
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
	nothing_left
}

# one_shot: SIGHUP ends it as SIGTERM does; ignored from the start, it does not.
one_shot()
{
	show hosts_up "$net" --mtu 1500
	heed_hangups
	receive_begin receive --listen "$addr" --out copy
	hang_up
	ended receive "$receiver" 10 1 interrupted
	cat >ignoring <<-EOF
		#!/bin/sh
		trap '' HUP INT
		exec '$build/pagetrim' "\$@"
	EOF
	chmod +x ignoring
	pagetrim=$PWD/ignoring
	receive_begin receive --listen "$addr" --out copy
	hang_up
	kill -INT "$receiver"
	send_begin send --to "$addr" "$(image small)"
	ended send "$sender" 30 0
	ended receive "$receiver" 10 0
	nothing_left
}

# The counters of the program as OpenMetrics, on stdout and in a file, say what
# --json says.
metrics()
{
	local json='.queues[] | select(.queue == 0)'

	serve
	send_one first
	hosts_exec "$net" b "$pagetrim" stats --dev "$(dev_b)" --json >stats.json
	hosts_exec "$net" b "$pagetrim" stats --dev "$(dev_b)" --openmetrics >text
	"$root/tests/lib/openmetrics.py" <text >metrics.json ||
		die "no OpenMetrics: $(<text)"
	echo old >file.prom
	hosts_exec "$net" b "$pagetrim" stats --dev "$(dev_b)" --textfile file.prom
	[[ $(<file.prom) == "$(<text)" ]] || die "the file: $(<file.prom)"
	[[ $(echo file.prom*) == file.prom ]] || die "left: $(echo file.prom*)"
	same steered "$(jq "to_entries[] | select((.key | contains(\"frames\"))
		and (.key | contains(\"\\\"steered\\\"\")) and
		(.key | contains(\"\\\"0\\\"\"))) | .value" metrics.json)" \
		"$(jq "$json | .steered" stats.json)"
	! hosts_exec "$net" b "$pagetrim" stats --dev "$(dev_b)" \
		--textfile none/file 2>refused || die "wrote it"
	grep -q -- '--textfile none/file: cannot create .*No such file' refused
	kill -TERM "$receiver"
	ended receive "$receiver" 10 0
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
case_run "service: each identity has its folder, names, quota, bandwidth" peers
case_run "service: one of two transfers is cancelled; limits" cancel_one
case_run "service: an identity resumes its own data alone" peers_resume
case_run "service: SIGHUP brings a new key" new_key
case_run "service: SIGHUP brings a new certificate" new_certificate
case_run "service: a certificate that expires" expires
case_run "service: --drain and SIGTERM" drained terminate
twice=1 case_run "service: --drain and SIGTERM, twice" drained terminate
case_run "service: ctl drain" drained "$pagetrim" ctl drain --control control
case_run "service: an image is named as the file behind a descriptor" descriptors
case_run "service: --drain without a transfer" drained_idle
case_run "service: JSON Lines, the journal's priorities, odd names" logs
case_run "service: SIGHUP and one transfer; ignored signals" one_shot
case_run "service: systemd's watchdog is fed" watchdog
case_run "service: stats as OpenMetrics" metrics
cases_end
