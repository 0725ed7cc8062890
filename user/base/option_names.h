/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* option_names: the options that an error may name.
 *
 * A text of the rooms below user/cli writes {zero-copy}.  The command line turns
 * that into its option --zero-copy, everybody else reads the name of the field,
 * zero_copy: see pt_error_set.  tests/unit/test_error.c holds this list to the
 * texts, and tests/unit/test_commands.c to the tables of the command line.
 */
#ifndef BASE_OPTION_NAMES_H
#define BASE_OPTION_NAMES_H

#define PT_OPTION_NAMES(X)		\
	X("cipher")			\
	X("compress")			\
	X("control")			\
	X("copies")			\
	X("delta-cache")		\
	X("deadline")			\
	X("dev")			\
	X("downtime-limit")		\
	X("folder")			\
	X("force")			\
	X("generic")			\
	X("hugepages")			\
	X("insecure")			\
	X("json")			\
	X("lanes")			\
	X("live")			\
	X("max-bandwidth")		\
	X("max-files")			\
	X("max-memory")			\
	X("max-peer-files")		\
	X("max-peer-memory")		\
	X("max-rounds")			\
	X("max-transfers")		\
	X("mtu")			\
	X("name")			\
	X("no-seccomp")			\
	X("on-unreadable")		\
	X("out")			\
	X("parent")			\
	X("peer-timeout")		\
	X("peers")			\
	X("pid")			\
	X("postcopy")			\
	X("prealloc")			\
	X("psk")			\
	X("qmp")			\
	X("queues")			\
	X("resume")			\
	X("room")			\
	X("serve")			\
	X("serve-faults")		\
	X("tls-ca")			\
	X("tls-cert")			\
	X("tls-hostname")		\
	X("tls-key")			\
	X("tls-peer")			\
	X("user")			\
	X("wait")			\
	X("with")			\
	X("zero-copy")

#endif
