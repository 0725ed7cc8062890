# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# images.sh: the memories that the bench moves, all of $size_mib MiB, one at a
# time, at $ram.  Sourced by scripts/bench.sh, whose variables it reads.
#
#     guest    a real guest, stopped when it had done its work; pages that it
#              never touched are holes
#     filled   the same, every page allocated: nothing is a hole
#     worked   the same guest, stopped after it went on for three beats (it
#              reads back and hashes all its files, once a second)
#     random   incompressible: no block of it is zero
#     half     of every page one half is zero, by turns the first and the second
#     zero     wholly zero, every page allocated
# shellcheck disable=SC2034,SC2154 # variables shared with bench.sh

all_images=(guest filled worked random half zero)

# images_kept_fits: what is kept is the guest that was asked for, or nothing is
# kept yet; else refused.
images_kept_fits()
{
	local kept_work=''

	images_need_guest && [[ -n $kept && -e $kept/state ]] || return 0
	[[ $(stat -Lc %s "$kept/guest" 2>/dev/null) -eq $((size_mib << 20)) ]] ||
		misuse "--guest $kept: a guest of another size (--size-mib)"
	[[ ! -e $kept/work ]] || kept_work=$(<"$kept/work")
	[[ $kept_work == "$work" ]] ||
		misuse "--guest $kept: a guest that did ${kept_work:-unknown} work, not --work $work (give that, or another folder)"
}

# images_begin: the guest's memory, now and after more work, in $memory, and
# its devices' state, without which QEMU has no guest to move.
images_begin()
{
	if ! images_need_guest; then
		return
	elif [[ -n $kept && -e $kept/state ]]; then
		cp --sparse=auto "$kept"/{guest,worked} "$memory"
		cp "$kept/state" "$tmp"
	else
		guest_boot
	fi
}

images_need_guest()
{
	[[ "${images[*]} ${only[*]}" =~ guest|filled|worked|qemu|multifd ]]
}

guest_boot()
{
	local beat

	echo "bench: booting a guest of $size_mib MiB" >&2
	"$guest" start --ram "$ram" --dir "$tmp_src" --size-mib "$size_mib" \
		--work "$work" --timeout-s 900
	"$guest" save --dir "$tmp_src" --state "$tmp/state"
	cp --sparse=auto "$ram" "$memory/guest"
	if [[ -n $kept || " ${images[*]} " == *" worked "* ]]; then
		for beat in 1 2 3; do
			"$guest" resume --dir "$tmp_src" --timeout-s 900 \
				>/dev/null || die "the guest, beat $beat"
		done
		"$guest" pause --dir "$tmp_src"
		cp --sparse=auto "$ram" "$memory/worked"
	fi
	"$guest" stop --dir "$tmp_src"
	[[ -n $kept ]] || return 0
	mkdir -p "$kept"
	echo "$work" >"$kept/work"
	# The state last: where it is, all is.
	cp --sparse=auto "$memory"/{guest,worked} "$tmp/state" "$kept"
}

# image_make IMAGE: it stands at $ram.
image_make()
{
	case $1 in
	guest)
		cp --sparse=auto "$memory/guest" "$ram"
		;;
	worked)
		mv "$memory/worked" "$ram"
		;;
	filled)
		cp --sparse=never "$memory/guest" "$ram"
		;;
	random)
		head -c "${size_mib}M" /dev/urandom >"$ram"
		;;
	half)
		half_pages >"$ram"
		;;
	zero)
		head -c "${size_mib}M" /dev/zero >"$ram"
		;;
	esac
}

half_pages()
{
	python3 - "$size_mib" <<-'PYTHON'
		import os
		import sys

		MIB, HALF = 1 << 20, 2048
		for _ in range(int(sys.argv[1])):
		    data = os.urandom(MIB // 2)
		    halves = [data[i:i + HALF] for i in range(0, len(data), HALF)]
		    sys.stdout.buffer.write(b"".join(
		        bytes(HALF) + half if i % 2 else half + bytes(HALF)
		        for i, half in enumerate(halves)))
	PYTHON
}
