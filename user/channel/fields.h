/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* fields: the field lists of messages.h as tables, for encode.c and decode.c
 * only.  Pure functions, any thread. */
#ifndef CHANNEL_FIELDS_H
#define CHANNEL_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "channel/messages.h"

enum pt_field_kind {
	KIND_u8, KIND_u16, KIND_u32, KIND_u64, KIND_addr, KIND_str,
	KIND_u16_list, KIND_u64_list, KIND_u64_array, KIND_range_array,
	KIND_bytes, KIND_ledger,
	KIND_cap,	/* no field: the following fields need the capability
			 * min */
};

/* The offset of every message's fields. */
#define PT_MESSAGE_BODY		offsetof(struct pt_message, hello)

struct pt_field {
	const char *name;	/* NULL: behind the last */
	enum pt_field_kind kind;
	size_t at;		/* of the value in its struct pt_msg_* */
	size_t cnt_at;		/* of its name_cnt or name_sz, if it has one */
	__u64 min, max;
};

/* pt_field_ends: f is behind the last field of a message on a connection with
 * these capabilities. */
static inline bool pt_field_ends(const struct pt_field *f, __u64 capabilities)
{
	return !f->name || (f->kind == KIND_cap && !(capabilities & f->min));
}

/* pt_message_is_known: type is one of enum pt_message_type. */
bool pt_message_is_known(unsigned type);

/* pt_message_fields returns the fields of a known type, and its senders
 * (PT_FROM_*). */
const struct pt_field *pt_message_fields(unsigned type);
unsigned pt_message_who(unsigned type);

/* pt_field_item_sz: wire bytes of a number, or of one item. */
size_t pt_field_item_sz(enum pt_field_kind kind);

/* pt_field_sz: wire bytes of the field with cnt items. */
size_t pt_field_sz(const struct pt_field *f, __u64 cnt);

/* pt_field_refuse and pt_field_refuse_item report the field and its wrong
 * value, and return code: -EPROTO for a received message, -EINVAL for one to be
 * sent. */
int pt_field_refuse(struct pt_error *err, int code, unsigned type,
		    const struct pt_field *f, const char *what, __u64 value);
int pt_field_refuse_item(struct pt_error *err, int code, unsigned type,
			 const struct pt_field *f, __u32 idx, const char *why);

/* The checks of items, for both directions: NULL, or the fault.  *next, at
 * first 0, is the end of the previous range. */
const char *pt_queue_fault(__u64 queue);
const char *pt_range_fault(const struct pt_seq_range *r, __u64 *next);

#endif
