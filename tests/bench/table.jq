# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# table.jq: the results of bench.sh, one object a run, as a table of medians.
def median: sort | if length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def fixed($digits): pow(10; $digits) as $p
	| (. * $p | round) as $n
	| "\($n / $p | floor).\(($n % $p) + $p | tostring[1:])";
def left($w): . + " " * ([$w - length, 0] | max);
def right($w): " " * ([$w - length, 0] | max) + .;
def row: [(.[0] | left(10)), (.[1] | right(6)), (.[2] | right(9)),
	(.[3] | right(16)), (.[4] | right(8)), (.[5] | right(9)),
	(.[6] | right(7)), (.[7] | right(8)), (.[8] | right(7))] | join(" ");

(["what", "MTU", "seconds", "least..most", "MB", "Gbit/s", "CPU s",
  "x qemu", "lost"] | row),
(group_by(.mtu)[]
	| (map(select(.what == "qemu").seconds)
		| if length > 0 then median else null end) as $qemu
	| group_by(.what)
	| sort_by(.[0].what as $what | ["pagetrim", "insecure", "qemu", "qemu-cold",
		"multifd", "blast"] | index($what))[]
	| (map(.seconds) | median) as $s
	| (map(.bytes) | median) as $bytes
	| [.[0].what, (.[0].mtu | tostring), ($s | fixed(3)),
	   "\(map(.seconds) | min | fixed(3))..\(map(.seconds) | max | fixed(3))",
	   ($bytes / 1e6 | fixed(1)), ($bytes * 8 / $s / 1e9 | fixed(2)),
	   (map(.cpu_s) | median | fixed(2)),
	   (if $qemu then $qemu / $s | fixed(2) else "-" end),
	   (if .[0].lost then (map(.lost) | median | . * 100 | fixed(1)) + "%"
	    else "-" end)]
	| row)
