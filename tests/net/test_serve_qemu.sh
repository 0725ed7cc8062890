#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   guest, stopped --> image (raw, at rest) with the state of its devices
#                                   |
#   QEMU -incoming defer <-- pagetrim serve --qmp: killed, stopped, a balloon, bad input
#        runs, and checks its own memory
#
# An unmodified QEMU whose guest runs before its memory is there.
#
# shellcheck disable=SC2317 # cases are called by name
# shellcheck source=tests/net/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

live=$root/scripts/live_guest.sh
settings="MIB=32 RATE=200 DISK=2" disk=''

# disk_make: a disk for the guest, which the kernel reads into its memory: page n has the
# number n + 1 in each word.  Not every file in memory can be read so.  Each case has its
# own, since a file outside of the folder ends with the case.
disk_make()
{
	on_disk
	disk=$PWD/disk
	python3 -c 'import struct, sys
with open(sys.argv[1], "wb") as disk:
    for n in range(4096):
        disk.write(struct.pack("<Q", n + 1) * 512)' "$disk"
	cd "$dir"
}

# guest_save: boots the small guest, has it write its memory, stops it, and leaves
# vm.ram, with the state of its devices in vm.ram.with/, and vm.ptrim.
guest_save()
{
	disk_make
	litter+=("$dir/guest")
	timeout $((400 * patience)) "$live" start --dir "$dir/guest" --ram "$dir/vm.ram" \
		--size-mib 128 --disk "$disk" --set "$settings" \
		--append init_on_alloc=0 --timeout-s $((300 * patience)) >&2
	qmp guest stop
	mkdir vm.ram.with
	qmp guest save "$dir/vm.ram.with/state"
	cp --sparse=always vm.ram copy.ram
	"$live" stop --dir "$dir/guest" >&2
	mv copy.ram vm.ram
	"$pagetrim" image pack vm.ram vm.ptrim >&2
	mv vm.ram vm.ram.with vm.ptrim "$tmp/"
}

# qmp DIR COMMAND [ARGUMENTS]
qmp() { "$root/scripts/guest/qmp.py" "$dir/$1/qmp.sock" "${@:2}" >&2; }

# images: the images of the guest, in this folder.
images()
{
	[[ -e $tmp/vm.ptrim ]] || guest_save
	ln -s "$tmp/vm.ram" "$tmp/vm.ptrim" .
	ln -s "$tmp/vm.ram.with" .
}

# dest_begin: a QEMU that waits for the guest, in dest/, with its memory in
# the file $ram.
dest_begin()
{
	dest_ended
	[[ $disk ]] || disk_make
	ram=${ram:-/dev/shm/pagetrim-serve.$net}
	litter+=("$dir/dest" "$ram")
	timeout $((200 * patience)) "$live" incoming --dir "$dir/dest" --ram "$ram" --size-mib 128 \
		--disk "$disk" --set "$settings" >&2
	trap dest_end EXIT
}

dest_end()
{
	local code=$?

	set +e
	((code == 0)) || tail -n 20 "$dir/dest/qemu.log" >&2
	dest_ended
	(exit "$code")
	case_end
}

# dest_ended ends that QEMU.
dest_ended()
{
	[[ ! -e $dir/dest/qemu.pid ]] || "$live" stop --dir "$dir/dest" >&2 || true
}

# serve_begin IMAGE [OPTION...]: in the background; sets server.
serve_begin()
{
	"$pagetrim" serve "$1" --qmp dest/agent.sock --json "${@:2}" >serve.json 2>>serve.err &
	server=$!
}

# fails STATUS WORD IMAGE [OPTION...]: it ends so, with one line that has WORD.
fails()
{
	local want=$1 word=$2 status=0

	timeout 60 "$pagetrim" serve "$3" --qmp dest/agent.sock "${@:4}" >out 2>all.err ||
		status=$?
	grep -v '^....-..-..T' all.err >fail.err || true
	[[ $status -eq $want ]] || die "exit $status, want $want: $(cat all.err)"
	one_error fail "$word"
}

served() { jq -r "$1" serve.json; }
logged() { grep -q "$1" serve.err; }
no_keeper() { [[ ! -e dest/agent.sock.keeper && ! -e dest/agent.sock.lock ]]; }

# beats COUNT: the guest has run so far here, and found no damage.
beats()
{
	! grep -aq 'damage [1-9]' dest/serial.log ||
		die "$(grep -a 'damage [1-9]' dest/serial.log)"
	[[ $(grep -ac 'guest: beat' dest/serial.log) -ge $1 ]]
}

# runs COUNT: the guest beats so often more.
runs()
{
	local sofar

	sofar=$(grep -ac 'guest: beat' dest/serial.log || true)
	wait_until 120 beats $((sofar + $1))
}

server_ended()
{
	finish "$server" "$1"
	cat serve.err serve.json >&2
	same "the server's exit" "$status" 0
	wait_until 10 no_keeper
}

run_state() { "$root/scripts/guest/qmp.py" "$dir/dest/qmp.sock" query-status | jq -r .status; }

