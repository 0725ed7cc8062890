/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "channel/messages.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "channel/fields.h"
#include <pagetrim/check.h>

static __u64 load(const void *at, size_t sz)
{
	__u16 v16;
	__u32 v32;
	__u64 v64;

	switch (sz) {
	case 1:
		return *(const __u8 *)at;
	case 2:
		memcpy(&v16, at, sizeof(v16));
		return v16;
	case 4:
		memcpy(&v32, at, sizeof(v32));
		return v32;
	default:
		memcpy(&v64, at, sizeof(v64));
		return v64;
	}
}

struct out {
	__u8 *pos;
	size_t left;
	bool full;
};

static void put_bytes(struct out *o, const void *bytes, size_t sz)
{
	if (o->full || sz > o->left) {
		o->full = true;
		return;
	}
	if (sz)
		memcpy(o->pos, bytes, sz);
	o->pos += sz;
	o->left -= sz;
}

static void put(struct out *o, size_t sz, __u64 value)
{
	__be64 be = htobe64(value << (64 - 8 * sz));

	put_bytes(o, &be, sz);
}

static int put_str(struct out *o, unsigned type, const struct pt_field *f,
		   const char *str, struct pt_error *err)
{
	size_t sz = strnlen(str, f->max + 1);

	if (sz < f->min || sz > f->max)
		return pt_field_refuse(err, -EINVAL, type, f, "length", sz);
	if (!pt_text_is_clean(str, sz))
		return pt_error_set(err, PT_EXIT_FAILED, -EINVAL,
				    "message %s: %s: not clean UTF-8 text "
				    "(no control characters)",
				    pt_message_name(type), f->name);
	put(o, 2, sz);
	put_bytes(o, str, sz);
	return 0;
}

static int put_items(struct out *o, unsigned type, const struct pt_field *f,
		     const void *items, __u32 cnt, struct pt_error *err)
{
	const struct pt_seq_range *ranges = items;
	const __u64 *numbers = items;
	const __u16 *queues = items;
	const char *fault = NULL;
	__u64 next = 0;

	if (cnt < f->min || cnt > f->max)
		return pt_field_refuse(err, -EINVAL, type, f, "count", cnt);
	put(o, 4, cnt);
	if (f->kind == KIND_bytes)
		put_bytes(o, items, cnt);
	for (__u32 i = 0; f->kind != KIND_bytes && i < cnt && !fault; i++) {
		if (f->kind == KIND_range_array) {
			fault = pt_range_fault(&ranges[i], &next);
			put(o, 8, ranges[i].first);
			put(o, 4, ranges[i].cnt);
		} else if (f->kind == KIND_u16_list) {
			fault = pt_queue_fault(queues[i]);
			put(o, 2, queues[i]);
		} else {
			put(o, 8, numbers[i]);
		}
		if (fault)
			pt_field_refuse_item(err, -EINVAL, type, f, i, fault);
	}
	return fault ? -EINVAL : 0;
}

static int put_field(struct out *o, unsigned type, const struct pt_field *f,
		     const __u8 *body, struct pt_error *err)
{
	const void *at = body + f->at;
	const void *borrowed;
	__u64 value;

	switch (f->kind) {
	case KIND_u8: case KIND_u16: case KIND_u32: case KIND_u64:
		value = load(at, pt_field_item_sz(f->kind));
		if (value < f->min || value > f->max)
			return pt_field_refuse(err, -EINVAL, type, f, "value",
					       value);
		put(o, pt_field_item_sz(f->kind), value);
		return 0;
	case KIND_addr:
		put_bytes(o, at, f->max);
		return 0;
	case KIND_str:
		return put_str(o, type, f, at, err);
	case KIND_ledger:
		for (size_t i = 0; i < sizeof(struct pt_ledger); i += 8)
			put(o, 8, load((const __u8 *)at + i, 8));
		return 0;
	case KIND_u16_list: case KIND_u64_list:
		return put_items(o, type, f, at,
				 load(body + f->cnt_at, 4), err);
	case KIND_u64_array: case KIND_range_array: case KIND_bytes:
		memcpy(&borrowed, at, sizeof(borrowed));
		return put_items(o, type, f, borrowed,
				 load(body + f->cnt_at, 4), err);
	case KIND_cap:
		return 0;
	}
	return 0;
}

int pt_message_encode(const struct pt_message *m, __u64 capabilities,
		      void *buf, size_t room, struct pt_error *err)
{
	struct out payload = { .pos = buf, .left = room };
	const __u8 *body = (const __u8 *)m + PT_MESSAGE_BODY;
	const struct pt_field *f;
	struct out header;
	int ret;

	pt_check(pt_message_is_known(m->type));
	put(&payload, PT_MESSAGE_HDR_SZ, 0);
	for (f = pt_message_fields(m->type); !pt_field_ends(f, capabilities);
	     f++) {
		ret = put_field(&payload, m->type, f, body, err);
		if (ret)
			return ret;
	}
	if (payload.full)
		return -ENOBUFS;

	ret = payload.pos - (__u8 *)buf;
	header = (struct out){ .pos = buf, .left = PT_MESSAGE_HDR_SZ };
	put(&header, 4, ret - PT_MESSAGE_HDR_SZ);
	put(&header, 2, m->type);
	put(&header, 2, 0);
	return ret;
}
