#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# run.sh: the service of the package under systemd, in the machine that
# scripts/test-package.sh boots; its output is the second serial line.
#
#     netns sender                       the machine
#     pagetrim send --- pts0 ===== ptr0 --- pagetrim-receive@ptr0.service
#                    10.79.0.1     10.79.0.2
set -uo pipefail
export LC_ALL=C.UTF-8 SYSTEMD_BUS_TIMEOUT=300s

unit=pagetrim-receive@ptr0 attach=pagetrim-attach@ptr0
keys=/etc/pagetrim/keys received=/var/lib/pagetrim
log=/run/package-test.log
passed=0 failed=0
stty -F /dev/ttyS1 raw
trap 'systemctl --no-block poweroff' EXIT

# case_run NAME COMMAND...: prints ok or not ok, then its output.
case_run()
{
	local name=$1

	shift
	# In the background: as a condition it would not end at the first fault.
	(set -e; "$@") >"$log" 2>&1 &
	if wait $!; then
		echo "ok service: $name"
		passed=$((passed + 1))
	else
		echo "not ok service: $name"
		sed 's/^/    /' "$log"
		journalctl -q --no-pager -n 30 -u "$unit" -u "$attach" | sed 's/^/    /'
		failed=$((failed + 1))
	fi
}

# until_true SECONDS COMMAND...
until_true()
{
	local i limit=$(($1 * 2))

	shift
	for ((i = 0; i < limit; i++)); do
		"$@" && return
		sleep 0.5
	done
	echo "not within $((limit / 2)) s: $*"
	return 1
}

is()
{
	[[ $1 == "$2" ]] || { echo "'$1', want '$2'"; return 1; }
}

property() { systemctl show --value -p "$1" "$unit"; }

sender() { nsenter --net=/run/netns/sender -- "$@"; }

send()
{
	sender pagetrim send --psk /root/psk --dev pts0 --to 10.79.0.2 "$@"
}

network()
{
	ip netns add sender
	ip link add ptr0 type veth peer name pts0 netns sender
	ip address add 10.79.0.2/24 dev ptr0
	ip link set ptr0 up
	sender ip address add 10.79.0.1/24 dev pts0
	sender ip link set pts0 up
	sender ip link set lo up
}

starts_without_configuration()
{
	! systemctl start "$unit" || return 1
	is "$(property ActiveState)" inactive
	is "$(property AssertResult)" no
}

configure()
{
	sed 's/^listen = .*/listen = 10.79.0.2/; s/^psk = .*/psk = '"${keys//\//\\/}"'\/psk/' \
		/usr/share/doc/pagetrim/examples/receive.conf \
		>/etc/pagetrim/receive-ptr0.conf
	pagetrim keygen "$keys/psk"
	cp -p "$keys/psk" /root/psk
	chgrp pagetrim "$keys/psk"
	chmod 640 "$keys/psk"
}

# Type=notify: start returns once the receiver listens.
starts()
{
	systemctl start "$unit"
	is "$(property ActiveState)" active
	is "$(property StatusErrno)" 0
	journalctl -q --no-pager -u "$unit" | grep 'listening on'
}

# Its own user, and no privilege once it listens.
has_no_privilege()
{
	local status

	status=/proc/$(property MainPID)/status
	is "$(ps -o user= -p "$(property MainPID)")" pagetrim
	is "$(awk '/^Cap(Inh|Prm|Eff|Amb):/ { print $2 }' "$status" | sort -u)" \
		0000000000000000
	is "$(awk '/^CapBnd:/ { print $2 }' "$status")" 0000000000002000
	is "$(awk '/^NoNewPrivs:/ { print $2 }' "$status")" 1
}

# AppArmor holds it, by the profile that the package brought and the boot loaded.
is_held()
{
	is "$(cat "/proc/$(property MainPID)/attr/current")" 'pagetrim (enforce)'
	! aa-exec -p pagetrim -- /usr/bin/pagetrim send --psk /root/psk \
		--dev ptr0 --to 10.79.0.1 /root/image 2>/run/denied || return 1
	grep '/root/.*Permission denied' /run/denied
	! journalctl -q --no-pager -k | grep 'DENIED.*profile="pagetrim"' |
		grep -v 'name="/root/'
}

# A transfer into the service, as its own user.
receives()
{
	head -c 2M /dev/urandom >/root/image
	truncate -s 16M /root/image
	send --name first /root/image
	cmp /root/image "$received/first"
	is "$(stat -c '%U:%G %a' "$received/first")" 'pagetrim:pagetrim 600'
	is "$(property ActiveState)" active
}

# has_restarted TIMES: at least so often, and it listens again.
has_restarted()
{
	[[ $(property NRestarts) -ge $1 && $(property ActiveState) == active ]]
}

