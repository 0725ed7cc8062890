# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# bytes_contestants.sh: who moves the memory over the hop, by the functions of
# contestants.sh.  Sourced by bytes.sh, whose variables it reads.
#
#     auto, off, lz4, zstd      pagetrim --compress that (zstd: level 1), sealed
#     auto-insecure, ...        the same, not sealed
#     qemu                      pre-copy of this system's QEMU
#     qemu-multifd              the same over 2 channels
#     qemu-zstd2, qemu-zstd4    over 2 or 4 channels, compressed by zstd
#     qemu10, ...               these of QEMU 10
#     tcp                       tcp_pages.c
#     tcp-lz4, tcp-zstd         the image, piped through lz4 -1 or zstd -1
#
# All memory of QEMU's source is allocated and mapped before.
# shellcheck disable=SC2034,SC2154 # variables shared with bytes.sh

bytes_all=(auto auto-insecure off off-insecure lz4 lz4-insecure zstd zstd-insecure
	   qemu qemu-multifd qemu-zstd2 qemu-zstd4
	   qemu10 qemu10-multifd qemu10-zstd2 qemu10-zstd4
	   tcp tcp-lz4 tcp-zstd)

# bytes_absent: contestants that cannot run here leave $only.
bytes_absent()
{
	local -a left=()
	local who

	for who in "${only[@]}"; do
		case $who in
		qemu10*)
			[[ -n $(qemu10) ]] || {
				warn "$who: no QEMU 10: run scripts/test-nic.sh igb"
				continue
			} ;;
		tcp-*)
			hash socat "${who#tcp-}" 2>/dev/null || {
				warn "$who: no socat, or no ${who#tcp-}"
				continue
			} ;;
		esac
		left+=("$who")
	done
	only=("${left[@]}")
}

# qemu10: prints the command of QEMU 10; nothing if there is none.
qemu10()
{
	local dir=${XDG_CACHE_HOME:-$HOME/.cache}/pagetrim/nic-qemu

	[[ ! -x $dir/usr/bin/qemu-system-x86_64 ]] ||
		echo "env QEMU_MODULE_DIR=/nonexistent" \
			"$dir/usr/bin/qemu-system-x86_64 -L $dir/usr/share/qemu" \
			"-L /usr/share/seabios -L /usr/lib/ipxe/qemu"
}

# machine_type: prints what q35 is to this system's QEMU, which saved the devices.
machine_type()
{
	qemu-system-x86_64 -M help |
		sed -n 's/^q35 .*alias of \(pc-q35-[0-9.]*\)).*/\1/p'
}

# bytes_contest WHO: sets result, as contestants.sh has it.
bytes_contest()
{
	local who=${1%-warm} sink_args=() warm=()
	local send_args=() both=()

	[[ $1 == "$who" ]] || warm=(--prealloc)
	case $who in
	auto* | off* | lz4* | zstd*)
		[[ -z ${warm[*]} ]] || sink_args=(--prealloc "${size_mib}M")
		both=(--psk "$tmp/psk")
		[[ $who != *-insecure ]] || both=(--insecure)
		send_args=(--compress "${who%-insecure}")
		ours 1 blocks "${both[@]}"
		;;
	qemu10*)
		PAGETRIM_QEMU=$(qemu10) PAGETRIM_MACHINE=$(machine_type)
		export PAGETRIM_QEMU PAGETRIM_MACHINE
		contest_qemu "${who#qemu10}" "${warm[@]}"
		;;
	qemu*)		contest_qemu "${who#qemu}" "${warm[@]}" ;;
	tcp)		run_tcp ;;
	tcp-*)		contest_piped "${who#tcp-}" ;;
	esac
}

# contest_qemu HOW [--prealloc]
contest_qemu()
{
	local qemu_compression='' channels=0

	case $1 in
	-multifd)	channels=2 ;;
	-zstd*)		channels=${1#-zstd} qemu_compression=zstd ;;
	esac
	migrate "$channels" "${@:2}"
}

# contest_piped CODEC: the way of an engineer without a tool for it.
contest_piped()
{
	local codec=$1 ends began

	need_bare_link
	ends_measured piped_receive piped_send
	result=$(jq -n --argjson ends "$ends" --argjson ended "$EPOCHREALTIME" \
		--argjson began "$(<"$tmp/began")" \
		'{seconds: ($ended - $began)} + $ends')
	same_copy "$codec" "$ram"
}

piped_receive()
{
	local decode="zstd -dqf --sparse -o"

	[[ $codec == zstd ]] || decode="lz4 -dqf --sparse -"
	end_b bash -o pipefail -c \
		"socat -u TCP-LISTEN:7779,reuseaddr - | $decode '$ram.copy'"
}

piped_receive_is_ready() { listens 7779; }

piped_send()
{
	echo "$EPOCHREALTIME" >"$tmp/began"
	end_a bash -o pipefail -c \
		"$codec -1 -qc '$ram' | socat -u - TCP:$HOSTS_B4:7779"
}
