#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# test_install.sh: `make install` gives an embedder one header, a shared and a
# static library with the symbols of that header alone and the layout of abi.list,
# a pkg-config file by which both can be linked, and a man page for each function.
#     tests/lib/test_install.sh BUILD
# Exit: 0 all is right, else 1; each fault is a line.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

build=${1:?usage: tests/lib/test_install.sh BUILD}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
fault() { echo "test_install: $*"; failed=1; }

# same WHAT FILE FILE: compares two lists of symbols.
same() {
	diff "$2" "$3" >"$tmp/diff" || fault "$1: $(cat "$tmp/diff")"
}

make --no-print-directory B="$build" DESTDIR="$tmp/root" PREFIX=/opt/pt \
	install >"$tmp/log" 2>&1 || fault "make install: $(tail "$tmp/log")"
lib=$tmp/root/opt/pt/lib
header=$tmp/root/opt/pt/include/pagetrim/pagetrim.h

[ "$(find "$tmp/root" -name '*.h' | sort)" = "${header%/*}/live.h
$header" ] ||
	fault "headers: $(find "$tmp/root" -name '*.h')"
[ "$(readlink "$lib/libpagetrim.so")" = libpagetrim.so.0 ] ||
	fault "libpagetrim.so is no link to libpagetrim.so.0"
readelf -d "$lib/libpagetrim.so" >"$tmp/needs"
grep -q 'SONAME.*\[libpagetrim.so.0\]' "$tmp/needs" ||
	fault "the soname is not libpagetrim.so.0"

sed -nE 's/^PT_API .*[ *](pt_[a-z_0-9]+)\(.*/\1/p' "$header" | sort >"$tmp/header"
sed -nE 's/^\t(pt_[a-z_0-9]+);/\1/p' user/api/pagetrim.map | sort >"$tmp/map"
nm -D --defined-only "$lib/libpagetrim.so" | awk '$2 != "A" { print $3 }' |
	sed 's/@@PAGETRIM_0$//' | sort >"$tmp/so"
nm -g --defined-only "$lib/libpagetrim.a" | awk 'NF == 3 { print $3 }' |
	sort >"$tmp/a"
[ -s "$tmp/header" ] || fault "no function found in $header"
same "header and pagetrim.map" "$tmp/header" "$tmp/map"
same "pagetrim.map and libpagetrim.so" "$tmp/map" "$tmp/so"
same "pagetrim.map and libpagetrim.a" "$tmp/map" "$tmp/a"

# Programs that were compiled before go on to work.
tests/lib/abi.py >"$tmp/diff" || fault "another layout than in abi.list: $(cat "$tmp/diff")"

cmp -s examples/wireshark/pagetrim.lua \
	"$tmp/root/opt/pt/share/pagetrim/pagetrim.lua" || fault "no dissector"

# Each function has a man page by its name, which shows it, and each option is
# documented.
man=$tmp/root/opt/pt/share/man/man3
while read -r name; do
	grep -qE "^\.(Fn|Fo) $name( |\$)" "$man/$name.3" ||
		fault "$name: no page in section 3 that shows it"
done <"$tmp/header"
sed -nE 's/^\.Nm (pt_[a-z_]+).*/\1/p' docs/man/*.3 | sort >"$tmp/man"
same "header and man pages" "$tmp/header" "$tmp/man"
for pages in send_opts:send recv_opts:recv sink_opts:sink process_opts:source \
	     template_opts:template region:source status:send event:recv \
	     live_round:send live_send:send live_recv:recv "security:send recv"; do
	read -ra names <<<"${pages#*:}"
	names=("${names[@]/#/$man/pt_}")
	sed -n "/^struct pt_${pages%:*} {/,/^};/p" "$header" "${header%/*}/live.h" |
		sed -e 's@/\*.*@@' -e '/^\t*  *\*/d' |
		grep -oE '[ *(][a-z_]+(\)\(|;)' | tr -d ' *();' >"$tmp/fields"
	[ -s "$tmp/fields" ] || fault "no fields of pt_${pages%:*} found"
	while read -r field; do
		grep -qE "^\.(It )?Fa .*\<$field\>|^	[a-z].*\<$field;" "$man/libpagetrim.3" \
			"${names[@]/%/.3}" ||
			fault "$field of pt_${pages%:*}: no page tells"
	done <"$tmp/fields"
done
for page in docs/man/*.3; do
	mandoc -Tlint -Wwarning "$page" || fault "$page: mandoc complains"
done

export PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$tmp/root
cat >"$tmp/user.c" <<'END'
#include <pagetrim/pagetrim.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	puts(pt_version());
	return strcmp(pt_version(), PT_VERSION_TEXT) != 0;
}
END
cp "$tmp/user.c" "$tmp/user.cc"

# try WHAT COMPILER FLAG... : builds the program by pkg-config, and runs it.
# LIBS: the libraries.
try() {
	local what=$1 cflags
	shift

	read -ra cflags < <(pkg-config --cflags libpagetrim)
	"$@" -Wall -Wextra -Wpedantic -Werror "${cflags[@]}" -o "$tmp/user" \
		"${LIBS[@]}" >"$tmp/log" 2>&1 || {
		fault "$what: does not build: $(cat "$tmp/log")"
		return
	}
	[ "$(LD_LIBRARY_PATH=$lib "$tmp/user")" = "$(pkg-config --modversion libpagetrim)" ] ||
		fault "$what: the version is not pkg-config's"
}
read -ra LIBS < <(pkg-config --libs libpagetrim)
try "C99, shared" cc -std=c99 "$tmp/user.c"
try "C++11, shared" c++ -std=c++11 "$tmp/user.cc"
ldd "$tmp/user" >"$tmp/needs"
grep -q 'libpagetrim.so.0' "$tmp/needs" || fault "shared: not linked with it"
unset PKG_CONFIG_SYSROOT_DIR	# or the system's libraries would be sought in it
read -ra LIBS < <(pkg-config --static --libs-only-l libpagetrim)
LIBS=("${LIBS[@]/#-lpagetrim/$lib/libpagetrim.a}")
PKG_CONFIG_SYSROOT_DIR=$tmp/root
export PKG_CONFIG_SYSROOT_DIR
try "C99, static" cc -std=c99 "$tmp/user.c"

# A distribution's folders.
arch=usr/lib/x86_64-linux-gnu
make --no-print-directory B="$build" DESTDIR="$tmp/distro" PREFIX=/usr \
	BINDIR=/usr/sbin LIBDIR=/$arch install >"$tmp/log" 2>&1 ||
	fault "make install with folders: $(tail "$tmp/log")"
for file in usr/sbin/pagetrim "$arch"/libpagetrim.{so.0,a} \
	usr/include/pagetrim/pagetrim.h usr/share/man/man8/pagetrim.8; do
	[ -e "$tmp/distro/$file" ] || fault "$file is not installed"
done
[ ! -e "$tmp/distro/usr/bin" ] || fault "BINDIR has no effect"
unset PKG_CONFIG_SYSROOT_DIR
libdir=$(PKG_CONFIG_PATH=$tmp/distro/$arch/pkgconfig \
	pkg-config --variable=libdir libpagetrim)
[ "$libdir" = "/$arch" ] || fault "libpagetrim.pc: libdir is '$libdir'"

# The version is the header's everywhere.
version=$(sed -n 's/^#define PT_VERSION_TEXT "\(.*\)"/\1/p' "$header")
"$tmp/distro/usr/sbin/pagetrim" --version | head -n 1 |
	grep -qx "pagetrim $version" || fault "--version is not $version"
for page in "$tmp"/distro/usr/share/man/man[38]/*.[38]; do
	grep -qx ".Os pagetrim $version" "$page" || fault "$page: not $version's"
done

exit "$failed"
