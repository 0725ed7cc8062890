#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   host a: QEMU, some pages cannot be read --- moves ---> host b: QEMU, nor can they
#   host a: another QEMU                    <-- moves ----        there
#
# A guest moves, of whose memory some pages cannot be read (UFFDIO_POISON in QEMU's
# page tables; its file has the old bytes there): they cannot be read at the
# destination either, in QEMU and in whoever else maps them, and all others are as they
# were; also after a second hop.  Or the move fails, and says which process is why.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/net/lib_entry.sh
source "$here/lib_entry.sh"

mark=$build/tests/net/mark
firmware=$tmp/counter.bin
as --32 -o "$tmp/counter.o" "$root/tests/live/counter.S"
ld -m elf_i386 -Ttext 0 --oformat binary -o "$firmware" "$tmp/counter.o"

size_mib=16
# In data, where the file has bytes; in a hole; on both sides of the end of 2 MiB.
bad=(300 1023 1024 1025 2048 4095)

# QEMU without KVM ends where memory breaks that it has touched: no page among the first.
[[ ${PAGETRIM_POISON-} != break ]] || bad=(2000 2047 2048 2049 3000 4095)

# losing: prints a command, for which pages are to follow, that QEMU a cannot read from
# then on: by marks, or by PAGETRIM_POISON=break as where memory is broken.
losing()
{
	if [[ ${PAGETRIM_POISON-} == break ]]; then
		echo "$mark break $(ram a)"
	else
		echo "$mark mark $(pid_of a) $(ram a)"
	fi
}

ram() { echo "/dev/shm/pagetrim-$net-$1"; }

# qemu_begin NAME [ARG...]: its process is in qemu.NAME.pid, its memory is ram NAME.
qemu_begin()
{
	local name=$1

	shift
	litter+=("$(ram "$name")")
	[[ -e $(ram "$name") ]] || truncate -s "${size_mib}M" "$(ram "$name")"
	qemu-system-x86_64 -accel tcg -M q35 -cpu max -m "$size_mib" \
		-object "memory-backend-file,id=ram,mem-path=$(ram "$name"),size=${size_mib}M,share=on" \
		-machine memory-backend=ram -nodefaults -no-user-config \
		-display none -bios "$firmware" \
		-qmp "unix:$PWD/agent.$name,server=on,wait=off" "$@" \
		2>"qemu.$name.said" &
	echo $! >"qemu.$name.pid"
	wait_until 60 test -S "agent.$name"
}

pid_of() { cat "qemu.$1.pid"; }

