/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/messages.h"

#include <errno.h>

#include "base/text.h"
#include "channel/fields.h"

#define NO_CNT(name)		0
#define CNT(name)		offsetof(THIS, name##_cnt)
#define SZ(name)		offsetof(THIS, name##_sz)
#define CNT_AT_u8		NO_CNT
#define CNT_AT_u16		NO_CNT
#define CNT_AT_u32		NO_CNT
#define CNT_AT_u64		NO_CNT
#define CNT_AT_addr		NO_CNT
#define CNT_AT_str		NO_CNT
#define CNT_AT_ledger		NO_CNT
#define CNT_AT_cap		NO_CNT
#define AT(name)		offsetof(THIS, name)
#define NO_AT(name)		0
#define AT_u8			AT
#define AT_u16			AT
#define AT_u32			AT
#define AT_u64			AT
#define AT_addr			AT
#define AT_str			AT
#define AT_ledger		AT
#define AT_u16_list		AT
#define AT_u64_list		AT
#define AT_u64_array		AT
#define AT_range_array		AT
#define AT_bytes		AT
#define AT_cap			NO_AT
#define CNT_AT_u16_list		CNT
#define CNT_AT_u64_list		CNT
#define CNT_AT_u64_array	CNT
#define CNT_AT_range_array	CNT
#define CNT_AT_bytes		SZ

#define FIELD(kind, name, min, max)					\
	{ #name, KIND_##kind, AT_##kind(name), CNT_AT_##kind(name),	\
	  min, max },
#define X(SYMBOL, msg, number, who)					\
	static const struct pt_field *msg##_fields(void)		\
	{								\
		typedef struct pt_msg_##msg THIS __attribute__((unused)); \
		static const struct pt_field fields[] = {		\
			PT_MSG_##SYMBOL##_FIELDS(FIELD)			\
			{ .name = NULL }				\
		};							\
		return fields;						\
	}
PT_MESSAGES(X)
#undef X

static const struct {
	const char *name;
	unsigned who;
	const struct pt_field *(*fields)(void);
} messages[] = {
#define X(SYMBOL, msg, number, who)					\
	[number] = { #SYMBOL, PT_FROM_##who, msg##_fields },
	PT_MESSAGES(X)
#undef X
};

bool pt_message_is_known(unsigned type)
{
	return type < sizeof(messages) / sizeof(messages[0]) &&
	       messages[type].name;
}

const struct pt_field *pt_message_fields(unsigned type)
{
	return messages[type].fields();
}

unsigned pt_message_who(unsigned type)
{
	return messages[type].who;
}

const char *pt_message_name(unsigned type)
{
	switch (type) {
#define X(number, name) case number: return name;
	PT_MESSAGES_SET_ASIDE(X)
#undef X
	default:
		return pt_message_is_known(type) ? messages[type].name
						 : "unknown";
	}
}

size_t pt_field_item_sz(enum pt_field_kind kind)
{
	switch (kind) {
	case KIND_u16: case KIND_u16_list:	return 2;
	case KIND_u32:				return 4;
	case KIND_u64: case KIND_u64_list: case KIND_u64_array: return 8;
	case KIND_range_array:			return 12;
	case KIND_ledger:			return sizeof(struct pt_ledger);
	default:				return 1;
	}
}

/* prefix_sz returns the wire bytes of the count before the items. */
static size_t prefix_sz(enum pt_field_kind kind)
{
	switch (kind) {
	case KIND_str:				return 2;
	case KIND_u16_list: case KIND_u64_list: case KIND_u64_array:
	case KIND_range_array: case KIND_bytes:	return 4;
	default:				return 0;
	}
}

size_t pt_field_sz(const struct pt_field *f, __u64 cnt)
{
	switch (f->kind) {
	case KIND_u8: case KIND_u16: case KIND_u32: case KIND_u64:
	case KIND_ledger:
		return pt_field_item_sz(f->kind);
	case KIND_cap:
		return 0;
	default:
		return prefix_sz(f->kind) + cnt * pt_field_item_sz(f->kind);
	}
}

static enum pt_exit exit_of(int code)
{
	return code == -EPROTO ? PT_EXIT_PEER : PT_EXIT_FAILED;
}

int pt_field_refuse(struct pt_error *err, int code, unsigned type,
		    const struct pt_field *f, const char *what, __u64 value)
{
	return pt_error_set(err, exit_of(code), code,
			    "message %s: %s: %s %llu is outside %llu..%llu",
			    messages[type].name, f->name, what,
			    (unsigned long long)value,
			    (unsigned long long)f->min,
			    (unsigned long long)f->max);
}

int pt_field_refuse_item(struct pt_error *err, int code, unsigned type,
			 const struct pt_field *f, __u32 idx, const char *why)
{
	return pt_error_set(err, exit_of(code), code,
			    "message %s: %s: item %u %s",
			    messages[type].name, f->name, idx, why);
}

const char *pt_queue_fault(__u64 queue)
{
	return queue < PT_QUEUES_MAX ? NULL : "is no queue number";
}

const char *pt_range_fault(const struct pt_seq_range *r, __u64 *next)
{
	if (!r->cnt)
		return "is an empty range";
	if (r->first > PT_SEQ_MAX || r->cnt - 1 > PT_SEQ_MAX - r->first)
		return "goes past the last sequence number";
	if (r->first < *next)
		return "does not stand after the one before it";
	*next = r->first + r->cnt;
	return NULL;
}

bool pt_message_is_hello(const void *start)
{
	const __u8 *bytes = start;

	return bytes[5] == PT_MSG_HELLO && bytes[8] == PT_CONTROL_MAGIC >> 24;
}

void pt_message_abort(struct pt_message *m, enum pt_exit exit, const char *text)
{
	m->type = PT_MSG_ABORT;
	m->abort.exit = exit == PT_EXIT_OK ? PT_EXIT_FAILED : exit;
	pt_text_clean(m->abort.text, sizeof(m->abort.text), text);
}
