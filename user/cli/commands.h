/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room cli: the command line.
 *
 *   knows         one file per subcommand, options, reports, privileges of the
 *                 process; the only code that prints
 *   may use       base trim seal xdp xsk tls ctl memory source sink survey session
 *                 lane send receive vmm proxy doctor api run wire
 *                 service confine image template lazy postcopy
 *   must not know frames, messages, how a transfer does its work
 */
/* commands: one function and one table of options per subcommand.  argv[0] is
 * the subcommand's name; each returns an enum pt_exit.  Only these, output.c
 * and options print. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

#define PT_COMMANDS(X)							\
	X(doctor, "report what works here, what does not, and remedies") \
	X(inspect, "report what trimming would save, before sending")	\
	X(send, "send memory to a receiver")				\
	X(migrate, "move a running QEMU guest to another host")		\
	X(receive, "receive memory and rebuild it")			\
	X(proxy, "carry QEMU's own migration stream to another host")	\
	X(ctl, "list, ask or steer transfers while they run")	\
	X(report, "draw a move from the events of migrate --json")	\
	X(attach, "attach and pin the receive program on a device")	\
	X(detach, "detach and unpin that program")			\
	X(image, "keep memory in a small, checked file at rest")	\
	X(template, "keep a memory from which many processes start")	\
	X(serve, "run a guest before its stored memory is read")	\
	X(stats, "print the receive program's counters")		\
	X(keygen, "make a pre-shared key for send and receive")

#define X(name, text)							\
	int pt_cmd_##name(int argc, char **argv);			\
	extern const struct pt_command pt_command_##name;
PT_COMMANDS(X)
#undef X

#endif
