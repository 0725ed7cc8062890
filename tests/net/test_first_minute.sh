#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# A machine without a mounted /sys/fs/bpf, as without systemd: a mount namespace
# that lacks it.  Each script that pins mounts it, before it builds or boots.
# Other cases cover the differences between Debian's releases.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# bare COMMAND...: runs it where no BPF file system is mounted.
bare()
{
	# shellcheck disable=SC2016 # the inner shell's
	show unshare --mount --propagation private bash -c '
		while mountpoint -q /sys/fs/bpf; do
			umount -l /sys/fs/bpf || exit
		done
		"$@"' bare "$@"
}

bpffs_is() { [[ $(stat -f -c %t /sys/fs/bpf) == cafe4a11 ]]; }

# mounts_first SCRIPT ARG...: when it first calls make, which here ends it, a
# BPF file system is mounted.
mounts_first()
{
	mkdir bin
	cat >bin/make <<-SCRIPT
		#!/bin/sh
		stat -f -c %t /sys/fs/bpf >"$dir/seen"
		exit 1
	SCRIPT
	chmod +x bin/make
	! PATH=$dir/bin:$PATH bare env -u PAGETRIM_BUILD "$@" || die "it went on"
	same "file system at the first make" "$(<seen)" cafe4a11
}

# then_is_mounted COMMAND...: whatever it returns.
then_is_mounted()
{
	export -f bpffs_is
	# shellcheck disable=SC2016 # the inner shell's
	ONLY='no such case' bare bash -c '"$@"; bpffs_is' bash "$@" ||
		die "still not mounted"
}

hosts_pin()
{
	local name=n$$

	# shellcheck disable=SC2016 # the inner shell's
	bare bash -ec 'source "$1"; trap "hosts_down $2" EXIT
		hosts_up "$2"
		hosts_run "$2" b "$3" attach --dev "$(hosts_dev "$2" b)"
		hosts_run "$2" b "$3" detach --dev "$(hosts_dev "$2" b)"
		' bash "$root/scripts/hosts.sh" "$name" "$pagetrim"
}

# Two at once: a second mount would hide what the first user pins.
mounted_once()
{
	# shellcheck disable=SC2016 # the inner shell's
	bare bash -ec 'source "$1"
		for _ in {1..8}; do hosts_bpffs & jobs+=($!); done
		for job in "${jobs[@]}"; do wait "$job"; done
		test "$(grep -c " /sys/fs/bpf " /proc/self/mounts)" -eq 1
		' bash "$root/scripts/hosts.sh"
}

# attach_says: the cause, and a remedy that works.
attach_says()
{
	local remedy='mount -t bpf bpf /sys/fs/bpf'

	hosts_up "$net"
	# shellcheck disable=SC2016 # the inner shell's
	hosts_exec "$net" b unshare --mount --propagation private bash -c '
		while mountpoint -q /sys/fs/bpf; do umount -l /sys/fs/bpf; done
		"$1" attach --dev "$2" 2>attach.err; echo $? >code
		$3
		"$1" attach --dev "$2" && "$1" detach --dev "$2"
		' bash "$pagetrim" "$(dev_b)" "$remedy" &
	finish $! 20
	same "exit of attach" "$(<code)" 3
	one_error attach "no BPF file system.*$remedy"
	same "attach after its remedy" "$status" 0
	nothing_attached
}

# expired_certificates: made by this host's OpenSSL, with an end in the past.
expired_certificates()
{
	local name

	show "$root/scripts/certs.sh" certs
	for name in receiver sender; do
		openssl x509 -in "certs/$name.pem" -noout -checkend 0
		! openssl x509 -in "certs/expired-$name.pem" -noout \
			-checkend 0 || die "expired-$name.pem is valid"
	done
}

# check_mounts: check.sh does, and says that there is nothing to run.
check_mounts()
{
	then_is_mounted "$root/scripts/check.sh" "$dir/none" 2>said
	grep -q '/none/tests: no such folder' said || die "$(<said)"
	[[ ! -e none ]] || die "it made the folder"
}

case_run "demo.sh mounts it before it builds" mounts_first "$root/scripts/demo.sh"
case_run "test.sh mounts it before it builds" mounts_first "$root/scripts/test.sh"
case_run "bench.sh mounts it before it builds" mounts_first \
	"$root/scripts/bench.sh" --quick
case_run "soak.sh mounts it before it builds" mounts_first \
	"$root/scripts/soak.sh" 1
case_run "a net test mounts it" then_is_mounted "$root/tests/net/test_rate.sh"
case_run "check.sh mounts it" check_mounts
case_run "hosts.sh mounts it, and attach can pin" hosts_pin
case_run "eight at once mount it once" mounted_once
case_run "certs.sh makes expired ones" expired_certificates
case_run "attach says the cause, and a remedy that works" attach_says
cases_end
