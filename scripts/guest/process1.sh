# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# process1.sh: the first steps of process 1 in a machine of machine.sh: it
# mounts the usual file systems, prints on the second serial line, and powers
# off when it ends.  Sourced by tests/kernel/run.sh and tests/nic/run.sh.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LC_ALL=C.UTF-8 TMPDIR=/run

mount -t devtmpfs dev /dev
stty -F /dev/ttyS1 raw
exec </dev/null >/dev/ttyS1 2>&1
# Process 1 must not end, so it waits here for the power-off.
trap 'echo o >/proc/sysrq-trigger; while :; do :; done' EXIT
mount -t proc proc /proc
ln -s /proc/self/fd /dev/fd
mount -t sysfs sys /sys
mount -t bpf bpf /sys/fs/bpf
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs run /run
ip link set lo up
