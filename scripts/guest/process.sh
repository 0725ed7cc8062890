# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# process.sh: the QEMU process of a guest whose RAM is a file.  Sourced by
# scripts/guest.sh and scripts/live_guest.sh, which define die, misuse and
# console_args, and set $command, $dir, $ram, $netns, $backend, $size_mib and
# $timeout_s.
#
# Environment: PAGETRIM_QEMU, the command; PAGETRIM_MACHINE, its machine type
# (default q35: another version of QEMU loads a state only by the type's full name).
#
# A guest's folder, $dir: qemu.pid, qmp.sock, serial.log and ram, a link to the
# RAM file.
# shellcheck disable=SC2154 # the caller's variables

process_here=$(dirname "${BASH_SOURCE[0]}")
read -ra qemu <<<"${PAGETRIM_QEMU:-qemu-system-x86_64}"
console=()	# QEMU's arguments, which console_args sets when $dir is known

# Actions that a failure undoes, last first.  A success undoes nothing.
undo=()
roll_back()
{
	local i

	for ((i = ${#undo[@]} - 1; i >= 0; i--)); do
		eval "${undo[i]}" || true
	done
}

undo_on_failure()
{
	trap roll_back EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# number NAME VALUE LOW HIGH: refuse what is not a number in the range.
number()
{
	if ! [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || (($2 < $3 || $2 > $4)); then
		misuse "$1 $2: not a number $3..$4"
	fi
}

qmp() { "$process_here/qmp.py" "$dir/qmp.sock" "$@"; }

# alive: our QEMU runs; a recycled pid does not count.
alive()
{
	local pid

	pid=$(cat "$dir/qemu.pid" 2>/dev/null) &&
		grep -qaF "$dir/qmp.sock" "/proc/$pid/cmdline" 2>/dev/null
}

# ram_claim: checks that the RAM file can be made, or, by load, is there.
ram_claim()
{
	local free_mib

	[[ $ram != *,* ]] || die "$ram: QEMU takes no comma in a RAM file's name"
	if [[ $command != load ]]; then
		[[ ! -e $ram ]] || die "$ram: exists (give another --ram)"
		free_mib=$(df --output=avail -BM "$(dirname "$ram")" |
			tail -n 1 | tr -dc 0-9) || die "$ram: no such folder"
		[[ $free_mib -ge $size_mib ]] ||
			die "$ram: $free_mib MiB free, $size_mib needed"
		undo+=("rm -f '$ram'")
	fi
	ln -sfn "$(realpath -m "$ram")" "$dir/ram"
}

# launch ARG...: start QEMU on the RAM file, on a memfd, or on memory of its own, if
# $ram is the word memfd or private; returns when it answers on QMP.
launch()
{
	local in_ns=() memory="size=${size_mib}M,share=on$backend"

	[[ -n $dir && -n $ram ]] || misuse "$command needs --dir and --ram"
	command -v "${qemu[0]}" >/dev/null ||
		die "${qemu[0]}: not found (run scripts/deps.sh)"
	[[ ! -e $dir/qemu.pid ]] ||
		die "$dir: holds a guest already (${0##*/} stop --dir $dir)"
	if [[ -n $netns ]]; then
		[[ -e /run/netns/$netns ]] ||
			die "$netns: no such network namespace (see ip netns)"
		in_ns=(nsenter "--net=/run/netns/$netns")
	fi
	mkdir -p "$dir"
	dir=$(cd "$dir" && pwd)
	[[ ${#dir} -le 90 ]] ||
		die "$dir: too long to hold a socket (at most 90 characters)"
	undo+=("stop_qemu")

	if [[ $ram == memfd ]]; then
		memory=memory-backend-memfd,id=ram,$memory
	elif [[ $ram == private ]]; then
		memory=memory-backend-ram,id=ram,size=${size_mib}M$backend
	else
		ram_claim
		memory=memory-backend-file,id=ram,mem-path=$ram,$memory${aligned-}
	fi
	console_args
	"${in_ns[@]}" "${qemu[@]}" -name pagetrim-guest -accel tcg \
		-M "${PAGETRIM_MACHINE:-q35}" -cpu max \
		-m "$size_mib" -object "$memory" \
		-machine memory-backend=ram -nodefaults -no-user-config \
		-display none -no-reboot "${console[@]}" \
		-qmp "unix:$dir/qmp.sock,server=on,wait=off" \
		-pidfile "$dir/qemu.pid" -D "$dir/qemu.log" -daemonize "$@" ||
		die "${qemu[*]} did not start: see its message above"
}

# said TEXT: prints the count of serial console lines with TEXT.
said() { grep -cF "$1" "$dir/serial.log" 2>/dev/null || true; }

# last_words: prints the last lines of the guest, or else of its kernel.
last_words()
{
	local words

	words=$(grep -a '^guest: ' "$dir/serial.log" | tail -n 2 | tr -d '\r')
	echo "${words:-$(tail -n 3 "$dir/serial.log")}"
} 2>/dev/null

# wait_said TEXT N: waits until the console has TEXT N times, at most timeout_s.
wait_said()
{
	local end=$((SECONDS + timeout_s)) n

	until n=$(said "$1") && [[ ${n:-0} -ge $2 ]]; do
		alive || die "QEMU ended; the guest's last words:" \
			"$(last_words)"
		[[ $SECONDS -lt $end ]] ||
			die "no '$1' from the guest within $timeout_s s (see" \
				"--timeout-s); its last words: $(last_words)"
		sleep 0.05
	done
}

# has_ended PID: true once it holds no memory and no file.  The first of several
# threads may end before the others, and init may reap it late.
has_ended()
{
	local -a stat

	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
	read -ra stat <<<"${stat##*) }"
	[[ ${stat[0]} == [ZX] && ${stat[17]} -le 1 ]]
}

# stop_qemu: ends it by request, then by SIGKILL; removes its files in the
# folder.
stop_qemu()
{
	local pid i

	if alive; then
		pid=$(cat "$dir/qemu.pid")
		timeout 5 "$process_here/qmp.py" "$dir/qmp.sock" quit \
			>/dev/null 2>&1 || kill "$pid" || true
		for ((i = 0; i < 500; i++)); do
			! has_ended "$pid" || break
			((i != 100)) || kill -KILL "$pid" || true
			sleep 0.05
		done
	fi
	rm -f "$dir"/{qemu.pid,qemu.log,qmp.sock,serial.log,ram,agent.sock,console.sock}
	rmdir "$dir" 2>/dev/null || true
}
