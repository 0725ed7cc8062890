#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# root_init.sh: process 1 of the namespaces that root.sh makes.  It mounts what a
# machine has after boot, apart from /sys/fs/bpf, and runs COMMAND in the root.
#     root_init.sh ROOT LAYER CACHE TREE COMMAND
# ROOT: the root's files.  LAYER: a folder that takes what is written to them, or
# nothing: then ROOT does.  CACHE: becomes /root/.cache.  TREE: becomes
# /root/pagetrim, where COMMAND runs.  Exit: COMMAND's, 125 if it was not started.
set -uo pipefail

root=$1 layer=$2 cache=$3 tree=$4 command=$5

mounts()
{
	if [[ $layer ]]; then
		mkdir -p "$layer"/{upper,work,root} &&
		mount -t overlay -o "lowerdir=$root,upperdir=$layer/upper,workdir=$layer/work" \
			root "$layer/root" &&
		root=$layer/root || return
	else
		mount --bind "$root" "$root" || return
	fi
	cd "$root" &&
	mkdir -p root/{.cache,pagetrim} &&
	mount -t proc proc proc &&
	mount -t sysfs sys sys &&
	mount --rbind /dev dev &&
	mount -t tmpfs shm dev/shm &&
	mount -t devpts -o newinstance,ptmxmode=0666 pts dev/pts &&
	mount -t tmpfs tmp tmp &&
	mount -t tmpfs -o mode=755 run run &&
	mount --bind "$cache" root/.cache &&
	mount --bind "$tree" root/pagetrim || return
	# A disk, where a layer's file system has features of its own.
	if [[ $layer ]]; then
		mkdir -p "$layer/tmp" && mount --bind "$layer/tmp" var/tmp || return
	fi
	chmod 1777 tmp var/tmp
	mkdir -p run/lock
	[[ ! -d /sys/fs/cgroup ]] || mount --rbind /sys/fs/cgroup sys/fs/cgroup || return
	cp --remove-destination -L /etc/resolv.conf etc/resolv.conf &&
	printf '127.0.0.1 localhost\n::1 localhost\n' >etc/hosts &&
	pivot_root . . &&
	umount -l . &&
	cd /root/pagetrim || return
}

mounts || exit 125
# Not exec: process 1 reaps what others leave.
env -i HOME=/root LC_ALL=C.UTF-8 TERM="${TERM:-dumb}" \
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	bash -c "$command" &
wait $!
