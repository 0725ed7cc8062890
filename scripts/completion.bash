# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# completion.bash: completes pagetrim's commands, options and their values.
# bash-completion finds it when installed; else `source
# scripts/completion.bash`. It needs bash, and ip(8) for addresses; pagetrim
# itself prints the completions.

_pagetrim_devices() { (cd /sys/class/net && echo *) 2>/dev/null; }

# The folders of pins have the devices' names, with a colon for a dot; without
# pins all devices are offered.
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

# _pagetrim_addresses [DEV]: addresses of this host, or of a device, IPv6 in
# brackets so that a port can follow.
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

# _pagetrim_words WORD...: the words that begin as the current word. `compgen
# -W` would execute $(...) in a word.
_pagetrim_words()
{
	local -a all
	local candidate prefix=''

	# readline replaces only the part after the last colon.
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

# _pagetrim_value OFFER: completes the value of an option or an argument.
_pagetrim_value()
{
	case $1 in
	=*)		_pagetrim_words "${1#=}" ;;
	device)		_pagetrim_words "$(_pagetrim_devices)" ;;
	attached)	_pagetrim_words "$(_pagetrim_attached)" ;;
	address)	_pagetrim_words "$(_pagetrim_addresses "$dev")" ;;
	host)		mapfile -t COMPREPLY < <(compgen -A hostname -- "$word") ;;
	pid)		_pagetrim_words "$(_pagetrim_pids)" ;;
	user)		mapfile -t COMPREPLY < <(compgen -A user -- "$word") ;;
	file)		_pagetrim_files ;;
	esac	# text: the user's choice
}

# _pagetrim_line: sets words to the words up to the cursor as they were typed,
# which readline also cuts at '=' and ':', and word to the last one.
_pagetrim_line()
{
	local line=${COMP_LINE:0:COMP_POINT}

	read -ra words <<<"$line"
	[[ $line != *[[:space:]] ]] || words+=('')
	word=${words[-1]}
}

# _pagetrim PROGRAM: asks PROGRAM for its commands, and for a command's
# arguments: lines of offers, and of "--OPTION OFFER" (see pagetrim(8)).
_pagetrim()
{
	local -a words=() left=() arguments=()
	local program=${1/#\~/$HOME} word before option offer inline='' dev='' given=' ' i

	COMPREPLY=()
	_pagetrim_line
	if ((${#words[@]} <= 2)); then
		_pagetrim_words "$("$program" completion 2>/dev/null)"
		return
	fi
	for ((i = 2; i < ${#words[@]} - 1; i++)); do
		given+="${words[i]%%=*} "
		case ${words[i]} in
		--dev)		dev=${words[i + 1]} ;;
		--dev=*)	dev=${words[i]#*=} ;;
		esac
	done

	before=${words[-2]}
	if [[ $word == --*=* ]]; then
		inline=yes before=${word%%=*} word=${word#*=}
	fi
	while read -r option offer; do
		if [[ $option != --* ]]; then
			arguments+=("$option${offer:+ $offer}")
			continue
		fi
		# With "=" its value is optional, with "+" it may be repeated.
		if [[ $offer && ${option%[=+]} == "$before" ]] &&
			[[ $inline || $option != *= ]]; then
			_pagetrim_value "$offer"
			return
		fi
		[[ $given == *" ${option%[=+]} "* && $option != *+ ]] ||
			left+=("${option%[=+]}")
	done < <("$program" completion "${words[1]}" 2>/dev/null)
	[[ ! $inline ]] || return 0

	if [[ $word == -* || ${#arguments[@]} -eq 0 ]]; then
		_pagetrim_words "${left[@]}"
		return
	fi
	i=$((${#words[@]} - 3))		# the last repeats
	((i < ${#arguments[@]})) || i=$((${#arguments[@]} - 1))
	_pagetrim_value "${arguments[i]}"
}

complete -F _pagetrim pagetrim
