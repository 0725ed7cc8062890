/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* aead_libs: the libraries that a build may have, one file each. */
#ifndef SEAL_AEAD_LIBS_H
#define SEAL_AEAD_LIBS_H

#include "seal/aead.h"

extern const struct pt_aead_lib pt_aead_libcrypto;
#ifdef PT_WITH_IPSEC_MB
extern const struct pt_aead_lib pt_aead_libipsec_mb;
#endif

#endif
