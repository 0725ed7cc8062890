/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/messages.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "channel/fields.h"

#define HELLO_SZ_MAX	1024	/* room for additions of later versions */

static void store(void *at, size_t sz, __u64 value)
{
	__u8 v8 = value;
	__u16 v16 = value;
	__u32 v32 = value;

	switch (sz) {
	case 1:
		memcpy(at, &v8, sizeof(v8));
		break;
	case 2:
		memcpy(at, &v16, sizeof(v16));
		break;
	case 4:
		memcpy(at, &v32, sizeof(v32));
		break;
	default:
		memcpy(at, &value, sizeof(value));
	}
}

static __u64 load_be(const __u8 *at, size_t sz)
{
	__u64 value = 0;

	for (size_t i = 0; i < sz; i++)
		value = value << 8 | at[i];
	return value;
}

struct in {
	const __u8 *pos;
	size_t left;
};

/* get returns false if fewer than sz bytes are left. */
static bool get(struct in *in, size_t sz, __u64 *value)
{
	if (sz > in->left)
		return false;
	*value = load_be(in->pos, sz);
	in->pos += sz;
	in->left -= sz;
	return true;
}

static int cut(struct pt_error *err, unsigned type, const struct pt_field *f)
{
	return pt_error_set(err, PT_EXIT_PEER, -EPROTO,
			    "message %s: %s: the payload ends within it",
			    pt_message_name(type), f->name);
}

static int get_str(struct in *in, unsigned type, const struct pt_field *f,
		   char *str, struct pt_error *err)
{
	__u64 sz;

	if (!get(in, 2, &sz))
		return cut(err, type, f);
	if (sz < f->min || sz > f->max)
		return pt_field_refuse(err, -EPROTO, type, f, "length", sz);
	if (sz > in->left)
		return cut(err, type, f);
	if (!pt_text_is_clean(in->pos, sz))
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO,
				    "message %s: %s: not clean UTF-8 text",
				    pt_message_name(type), f->name);
	memcpy(str, in->pos, sz);
	str[sz] = '\0';
	in->pos += sz;
	in->left -= sz;
	return 0;
}

/* get_items: the caller has checked that cnt items are present. */
static int get_items(struct in *in, unsigned type, const struct pt_field *f,
		     void *items, __u32 cnt, struct pt_error *err)
{
	struct pt_seq_range *ranges = items;
	__u64 *numbers = items;
	__u16 *queues = items;
	const char *fault = NULL;
	__u64 value = 0, next = 0;

	for (__u32 i = 0; i < cnt; i++) {
		get(in, f->kind == KIND_u16_list ? 2 : 8, &value);
		if (f->kind == KIND_range_array) {
			ranges[i].first = value;
			get(in, 4, &value);
			ranges[i].cnt = value;
			fault = pt_range_fault(&ranges[i], &next);
		} else if (f->kind == KIND_u16_list) {
			queues[i] = value;
			fault = pt_queue_fault(value);
		} else {
			numbers[i] = value;
		}
		if (fault)
			return pt_field_refuse_item(err, -EPROTO, type, f, i,
						    fault);
	}
	return 0;
}

/* get_counted reads a list into the struct, an array into scratch; bytes stay
 * in place. */
static int get_counted(struct in *in, unsigned type, const struct pt_field *f,
		       __u8 *body, struct pt_message_scratch *scratch,
		       struct pt_error *err)
{
	const void *borrowed = scratch;
	__u64 cnt;

	if (!get(in, 4, &cnt))
		return cut(err, type, f);
	if (cnt < f->min || cnt > f->max)
		return pt_field_refuse(err, -EPROTO, type, f, "count", cnt);
	if (cnt * pt_field_item_sz(f->kind) > in->left)
		return cut(err, type, f);
	store(body + f->cnt_at, sizeof(__u32), cnt);

	switch (f->kind) {
	case KIND_u16_list: case KIND_u64_list:
		return get_items(in, type, f, body + f->at, cnt, err);
	case KIND_bytes:
		borrowed = in->pos;
		memcpy(body + f->at, &borrowed, sizeof(borrowed));
		in->pos += cnt;
		in->left -= cnt;
		return 0;
	default:
		memcpy(body + f->at, &borrowed, sizeof(borrowed));
		return get_items(in, type, f, scratch, cnt, err);
	}
}

