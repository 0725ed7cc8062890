#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# mutate.sh: do the unit tests hold the rules by which a page may be placed?  Changes
# one token of user/rebuild or user/sink at a time, in a private copy of the tree,
# and asserts that one of these tests then fails; tests/bpf/mutate.sh does the same
# for what BPF shares.
#
#     tests/unit/mutate.sh           all (root; two minutes)
#     tests/unit/mutate.sh --list    what they are
#
# Exit: 0 every change was caught, 1 one was not, 2 usage.
set -euo pipefail
cd "$(dirname "$0")/../.."

refer=user/rebuild/rebuild_refer.c
place=user/rebuild/rebuild.c
tables=user/rebuild/rebuild_tables.c
unreadable=user/rebuild/rebuild_unreadable.c

# file | sed command, on one line of it | what it changes
mutants=(
"$refer|s/return version \&\& (version.*/return version;/|a copy takes any version of its original"
"$refer|s/return version \&\& (version/return (version/|a copy takes an original that is whole in no version"
"$refer|s/if (bit_is_set(r->unreadable, page_idx))/if (0)/|a page without content is an original"
"$refer|s/if (at_least > version)/if (at_least > version + 1)/|a zero run of a region begins no version"
"$refer|s/== WHOLE ? version : 0/== WHOLE ? version : version/|an original need not be whole"
"$refer|s/table_get(.r->contents.page_idx.) == WHOLE/0/|an original whose pieces came out of order is never whole"
"$refer|s/if (!bit_is_set(r->written, original_idx))/if (0)/|a copy of a hole is read from the sink"
"$refer|s/copy_of(gfn, p->frame->id.generation)/copy_of(gfn, p->frame->id.generation + 1)/|a refusal names another version"
"$refer|s/to->pages.to->cnt++./to->pages[to->cnt]/|a refusal is not counted"
"$refer|s/return PLACED_NOT;/return 1;/|what is refused counts as placed"
"$refer|s/|| !base || whole_version(r, page_idx) != base)/|| !base)/|a delta takes any base"
"$refer|s/|| !base || whole/|| whole/|a delta without a base takes a page without a version"
"$refer|s/bit_is_set(r->summed, page_idx) \&\& r->contents/0 \&\& r->contents/|a base that others changed is a base"
"$place|s/bool is_written = bit_is_set(r->written, page_idx);/bool is_written = false;/|zeroes are not written over what was placed"
"$place|s/^\treturn is_written;/\treturn true;/|zeroes are written over holes"
"$place|s/return record->mask || bit_is_set(r->written, page_idx) ||/return record->mask ||/|zero blocks are not written over what was placed"
"$place|s/return version < r->versions.page_idx. ||/return version <= r->versions[page_idx] ||/|the pieces of one version replace each other"
"$place|s/return version < r->versions.page_idx. ||/return/|an older content replaces a newer one"
"$place|s/version < region_of(r, page_idx)->version;/false;/|an older content replaces a zero run of its region"
"$place|s/^\tif (version > r->versions.page_idx.) {/\tif (0) {/|a version takes pieces of the one before"
"$place|s/^\tif (version < region->version)/\tif (0)/|an older zero run replaces a newer one"
"$place|s/pt_rebuild_sum_later(p, page_idx) : 0;/0 : 0;/|a page whose pieces came out of order is left for the comparison"
"user/rebuild/rebuild_digest.c|s/r->contents.page_idx. != WHOLE)/0)/|a page of a newer version counts as whole"
"$tables|s/if (!pt_sink_starts_zero(sink))/if (0)/|every sink is taken for zero"
"$tables|s/page < cnt; page++/page + 1 < cnt; page++/|a region's last page is taken for zero"
"$tables|s/r->regions.i..has_pages = true;/;/|a zero run of a region is not written to a sink that is not zero"
"$unreadable|s/pt_rebuild_page_forget(r, page_idx));/0);/|an unreadable page keeps what was placed"
"user/sink/sink_memfd.c|s/s->starts_zero = !st.st_blocks;/s->starts_zero = true;/|a memfd with content is taken for zero"
"user/sink/sink_memfd.c|s/s->starts_zero = !st.st_blocks;/s->starts_zero = false;/|a memfd without content is not taken for zero"
"user/sink/sink_regions.c|s/r->sink.starts_zero = is_zero;/r->sink.starts_zero = true;/|regions are taken for zero"
"user/sink/sink_process.c|s/p->sink.starts_zero = is_zero;/p->sink.starts_zero = true;/|a process's memory is taken for zero"
)
tests=(test_rebuild test_rebuild_copy test_rebuild_delta test_rebuild_digest
       test_rebuild_unreadable test_rebuild_sinks test_rebuild_model
       test_sink_kinds test_sink_regions)

if [[ ${1-} == --list ]]; then
	for m in "${mutants[@]}"; do
		IFS='|' read -r file _ <<<"$m"
		printf '%-34s %s\n' "$file" "${m##*|}"
	done
	exit 0
fi
[[ $# -eq 0 ]] || { echo "usage: tests/unit/mutate.sh [--list]" >&2; exit 2; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
cp -r Makefile scripts include bpf user tests "$tmp"
[[ ! ${CCACHE_BASEDIR-} ]] || export CCACHE_BASEDIR=$tmp
cd "$tmp"

# A change may leave a variable unused, which is no error here.
build() { make -j "$(nproc)" B=build WERROR= "${tests[@]/#/build/tests/unit/}" &>log; }

# caught prints the first case that fails.  1: all pass.
caught()
{
	local t

	for t in "${tests[@]}"; do
		if ! timeout -k 5 300 scripts/isolate.sh "build/tests/unit/$t" &>log
		then
			sed -n "s/^\[  FAILED  \] /$t: /p" log |
				grep -v 'listed below' | head -n 1
			return 0
		fi
	done
	return 1
}

build || { tail log; echo "mutate: does not build"; exit 1; }
! caught || { tail log; echo "mutate: a test fails without any change"; exit 1; }

missed=0
for m in "${mutants[@]}"; do
	IFS='|' read -r file _ <<<"$m"
	change=${m#*|} change=${change%|*} verdict=
	cp "$file" before
	sed -i "$change" "$file"
	if [[ $(diff before "$file" | grep -c '^>') -ne 1 ]]; then
		verdict="does not change one line"
	elif ! build; then
		verdict="does not build"
	elif by=$(caught); then
		printf 'caught  %s\n        by %s\n' "${m##*|}" "$by"
	else
		verdict="no test fails"
	fi
	if [[ $verdict ]]; then
		printf 'MISSED  %s: %s\n' "${m##*|}" "$verdict"
		missed=$((missed + 1))
	fi
	cp before "$file"
done
echo "${#mutants[@]} changes, $missed missed"
[[ $missed -eq 0 ]]