# ---- a guest that runs before its memory is there ----

whole()
{
	images
	dest_begin
	serve_begin "$1" "${@:2}"
	server_ended 60
	same result "$(served .result)" whole
	same "pages to be placed" "$(served .pages.pending)" 0
	[[ $(served .pages.faults) -gt 0 ]] || die "no fault was answered"
	logged 'the guest runs after' || die "it does not say that the guest runs"
	runs 3
	"$live" tell verify --dir "$dir/dest" >&2
}

# Only what is asked for, with a balloon, whose pages the guest's kernel did not touch;
# the order is recorded, and used.
on_demand()
{
	local first

	images
	rm vm.ptrim
	cp "$tmp/vm.ptrim" .
	dest_begin
	serve_begin vm.ptrim --on-demand
	wait_until 60 logged 'the guest runs after'
	runs 2
	qmp dest balloon "{\"value\": $((80 << 20))}"
	runs 2
	"$live" tell verify --dir "$dir/dest" >&2
	dest_ended
	server_ended 20
	same result "$(served .result)" vmm-ended
	first=$(served .pages.faults)
	[[ $(served .pages.removed) -gt 1000 ]] ||
		die "the balloon took $(served .pages.removed) pages"
	[[ $(served .pages.served) -lt 20000 ]] || die "all was placed"
	[[ -s vm.ptrim.order ]] || die "no order was recorded"
	dest_begin
	serve_begin vm.ptrim
	server_ended 60
	runs 2
	echo "faults: $first in the first run, $(served .pages.faults) with its order" >&2
	[[ $(served .pages.faults) -lt $((first / 2)) ]] || die "the order is not used"
}

# The kernel reads the guest's memory, which nobody has touched, into a dump; in the
# file of that memory was something else before.
paused()
{
	images
	dest_begin
	head -c $((128 << 20)) /dev/urandom 1<>"$ram"
	serve_begin vm.ptrim --paused --on-demand
	wait_until 60 logged 'the guest is loaded, and paused'
	same "the guest's state" "$(run_state)" paused
	qmp dest dump-guest-memory "{\"paging\": false, \"protocol\": \"file:$dir/core\"}"
	"$here/vmcore.py" core vm.ram >&2
	qmp dest cont
	runs 2
	dest_ended
	server_ended 20
}

# at_step STEP [OPTION...]: a server that is killed there; sets server.
at_step()
{
	local value

	value=$(sed -n 's/^\tX(\([A-Z_]*\),.*/\1/p' "$root/user/lazy/step.h" |
		grep -nx "$1" | cut -d: -f1)
	[[ $value ]] || die "no step $1"
	rm -f entered
	"$build/tests/net/at_entry" pt_lazy_enter $((value - 1)) "kill -KILL \$TARGET" \
		"$pagetrim" serve vm.ptrim --qmp dest/agent.sock "${@:2}" 2>>serve.err &
	server=$!
	finish "$server" 60
	same "the server's exit at $1" "$status" 137
	[[ -e entered ]] || die "it was not at $1"
}

# One QEMU, and one server after the other, each killed a step later.
killed()
{
	local step

	images
	dest_begin
	for step in OPENED LOCKED BOUND KEPT WAITS QEMU_ENTERED; do
		at_step "$step"
		[[ $step == [OLB]* ]] || wait_until 10 no_keeper
		same "the guest's state" "$(run_state)" inmigrate
	done
	for step in HANDED QEMU_ARMED JUDGED BEGUN QEMU_LOADS SERVES; do
		at_step "$step"
	done
	at_step FAULT --on-demand
	at_step ANSWERED --on-demand
	runs_on_demand
	for step in FILLED WHOLE RELEASED; do
		at_step "$step"
	done
	serve_begin vm.ptrim
	server_ended 60
	[[ $(served .servers) -ge 5 ]] || die "$(served .servers) servers"
	runs 3
	"$live" tell verify --dir "$dir/dest" >&2
}

# runs_on_demand: a server for a while, which the kernel then kills.
runs_on_demand()
{
	serve_begin vm.ptrim --on-demand
	runs 2
	kill -KILL "$server"
	wait "$server" || true
}

# A server that is told to stop leaves the guest waiting; the next goes on.
stopped()
{
	images
	dest_begin
	serve_begin vm.ptrim --on-demand
	wait_until 60 logged 'the guest runs after'
	kill -TERM "$server"
	finish "$server" 20
	same "the server's exit" "$status" 1
	grep -q 'waits in its faults' serve.err || die "does not say what the guest does"
	serve_begin vm.ptrim
	server_ended 60
	runs 3
}

# caps: the capabilities of migration that are on.
caps()
{
	"$root/scripts/guest/qmp.py" "$dir/dest/qmp.sock" query-migrate-capabilities |
		jq -c '[.[] | select(.state) | .capability]'
}

