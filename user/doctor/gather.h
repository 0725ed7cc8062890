/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* gather: the parts of pt_doctor_gather.  Each fills its part of the facts;
 * they run in this order, since later ones use earlier facts. */
#ifndef DOCTOR_GATHER_H
#define DOCTOR_GATHER_H

#include <pagetrim/error.h>
#include "doctor/facts.h"

void gather_host(struct pt_facts_host *host);
void gather_device(struct pt_facts_device *device, const char *name);
void gather_xdp(struct pt_facts *facts, bool receiving);
void gather_path(struct pt_facts *facts, const char *to);
void gather_speed(struct pt_facts *facts);

/* gather_try notes ret, and the error's text if it is one. */
void gather_try(struct pt_try *try, int ret, const struct pt_error *err);

__attribute__((format(printf, 2, 3)))
void gather_not_tried(struct pt_try *try, const char *fmt, ...);

/* gather_can_load: the process has the capabilities to load and attach an XDP
 * program. */
bool gather_can_load(const struct pt_facts_host *host);
bool gather_has_cap(const struct pt_facts_host *host, int cap);

#endif
