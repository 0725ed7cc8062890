#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# debian/apparmor/pagetrim, enforced: a transfer works, and of a file that the
# profile does not name pagetrim reads nothing, though root may.  In a machine of its
# own alone: it installs /usr/bin/pagetrim.
#
# shellcheck disable=SC2317 # cases are called by name
mkdir -p /var/lib/pagetrim
# The profile knows of no other folder for a test's files.
TMPDIR=/var/lib/pagetrim
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"

security=(--psk "$tmp/keys.psk")

# enforce: loads the profile, and has the tests run the program under it.
enforce()
{
	mountpoint -q /sys/kernel/security ||
		mount -t securityfs securityfs /sys/kernel/security
	install -m 0755 "$pagetrim" /usr/bin/pagetrim
	apparmor_parser --replace --skip-cache "$root/debian/apparmor/pagetrim"
	cat >held <<-EOF
		#!/bin/sh
		exec aa-exec -p pagetrim -- /usr/bin/pagetrim "\$@"
	EOF
	chmod +x held
	pagetrim=$PWD/held
	grep -qx 'pagetrim (enforce)' /sys/kernel/security/apparmor/profiles ||
		die "the profile is not enforced"
}

denials() { dmesg | grep 'apparmor="DENIED".*profile="pagetrim"' || true; }

transferred()
{
	enforce
	dmesg -C
	show hosts_up "$net"
	head -c 1M /dev/urandom >/dev/shm/memory
	truncate -s 2M /dev/shm/memory
	litter+=(/dev/shm/memory)
	receive_begin receive --listen "$HOSTS_B4" --out copy
	same "the receiver's profile" "$(cat "/proc/$receiver/attr/current")" \
		"pagetrim (enforce)"
	kill "$receiver"
	finish "$receiver" 60
	transfer /dev/shm/memory
	same denials "$(denials)" ''
	nothing_left
}

shadow_denied()
{
	enforce
	dmesg -C
	show hosts_up "$net"
	head -c 1 /etc/shadow >/dev/null || die "root cannot read it either"
	send_begin send --to "$HOSTS_B4" /etc/shadow
	ended send "$sender" 60 3 '/etc/shadow.*Permission denied'
	[[ $(denials) == *'name="/etc/shadow"'*'denied_mask="r"'* ]] ||
		die "not logged: $(dmesg | tail -n 5)"
	nothing_left
}

case_run "apparmor: a transfer under the profile" transferred
case_run "apparmor: /etc/shadow is denied, and that is logged" shadow_denied
cases_end