# A receiver that stands still is ended by the watchdog, and starts anew.
watchdog_ends_it()
{
	local before

	mkdir -p "/run/systemd/system/$unit.service.d"
	printf '[Service]\nWatchdogSec=8\nRestartSec=1\n' \
		>"/run/systemd/system/$unit.service.d/watchdog.conf"
	systemctl daemon-reload
	systemctl restart "$unit"
	before=$(property NRestarts)
	kill -STOP "$(property MainPID)"
	until_true 90 has_restarted $((before + 1))
	journalctl -q --no-pager -u "$unit" | grep -i 'watchdog timeout'
	rm -r "/run/systemd/system/$unit.service.d"
	systemctl daemon-reload
	systemctl restart "$unit"
	send --name second /root/image
	cmp /root/image "$received/second"
}

# Wrong options end it, and it is not started again and again.
wrong_option_ends_it()
{
	echo "bogus = 1" >>/etc/pagetrim/receive-ptr0.conf
	! systemctl restart "$unit" || return 1
	is "$(property ActiveState)" failed
	is "$(property NRestarts)" 0
	journalctl -q --no-pager -u "$unit" | grep "receive-ptr0.conf:[0-9]*: 'bogus'"
	sed -i '/^bogus/d' /etc/pagetrim/receive-ptr0.conf
	systemctl restart "$unit"
}

# A key that everybody may read is refused, with its cause in the journal.
open_key_is_refused()
{
	chmod 644 "$keys/psk"
	! systemctl restart "$unit" || return 1
	systemctl stop "$unit"
	journalctl -q --no-pager -u "$unit" | grep 'its mode 0644 lets others'
	chmod 640 "$keys/psk"
	systemctl restart "$unit"
}

# slowly NAME: a transfer that runs for some time, from now on.
slowly()
{
	send --name "$1" --max-bandwidth 128K /root/image &
	until_true 60 journalled "transfer .*to $received/$1"
}

journalled() { journalctl -q --no-pager -u "$unit" | grep -- "$1" >/dev/null; }

# A new key by `systemctl reload`, while a transfer of the former one runs.
reload_brings_key()
{
	local running

	slowly third
	running=$!
	pagetrim keygen /root/new --identity new
	cat /root/new >"$keys/psk"
	systemctl reload "$unit"
	until_true 30 journalled 'keys were read again'
	! send --name refused /root/image 2>/run/refused || return 1
	grep "refuses our pre-shared key" /run/refused
	kill -0 "$running"
	wait "$running"
	cmp /root/image "$received/third"
	cp /root/new /root/psk
	send --name fourth /root/image
	cmp /root/image "$received/fourth"
}

# `systemctl stop` waits for the transfer that runs, even beyond TimeoutStopSec.
stop_waits()
{
	local running

	mkdir -p "/run/systemd/system/$unit.service.d"
	printf '[Service]\nTimeoutStopSec=5\n' \
		>"/run/systemd/system/$unit.service.d/stop.conf"
	systemctl daemon-reload
	slowly fifth
	running=$!
	SECONDS=0
	systemctl stop "$unit"
	((SECONDS > 7))
	is "$(property Result)" success
	wait "$running"
	cmp /root/image "$received/fifth"
	rm -r "/run/systemd/system/$unit.service.d"
	systemctl daemon-reload
	systemctl start "$unit"
}

is_stopped()
{
	[[ $(systemctl show --value -p ActiveState "$attach") == inactive ]]
}

stops()
{
	systemctl stop "$unit"
	is "$(property ActiveState)" inactive
	is "$(property Result)" success
	until_true 20 is_stopped
	[[ -z $(ls -A /sys/fs/bpf/pagetrim 2>/dev/null) ]]
	! ip -d link show ptr0 | grep xdp || return 1
	[[ ! -e /run/pagetrim-receive/ptr0 ]]
}

echo "Linux $(uname -r), systemd $(systemctl --version | sed -n '1s/^systemd //p')"
case_run "network" network
case_run "without its configuration it does not start" starts_without_configuration
case_run "keys and configuration" configure
case_run "it starts, and then listens" starts
case_run "its user has no privilege" has_no_privilege
case_run "it receives as its own user" receives
case_run "AppArmor holds it" is_held
case_run "a new key by reload, during a transfer" reload_brings_key
case_run "stop waits for a transfer" stop_waits
case_run "the watchdog ends one that stands still" watchdog_ends_it
case_run "a wrong option ends it" wrong_option_ends_it
case_run "a key that all may read is refused" open_key_is_refused
case_run "it stops, and nothing is left" stops
echo "$passed passed, $failed failed"
echo "all tests ran"
