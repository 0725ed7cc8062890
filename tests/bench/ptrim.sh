#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# ptrim.sh: an image at rest beside its peers: bytes, seconds to write, and the time
# to open it and to read one page.
#
#     tests/bench/ptrim.sh RAW [STREAM]
#
#     RAW      a raw memory image, such as the RAM of scripts/guest.sh
#     STREAM   QEMU's own stream of the same guest (migrate exec:cat > STREAM)
#
# The files are written to a folder in $TMPDIR, /dev/shm by default, and removed.
# Environment: B, the build folder.
set -euo pipefail
cd "$(dirname "$0")/../.."

[[ $# -ge 1 && $# -le 2 ]] ||
	{ echo "usage: tests/bench/ptrim.sh RAW [STREAM]" >&2; exit 2; }
build=${B:-build}
tmp=$(mktemp -d -p "${TMPDIR:-/dev/shm}")
trap 'rm -rf "$tmp"' EXIT

# row NAME FILE COMMAND...: runs it, and prints the bytes of FILE and the seconds.
row()
{
	local name=$1 file=$2 began ended

	shift 2
	began=$(date +%s%N)
	"$@" >"$tmp/out"
	ended=$(date +%s%N)
	printf '%-28s %12d bytes %8.2f s\n' "$name" "$(stat -c %s "$file")" \
		"$(awk -v ns=$((ended - began)) 'BEGIN { print ns / 1e9 }')"
}

for how in off lz4 zstd zstd:3; do
	row ".ptrim, $how" "$tmp/$how.ptrim" "$build/pagetrim" image pack "$1" \
		"$tmp/$how.ptrim" --compress "$how"
	"$build/tests/bench/ptrim" "$tmp/$how.ptrim"
done
row "raw, sparse" "$tmp/raw" cp --sparse=always "$1" "$tmp/raw"
printf '%-28s %12d bytes\n' "  allocated" $(($(stat -c %b "$tmp/raw") * 512))
for raw; do
	row "zstd -1 of ${raw##*/}" "$tmp/zst" zstd -q -1 -T1 -f "$raw" -o "$tmp/zst"
done
