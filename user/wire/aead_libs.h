/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* aead_libs: those that a build may have, each in its file. */
#ifndef WIRE_AEAD_LIBS_H
#define WIRE_AEAD_LIBS_H

#include "wire/aead.h"

extern const struct pt_aead_lib pt_aead_libcrypto;
#ifdef PT_WITH_IPSEC_MB
extern const struct pt_aead_lib pt_aead_libipsec_mb;
#endif

#endif
