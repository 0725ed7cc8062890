#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a: a file in memory, some pages broken (MADV_HWPOISON) ---> host b: copy, and
#                                                                    a list of them
#
# Memory errors as the kernel has them.  The net tests unreadable and marks show the
# same for a process and for a guest, see `cases`.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"

mark=$build/tests/net/mark

# sent FILE PAGE...: as a copy, with a list of these pages.
sent()
{
	local file=$1

	shift
	show hosts_up "$net"
	receive_begin receive --listen "$HOSTS_B4" --out copy
	send_begin send --to "$HOSTS_B4" --on-unreadable mark "$file" --name copy
	ended send "$sender" 60 0
	ended receive "$receiver" 20 0
	balanced
	same "unreadable pages" "$(jq -c .unreadable.pages send.json) $(
		jq -c .unreadable.pages receive.json)" "$# $#"
	same "list" "$(jq -r '.unreadable[] |
		range(.offset / 4096; (.offset + .bytes) / 4096)' \
		copy.with/unreadable.json | xargs)" "$*"
	"$here/marks.py" "$file" copy 0 "$*" || die "memory differs"
}

# packed FILE: its image at rest has the same list as the copy.
packed()
{
	local status=0

	"$pagetrim" image pack "$1" x.ptrim 2>err || status=$?
	same "exit of pack" "$status" 1
	grep -q "cannot be read.*--on-unreadable mark" err || die "pack: $(cat err)"
	show "$pagetrim" image pack "$1" x.ptrim --on-unreadable mark
	show "$pagetrim" image unpack x.ptrim unpacked
	same_file copy unpacked
	same "list" "$(jq -cS .unreadable unpacked.with/unreadable.json)" \
		"$(jq -cS .unreadable copy.with/unreadable.json)"
}

# ram_make BYTES: the file ram, without holes.
ram_make() { head -c "$1" /dev/urandom >ram; }

in_tmpfs()
{
	ram_make 8M
	show "$mark" break ram 3 600 601 2047
	sent ram 3 600 601 2047
	packed ram
}

# One broken page takes all of its large page along.
in_hugetlbfs()
{
	echo 8 >/proc/sys/vm/nr_hugepages
	mkdir huge
	mount -t hugetlbfs none huge
	mounts+=("$PWD/huge")
	truncate -s 6M huge/ram
	show "$mark" fill huge/ram
	show "$mark" break huge/ram 600
	# shellcheck disable=SC2046 # numbers
	sent huge/ram $(seq 512 1023)
}

case_run "memory error: tmpfs" in_tmpfs
case_run "memory error: hugetlbfs" in_hugetlbfs
cases_end
