/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* step: where a server is between its start and the last page.  tests/net/test_serve.sh
 * and test_serve_qemu.sh kill it at each. */
#ifndef LAZY_STEP_H
#define LAZY_STEP_H

/* PT_LAZY_STEPS(X): X(SYMBOL, what holds) */
#define PT_LAZY_STEPS(X)						\
	X(OPENED,	"the image is open, and nothing else is there")	\
	X(LOCKED,	"the lock is taken")				\
	X(BOUND,	"the sockets have names, and nobody listens")	\
	X(KEPT,		"the keeper runs, and the door is open")	\
	X(WAITS,	"that was said")				\
	X(HANDED,	"a VMM came, and its message is not judged")	\
	X(JUDGED,	"it is right, and is not in the record")	\
	X(BEGUN,	"it is")					\
	X(SERVES,	"no event was read")				\
	X(FAULT,	"a fault was read, and is not answered")	\
	X(REMOVAL,	"a removal was read, and is not handled")	\
	X(ANSWERED,	"a fault was answered, and its unit is not placed") \
	X(FILLED,	"a unit was placed in the background")		\
	X(WHOLE,	"nothing is pending")				\
	X(RELEASED,	"the memory is ordinary again")			\
	X(TOLD,		"the keeper knows that")			\
	X(QEMU_ENTERED,	"QEMU's descriptor is fetched, and nobody else has it") \
	X(QEMU_ARMED,	"QEMU's memory is registered and empty")	\
	X(QEMU_LOADS,	"QEMU may load its state")

enum pt_lazy_step {
#define X(symbol, meaning) PT_LAZY_##symbol##_STEP,
	PT_LAZY_STEPS(X)
#undef X
	PT_LAZY_STEP_CNT
};

/* pt_lazy_enter does nothing: it is a place for a debugger.  owner: anything. */
void pt_lazy_enter(const void *owner, enum pt_lazy_step step);

#endif