static int get_field(struct in *in, unsigned type, const struct pt_field *f,
		     __u8 *body, struct pt_message_scratch *scratch,
		     struct pt_error *err)
{
	__u64 value;

	switch (f->kind) {
	case KIND_u8: case KIND_u16: case KIND_u32: case KIND_u64:
		if (!get(in, pt_field_item_sz(f->kind), &value))
			return cut(err, type, f);
		if (value < f->min || value > f->max)
			return pt_field_refuse(err, -EPROTO, type, f, "value",
					       value);
		store(body + f->at, pt_field_item_sz(f->kind), value);
		return 0;
	case KIND_addr:
		if (f->max > in->left)
			return cut(err, type, f);
		memcpy(body + f->at, in->pos, f->max);
		in->pos += f->max;
		in->left -= f->max;
		return 0;
	case KIND_ledger:
		for (size_t i = 0; i < sizeof(struct pt_ledger); i += 8) {
			if (!get(in, 8, &value))
				return cut(err, type, f);
			store(body + f->at + i, 8, value);
		}
		return 0;
	case KIND_str:
		return get_str(in, type, f, (char *)body + f->at, err);
	case KIND_cap:
		return 0;
	default:
		return get_counted(in, type, f, body, scratch, err);
	}
}

/* clear sets the missing fields, from f on, to 0.  All of them are numbers. */
static void clear(const struct pt_field *f, __u8 *body)
{
	for (; f->name; f++)
		if (f->kind != KIND_cap)
			memset(body + f->at, 0, pt_field_item_sz(f->kind));
}

/* header_fault returns NULL, or the fault of the header. */
static int header_fault(unsigned type, __u64 zero, size_t payload_sz,
			enum pt_role peer, __u64 capabilities,
			struct pt_error *err)
{
	const struct pt_field *f;
	size_t sz_min = 0, sz_max = 0;

	if (!pt_message_is_known(type) || zero)
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO,
				    "not a message of this protocol "
				    "(type %u, %s, %zu bytes)", type,
				    pt_message_name(type), payload_sz);
	for (f = pt_message_fields(type); !pt_field_ends(f, capabilities);
	     f++) {
		sz_min += pt_field_sz(f, f->min);
		sz_max += pt_field_sz(f, f->max);
	}
	if (type == PT_MSG_HELLO)
		sz_max = HELLO_SZ_MAX;
	if (payload_sz < sz_min || payload_sz > sz_max)
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO,
				    "message %s: %zu bytes are outside "
				    "%zu..%zu", pt_message_name(type),
				    payload_sz, sz_min, sz_max);
	if (!(pt_message_who(type) & peer))
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO,
				    "message %s: not for a %s to send",
				    pt_message_name(type),
				    peer == PT_ROLE_SENDER ? "sender" :
				    "receiver");
	return 0;
}

int pt_message_decode(struct pt_message *out,
		      struct pt_message_scratch *scratch, enum pt_role peer,
		      __u64 capabilities, const void *buf, size_t sz,
		      struct pt_error *err)
{
	struct in in = { .pos = buf, .left = sz };
	__u8 *body = (__u8 *)out + PT_MESSAGE_BODY;
	__u64 payload_sz, type, zero;
	const struct pt_field *f;
	int ret;

	if (!get(&in, 4, &payload_sz) || !get(&in, 2, &type) ||
	    !get(&in, 2, &zero))
		return 0;
	ret = header_fault(type, zero, payload_sz, peer, capabilities, err);
	if (ret)
		return ret;
	if (in.left < payload_sz)
		return 0;

	in.left = payload_sz;
	out->type = type;
	for (f = pt_message_fields(type); !pt_field_ends(f, capabilities);
	     f++) {
		ret = get_field(&in, type, f, body, scratch, err);
		if (ret)
			return ret;
	}
	clear(f, body);
	if (in.left && type != PT_MSG_HELLO)
		return pt_error_set(err, PT_EXIT_PEER, -EPROTO,
				    "message %s: %zu bytes after its last "
				    "field", pt_message_name(type), in.left);
	return PT_MESSAGE_HDR_SZ + payload_sz;
}
