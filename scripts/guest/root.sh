# shellcheck shell=bash disable=SC2154 # the caller's variables
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# root.sh: another Debian release as a folder of the cache, and commands in it, in
# mount, PID, IPC and UTS namespaces of their own.  Sourced by
# scripts/test-distro.sh and scripts/test-cross.sh, which define die and say.
#
#     Debian's mirror --mmdebstrap--> ~/.cache/pagetrim/NAME      (read only)
#     this repository --clone-------> /root/pagetrim            overlay in $tmp
#                                          |                          |
#                                     COMMAND as of a machine that has just booted

root_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root_cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pagetrim
root_pid=''

# root_clone: copies the last commit to $tmp/pagetrim.
root_clone()
{
	git clone -q --no-hardlinks "$root_here/../.." "$tmp/pagetrim" >&2 ||
		die "cannot clone $root_here/../.."
	say "clone of $(git -C "$tmp/pagetrim" log -1 --format='%h %s')"
}

# root_packages SUITE DIR ARG...: fills DIR with the packages of a minimal system
# and those that ARG... ask mmdebstrap for.  apt in it gets this machine's
# settings for downloads.
root_packages()
{
	local suite=$1 dir=$2 from

	shift 2
	from=$(suites_mirror)
	[[ $from ]] || { apt-get -q update >&2; from=$(suites_mirror); }
	[[ $from ]] || die "apt has no source of Debian's main suite"
	apt-config dump | grep -E '^Acquire::(Check|https?:|Retries)' >"$tmp/apt.conf" ||
		true
	mmdebstrap --quiet --mode=root --variant=minbase --aptopt="$tmp/apt.conf" \
		"$@" "$suite" "$dir" "$from" >&2
}

# root_cached NAME COMMAND ARG...: sets $image, a folder of the cache.  One that is
# not there yet is made by COMMAND ARG... DIR.
root_cached()
{
	local name=$1 start=$SECONDS

	shift
	image=$root_cache/$name
	mkdir -p "$image.cache"
	exec 9>"$image.lock"
	flock -w 3600 9 || die "$image.lock: still held after an hour"
	if [[ -d $image ]]; then
		say "root $image: is there"
	else
		new=$image.new.$$
		"$@" "$new"
		mv "$new" "$image"
		new=''
		say "root $image: made in $((SECONDS - start)) s"
	fi
	exec 9>&-
}

# root_prepare NAME SUITE COMMAND ARG...: sets $image, filled as by root_packages
# with ARG..., and by COMMAND in it.
root_prepare()
{
	local name=$1

	shift
	root_cached "$name" root_fill "$@"
}

# root_fill SUITE COMMAND ARG... DIR
root_fill()
{
	local suite=$1 command=$2 dir=${!#}

	root_packages "$suite" "$dir" "${@:3:$#-3}" ||
		die "mmdebstrap made no $suite: see its message above"
	root_run "$dir" '' "$command" >&2 ||
		die "$suite: '$command' failed: see above"
}

# root_run ROOT LAYER COMMAND: runs it in the root, as root_init.sh does.
root_run()
{
	local status=0

	unshare --mount --pid --ipc --uts --fork --kill-child \
		--propagation private -- "$root_here/root_init.sh" "$1" "$2" \
		"$image.cache" "$tmp/pagetrim" "$3" &
	root_pid=$!
	wait "$root_pid" || status=$?
	root_pid=''
	return "$status"
}

# root_begin: makes $tmp; removes it, and what is half made, at each way out.
root_begin()
{
	tmp='' new=''
	trap root_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	mkdir -p "$root_cache"
	tmp=$(mktemp -d "$root_cache/run.XXXXXX")
}

root_end()
{
	# Its namespaces end with it, and all that is mounted there.
	if [[ $root_pid ]]; then
		kill -KILL "$root_pid" 2>/dev/null || true
		wait "$root_pid" 2>/dev/null || true
	fi
	[[ -z $tmp ]] || rm -rf --one-file-system "$tmp"
	[[ -z $new ]] || rm -rf --one-file-system "$new"
}