# The capabilities that were set for the load are reset, also for a guest that stays paused, and by a
# server that goes on.
undone()
{
	local before

	images
	dest_begin
	before=$(caps)
	serve_begin vm.ptrim --paused
	server_ended 60
	same "capabilities" "$(caps)" "$before"
	dest_begin
	at_step QEMU_LOADS
	serve_begin vm.ptrim
	server_ended 60
	same "capabilities" "$(caps)" "$before"
	runs 2
}

# A guest that stands still for another's reason is not run by a server that goes on.
left_alone()
{
	images
	dest_begin
	serve_begin vm.ptrim --on-demand
	wait_until 60 logged 'the guest runs after'
	qmp dest stop
	kill -KILL "$server"
	wait "$server" || true
	serve_begin vm.ptrim
	server_ended 60
	same "the guest's state" "$(run_state)" paused
	qmp dest cont
	runs 2
}

# A server that is started wrongly for the same guest leaves it as it is.
wrong_next()
{
	images
	cp --sparse=always vm.ram other
	cp -r vm.ram.with/ other.with
	dest_begin
	serve_begin vm.ptrim --on-demand
	wait_until 60 logged 'the guest runs after'
	kill -KILL "$server"
	wait "$server" || true
	fails 3 'another image' other
	"$pagetrim" serve vm.ptrim --uffd-socket dest/agent.sock 2>err && die "no error"
	grep -q 'begun with --qmp' err || die "$(cat err)"
	serve_begin vm.ptrim
	server_ended 60
	runs 2
	"$live" tell verify --dir "$dir/dest" >&2
}

# ---- bad input ----

# The image is the file of QEMU's memory: it would be emptied.
own_memory()
{
	local before

	images
	dest_begin
	cat vm.ram 1<>"$ram"
	cp -r vm.ram.with/ "$ram.with"
	litter+=("$ram.with")
	before=$(sha256sum <"$ram")
	fails 3 'it is the image itself' "$ram"
	same "the image" "$(sha256sum <"$ram")" "$before"
	same "the guest's state" "$(run_state)" inmigrate
}

refused()
{
	images
	dest_begin
	fails 3 "small file 'other': it has none" vm.ptrim --state other
	fails 3 "small file 'other': it has none" vm.ram --state other
	head -c $((64 << 20)) vm.ram >half
	mkdir half.with
	cp vm.ram.with/state half.with/
	fails 3 'has 67108864 bytes there, and 134217728' half
	python3 -c 'import mmap, sys, time
with open(sys.argv[1], "r+b") as ram:
    m = mmap.mmap(ram.fileno(), 4096, offset=1 << 20)
    print("mapped", flush=True)
    time.sleep(600)' "$ram" >mapped &
	wait_until 10 test -s mapped
	fails 3 'is mapped by process' vm.ptrim
	kill %%
	wait_until 10 is_gone $!
	fails 3 'No such file' nothing.ptrim
	# Nothing of all that touched QEMU.
	serve_begin vm.ptrim
	server_ended 60
	runs 2
	fails 3 'does not wait for a guest' vm.ptrim
}

# A state that QEMU refuses: QEMU ends, and so does the server.
bad_state()
{
	images
	cp --sparse=always vm.ram bad
	mkdir bad.with
	head -c 20000 vm.ram.with/state >bad.with/state
	dest_begin
	serve_begin bad
	finish "$server" 60
	cat serve.err >&2
	[[ $status -eq 3 || $status -eq 4 ]] || die "exit $status"
	wait_until 10 no_keeper
}

on_a_disk()
{
	images
	on_disk
	ram=$PWD/ram
	cd "$dir"
	dest_begin
	fails 3 'it is on a disk' vm.ptrim
	wait_until 10 no_keeper
}

usage()
{
	local status=0

	"$pagetrim" serve x --qmp a --uffd-socket b 2>err || status=$?
	same exit "$status" 2
	grep -q 'want one of' err || die "$(cat err)"
	status=0
	"$pagetrim" serve x --uffd-socket b --paused 2>err || status=$?
	same exit "$status" 2
	grep -q 'go with --qmp' err || die "$(cat err)"
}

case_run "serve a QEMU: the guest is saved" guest_save
case_run "serve a QEMU: raw image" whole vm.ram
case_run "serve a QEMU: image at rest" whole vm.ptrim
case_run "serve a QEMU: without a filter of system calls" whole vm.ptrim --no-seccomp
case_run "serve a QEMU: on demand, a balloon, the recorded order" on_demand
case_run "serve a QEMU: left paused" paused
case_run "serve a QEMU: killed at each step" killed
case_run "serve a QEMU: stopped and started" stopped
case_run "serve a QEMU: what was set is undone" undone
case_run "serve a QEMU: a guest that another stopped" left_alone
case_run "serve a QEMU: a wrong next server" wrong_next
case_run "serve a QEMU: the image is its memory" own_memory
case_run "serve a QEMU: bad input touches nothing" refused
case_run "serve a QEMU: a state that is cut short" bad_state
case_run "serve a QEMU: memory on a disk" on_a_disk
case_run "serve a QEMU: wrong usage" usage
cases_end
