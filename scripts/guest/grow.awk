# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# grow.awk: a web server's access log, the same for the same seed.
# Columns: at host method path status agent size
BEGIN {
	srand(seed)
	print "at host method path status agent size"
	for (i = 0; i < 50000; i++) {
		at += int(rand() * 4)
		printf "%d 10.%d.%d.%d GET /item/%x/%d 200 \"agent/%d.%d\" %d\n",
			1700000000 + at, rand() * 4, rand() * 256,
			rand() * 256, rand() * 2 ^ 31, i % 977,
			rand() * 12, rand() * 9, rand() * 65536
	}
}
