/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Room cli: the command line.
 *
 *   knows         one file per subcommand, options, reports, privileges of the
 *                 process; the only code that prints
 *   may use       base trim seal xdp xsk tls ctl memory source survey session lane
 *                 send receive doctor
 *   must not know frames, messages, how a transfer does its work
 */
/* commands: one function and one table of options a subcommand.  argv[0] is
 * the subcommand's name; each returns an enum pt_exit.  Only these, output.c and
 * options print. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

#define PT_COMMANDS(X)							\
	X(doctor, "what will and will not work here, and how to mend it") \
	X(inspect, "what trimming would save here, before anything is sent") \
	X(send, "send memory to a receiver")				\
	X(receive, "receive memory and rebuild it")			\
	X(status, "how far a sender with --control is")			\
	X(set, "change its limit while it runs")			\
	X(attach, "attach and pin the receive program on a device")	\
	X(detach, "detach and unpin it")				\
	X(stats, "the receive program's counters")			\
	X(keygen, "make a pre-shared key for send and receive")

#define X(name, text)							\
	int pt_cmd_##name(int argc, char **argv);			\
	extern const struct pt_command pt_command_##name;
PT_COMMANDS(X)
#undef X

#endif