# guest_begin [PAGE...]: a guest in QEMU a, of whose memory these pages cannot be read.
guest_begin()
{
	truncate -s "${size_mib}M" "$(ram a)"
	dd if=/dev/urandom of="$(ram a)" bs=1M seek=1 count=5 conv=notrunc \
		status=none
	qemu_begin a
	show hosts_up "$net"
	[[ $# -gt 0 ]] || return 0	# a look would map all pages
	# shellcheck disable=SC2046 # words
	show $(losing) "$@"
	same "unreadable at first" "$("$mark" look "$(pid_of a)" "$(ram a)")" "$*"
}

# move_begin FROM TO [WORD...]: the guest moves from QEMU to QEMU, by their names; the
# words are in front of migrate.
move_begin()
{
	receive_begin receive --listen "$HOSTS_B4" --qmp "agent.$2" \
		--pid "$(pid_of "$2")"
	hosts_exec "$net" a "${@:3}" "$pagetrim" migrate --json "${security[@]}" \
		--dev "$(dev_a)" --to "$HOSTS_B4" --qmp "agent.$1" \
		--pid "$(pid_of "$1")" "${migrate_options[@]}" \
		>migrate.json 2>migrate.err &
	migrator=$!
}

migrate_options=()

moved()
{
	move_begin "$@"
	ended migrate "$migrator" 120 0
	ended receive "$receiver" 30 0
	same "unreadable, as told" "$(jq -s '.[-1].unreadable.pages' migrate.json) $(
		jq -s '.[-1].unreadable.pages' receive.json)" "${told-6 6}"
}

# are_marked NAME PAGE...: these and no others.
are_marked()
{
	same "unreadable in QEMU $1" \
		"$("$mark" look "$(pid_of "$1")" "$(ram "$1")")" "${*:2}"
}

# are_same NAME: all memory that the guest does not write is as QEMU a had it.
are_same()
{
	"$here/marks.py" "$(ram a)" "$(ram "$1")" $((256 + 1)) "${bad[*]}" ||
		die "memory differs"
}

two_hops()
{
	guest_begin "${bad[@]}"
	qemu_begin b -incoming defer
	moved a b
	are_marked b "${bad[@]}"
	are_same b
	qemu_begin c -incoming defer
	moved b c
	are_marked c "${bad[@]}"
	are_same c
}

# later: pages that become so while the guest moves.  (With the tracker wp-async no
# other process than migrate could mark them.)
later()
{
	guest_begin
	migrate_options=(--tracker digest)
	cat >mark_now <<END
#!/bin/sh
exec $(losing) ${bad[*]}
END
	chmod +x mark_now
	qemu_begin b -incoming defer
	mapfile -t entry < <(at step ROUND "./mark_now; echo yes >entered")
	moved a b "${entry[@]}"
	[[ -e entered ]] || die "never there"
	are_marked a "${bad[@]}"
	are_marked b "${bad[@]}"
	are_same b
}

mapper_begin()
{
	"$mark" map "$(ram b)" >mapper &
	mapper=$!
	wait_until 30 grep -qs mapped mapper
}

other_mapper()
{
	guest_begin "${bad[@]}"
	qemu_begin b -incoming defer
	mapper_begin
	moved a b
	are_marked b "${bad[@]}"
	same "unreadable in the other process" \
		"$("$mark" look "$mapper" "$(ram b)")" "${bad[*]}"
}

# A process that maps the memory when the guest begins to run, as vhost-user back-ends do.
late_mapper()
{
	guest_begin "${bad[@]}"
	qemu_begin b -incoming defer
	# The commands end, which have its output; the mapper has its own.
	cat >map_now <<END
#!/bin/bash
$mark map $(ram b) >mapper 2>mapper.err &
echo \$! >mapper.pid
until grep -qs mapped mapper; do sleep 0.02; done
END
	chmod +x map_now
	mv agent.b agent.b.qemu
	"$here/qmp_hold.py" "$PWD/agent.b" "$PWD/agent.b.qemu" ./map_now &
	wait_until 10 test -S agent.b
	moved a b
	are_marked b "${bad[@]}"
	same "unreadable in the other process" \
		"$("$mark" look "$(cat mapper.pid)" "$(ram b)")" "${bad[*]}"
	kill -KILL "$(cat mapper.pid)"
}

# runs_on: the guest at a was resumed, and the one at b never ran.
runs_on()
{
	same "at a" "$("$root/scripts/guest/qmp.py" agent.a query-status |
		jq .running)" true
	[[ -d /proc/$(pid_of a) ]] || die "QEMU a has ended"
}

# refused CODE CODE TEXT
refused()
{
	move_begin a b
	ended receive "$receiver" 120 "$1" "$3"
	ended migrate "$migrator" 60 "$2"
	runs_on
}

filtered()
{
	guest_begin "${bad[@]}"
	qemu_begin b -incoming defer -sandbox on
	refused 3 4 "process $(pid_of b).*seccomp"
	# Before the source gives the guest up, and the state of its devices.
	same "bytes of state" "$(jq -s '.[-1]."state-bytes"' receive.json)" 0
}

# again: QEMU b has marks, as of a transfer that failed at its end.
again()
{
	guest_begin
	qemu_begin b -incoming defer
	show "$mark" mark "$(pid_of b)" "$(ram b)" "${bad[@]}"
	refused 3 4 "earlier transfer"
}

fails()
{
	guest_begin 2048
	qemu_begin b -incoming defer
	migrate_options=(--on-unreadable fail)
	move_begin a b
	ended migrate "$migrator" 60 1 "cannot be read.*--on-unreadable mark"
	ended receive "$receiver" 60 4
	runs_on
}

zeroes()
{
	guest_begin "${bad[@]}"
	qemu_begin b -incoming defer
	migrate_options=(--on-unreadable zero)
	told="0 0" moved a b
	same "pages that went as zeroes" \
		"$(jq -s '.[-1].unreadable."zeroed-pages"' migrate.json)" ${#bad[@]}
	are_marked b
	are_same b
}

# unmarkable: pages of the guest are broken, and nobody can mark any.
unmarkable()
{
	guest_begin "${bad[@]}"
	qemu_begin b -incoming defer
	refused 3 4 "this kernel has no marks"
}

if ! "$mark" offered; then
	case_run "marks: a kernel without any" unmarkable
	case_run "marks: fail" fails
	case_run "marks: zero" zeroes
	cases_end
fi
case_run "marks: two hops" two_hops
case_run "marks: later" later
case_run "marks: another process maps it" other_mapper
case_run "marks: another process maps it later" late_mapper
case_run "marks: a QEMU that cannot be entered" filtered
case_run "marks: memory that is marked before" again
case_run "marks: fail" fails
case_run "marks: zero" zeroes
cases_end
