#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test_without.sh: where pkg-config knows neither liblz4, libzstd, libsystemd nor
# libseccomp, pagetrim is built without them, and --version and doctor say so.
#     tests/lib/test_without.sh BUILD
# It builds in BUILD/without, with BUILD's objects of all sources but those that
# differ there.  Exit: 0 all is right, else 1; each fault is a line.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

build=${1:?usage: tests/lib/test_without.sh BUILD}/without
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fault() { echo "test_without: $*"; failed=1; }

rm -rf "$build"
mkdir "$build"
cp -a "$1"/user "$1"/*.skel.h "$1"/*.bpf.o "$build" || exit 1
! grep -E 'PT_WITH_(lz4|zstd|systemd|seccomp)' -r include user --include='*.h' ||
	fault "a header differs: BUILD's objects cannot be taken"
mapfile -t differ < <(grep -lE 'PT_WITH_(lz4|zstd|systemd|seccomp)' user/*/*.c)
[ "${#differ[@]}" -gt 0 ] || fault "no source differs"
for source in "${differ[@]}"; do
	rm "$build/${source%.c}.o"
done

cat >"$tmp/pkg-config" <<END
#!/bin/sh
case "\$*" in
*liblz4*|*libzstd*|*libsystemd*|*libseccomp*) exit 1 ;;
esac
exec $(command -v pkg-config) "\$@"
END
chmod +x "$tmp/pkg-config"
PATH=$tmp:$PATH make -s -j 2 B="$build" "$build/pagetrim" >"$tmp/log" 2>&1 ||
	fault "does not build: $(tail "$tmp/log")"
# Its own needs: a library that it needs may need them, as trixie's libcrypto does.
readelf -d "$build/pagetrim" | grep NEEDED >"$tmp/needs" || fault "needs nothing"
! grep -E 'lz4|zstd|systemd|seccomp' "$tmp/needs" || fault "is linked with them"
"$build/pagetrim" --version |
	grep -qx 'compresses by nothing (built without liblz4 and libzstd)' ||
	fault "--version: $("$build/pagetrim" --version)"
"$build/pagetrim" --version |
	grep -qx 'notifies nobody (built without libsystemd)' ||
	fault "--version: $("$build/pagetrim" --version)"
"$build/pagetrim" --version |
	grep -qx 'filters no system calls (built without libseccomp)' ||
	fault "--version: $("$build/pagetrim" --version)"
"$build/pagetrim" doctor --dev lo >"$tmp/doctor" 2>/dev/null
for method in lz4 zstd; do
	grep -q "^info .*compression: *built without $method, .*install" \
		"$tmp/doctor" || fault "doctor: $(cat "$tmp/doctor")"
done
exit "$failed"
