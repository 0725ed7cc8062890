# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# completion.bash: completes pagetrim's commands, options, and what they take.
# Installed where bash-completion looks; else `source scripts/completion.bash`.
# Needs nothing but bash, and ip(8) for addresses.

# _pagetrim_options COMMAND: its options; one that takes no value has no more,
# the others a word for what they take.
_pagetrim_options()
{
	case $1 in
	doctor)
		echo --dev:device --to:host --json --help
		;;
	inspect)
		echo --pid:pid --keep-running --mtu:mtu --rate-mbit:number \
			--svg:file --json --help
		;;
	send)
		echo --dev:device --to:host --pid:pid --keep-running \
			--trim:trim --observe --copies:copies --with:file \
			--name:text --resume --queues:count --mtu:mtu \
			--max-bandwidth:count --control:file \
			--hugepages:hugepages --cpus:text \
			--zero-copy:zero-copy --generic --user:user \
			--peer-timeout:number --psk:file \
			--tls-cert:file --tls-key:file --tls-ca:file \
			--tls-hostname:text --cipher:cipher \
			--rekey-frames:number --pad --insecure --profile \
			--json --help
		;;
	receive)
		echo --dev:device --listen:address --out:file --serve \
			--resume --queues:count --max-memory:number \
			--max-files:number --max-transfers:count \
			--max-peer-memory:number --max-peer-files:number \
			--prealloc:number --hugepages:hugepages --cpus:text \
			--zero-copy:zero-copy --generic --user:user \
			--peer-timeout:number --psk:file \
			--tls-cert:file --tls-key:file --tls-ca:file \
			--tls-peer:text --cipher:cipher --insecure --profile \
			--json --help
		;;
	attach)
		echo --dev:device --generic --json --help
		;;
	detach)
		echo --dev:attached --force --json --help
		;;
	status)
		echo --json --help
		;;
	set)
		echo --help
		;;
	stats)
		echo --dev:device --watch --json --help
		;;
	keygen)
		echo --identity:text --help
		;;
	esac
}

_pagetrim_devices() { (cd /sys/class/net && echo *) 2>/dev/null; }

# Pins are named by device, a dot as a colon; where there are none, any device.
_pagetrim_attached()
{
	local dir found=

	for dir in /sys/fs/bpf/pagetrim/*/; do
		[[ -d $dir ]] || continue
		dir=${dir%/}
		dir=${dir##*/}
		found+="${dir//:/.} "
	done
	echo "${found:-$(_pagetrim_devices)}"
}

# _pagetrim_addresses [DEV]: this host's, or a device's, IPv6 in brackets so
# that a port can follow.
_pagetrim_addresses()
{
	local family address

	ip -o address show ${1:+dev "$1"} 2>/dev/null |
		while read -r _ _ family address _; do
			address=${address%%/*}
			case $family in
			inet)	echo "$address" ;;
			inet6)	[[ $address == fe80:* ]] || echo "[$address]" ;;
			esac
		done
}

_pagetrim_pids() { (cd /proc && echo [1-9]*); }

# _pagetrim_words WORD...: of these, those that begin as the current word.  Not
# by `compgen -W`, which would run what a word says in $(...).
_pagetrim_words()
{
	local -a all
	local candidate prefix=''

	# readline replaces only what stands after the last colon.
	[[ $COMP_WORDBREAKS != *:* ]] || prefix=${word%"${word##*:}"}
	read -ra all -d '' <<<"$*" || true	# no NUL at the end
	for candidate in "${all[@]}"; do
		[[ $candidate != "$word"* ]] ||
			COMPREPLY+=("${candidate#"$prefix"}")
	done
}

_pagetrim_files()
{
	compopt -o filenames 2>/dev/null	# not when called by a test
	mapfile -t COMPREPLY < <(compgen -f -- "$word")
}

# _pagetrim_value KIND: completes what an option takes.
_pagetrim_value()
{
	case $1 in
	device)		_pagetrim_words "$(_pagetrim_devices)" ;;
	attached)	_pagetrim_words "$(_pagetrim_attached)" ;;
	address)	_pagetrim_words "$(_pagetrim_addresses "$dev")" ;;
	host)		mapfile -t COMPREPLY < <(compgen -A hostname -- "$word") ;;
	pid)		_pagetrim_words "$(_pagetrim_pids)" ;;
	user)		mapfile -t COMPREPLY < <(compgen -A user -- "$word") ;;
	trim)		_pagetrim_words none ends blocks ;;
	copies | zero-copy) _pagetrim_words auto on off ;;
	cipher)		_pagetrim_words aes-128-gcm aes-256-gcm \
				chacha20-poly1305 ;;
	mtu)		_pagetrim_words auto 1280 1500 9000 65535 ;;
	count)		_pagetrim_words auto ;;
	hugepages)	_pagetrim_words off thp on auto ;;
	file)		_pagetrim_files ;;
	esac	# text, number: the user's to say
}

# _pagetrim_line: the words up to the cursor as they were typed; readline cuts
# them at '=' and ':', too.  Sets words, and word: the last.
_pagetrim_line()
{
	local line=${COMP_LINE:0:COMP_POINT}

	read -ra words <<<"$line"
	[[ $line != *[[:space:]] ]] || words+=('')
	word=${words[-1]}
}

_pagetrim()
{
	local -a words=() left=()
	local word option command dev='' given=' ' i

	COMPREPLY=()
	_pagetrim_line
	if ((${#words[@]} <= 2)); then
		_pagetrim_words doctor inspect send receive status set attach \
			detach stats keygen help --help --version
		return
	fi
	command=${words[1]}
	for ((i = 2; i < ${#words[@]} - 1; i++)); do
		given+="${words[i]} "
		[[ ${words[i]} != --dev ]] || dev=${words[i + 1]}
	done

	if [[ $word == --watch=* && $command == stats ]]; then
		word=${word#--watch=}
		_pagetrim_words 1 5 10 60
		return
	fi
	for option in $(_pagetrim_options "$command"); do
		if [[ $option == "${words[-2]}":* ]]; then
			_pagetrim_value "${option#*:}"
			return
		fi
		option=${option%%:*}
		# Once is enough, but for files.
		[[ $given == *" $option "* && $option != --with ]] ||
			left+=("$option")
	done
	if [[ $word == -* ]]; then
		_pagetrim_words "${left[@]}"
	elif [[ $command == set && ${#words[@]} -eq 4 ]]; then
		_pagetrim_words max-bandwidth
	elif [[ " inspect send keygen status set " == *" $command "* ]]; then
		_pagetrim_files		# a SOURCE, a FILE, a PATH
	else
		_pagetrim_words "${left[@]}"
	fi
}

complete -F _pagetrim pagetrim
