// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "xsk/netdev.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>
#include <unistd.h>

#include "net/netlink.h"

/* Parts of the kernel's netdev netlink family that our header lacks. */
#define NETDEV_FAMILY		"netdev"
#define NETDEV_VERSION		1
#define NETDEV_DEV_GET		1
#define NETDEV_IFINDEX		1
#define NETDEV_XDP_FEATURES	3
#define NETDEV_ZC_MAX_SEGS	4
#define NETDEV_QUEUE_GET	10
#define NETDEV_QUEUE_ID		1
#define NETDEV_QUEUE_IFINDEX	2
#define NETDEV_QUEUE_XSK	7

static struct nlmsghdr *begin(void *buf, __u16 type, __u8 cmd, __u8 version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *head;

	nlh->nlmsg_type = type;
	head = mnl_nlmsg_put_extra_header(nlh, sizeof(*head));
	head->cmd = cmd;
	head->version = version;
	return nlh;
}

static int take_family(const struct nlattr *attr, void *data)
{
	__u16 *id = data;

	if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID &&
	    !mnl_attr_validate(attr, MNL_TYPE_U16))
		*id = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static int on_family(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), take_family,
			      data);
}

static int take_fact(const struct nlattr *attr, void *data)
{
	struct pt_netdev_facts *facts = data;

	if (mnl_attr_get_type(attr) == NETDEV_XDP_FEATURES &&
	    !mnl_attr_validate(attr, MNL_TYPE_U64)) {
		facts->xdp_features = mnl_attr_get_u64(attr);
		facts->known = true;
	}
	if (mnl_attr_get_type(attr) == NETDEV_ZC_MAX_SEGS &&
	    !mnl_attr_validate(attr, MNL_TYPE_U32))
		facts->zc_max_segs = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int on_device(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), take_fact, data);
}

static __u16 netdev_family(void)
{
	char buf[PT_NETLINK_ASK_SZ] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = begin(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	__u16 family = 0;

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, NETDEV_FAMILY);
	if (pt_netlink_ask(NETLINK_GENERIC, nlh, on_family, &family))
		return 0;
	return family;
}

void pt_netdev_ask(struct pt_netdev_facts *facts, __u32 ifindex)
{
	char buf[PT_NETLINK_ASK_SZ] __attribute__((aligned(8)));
	__u16 family = netdev_family();
	struct nlmsghdr *nlh;

	memset(facts, 0, sizeof(*facts));
	if (!family)
		return;
	nlh = begin(buf, family, NETDEV_DEV_GET, NETDEV_VERSION);
	mnl_attr_put_u32(nlh, NETDEV_IFINDEX, ifindex);
	if (pt_netlink_ask(NETLINK_GENERIC, nlh, on_device, facts))
		facts->known = false;
}

/* queue reads the kernel's facts about a queue. */
struct queue {
	__u32 id;
	bool bound;
};

static int take_queue(const struct nlattr *attr, void *data)
{
	struct queue *queue = data;

	if (mnl_attr_get_type(attr) == NETDEV_QUEUE_XSK)
		queue->bound = true;
	if (mnl_attr_get_type(attr) == NETDEV_QUEUE_ID &&
	    !mnl_attr_validate(attr, MNL_TYPE_U32))
		queue->id = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int on_queue(const struct nlmsghdr *nlh, void *data)
{
	struct queue queue = { .id = PT_QUEUES_MAX };
	__u64 *bound = data;

	mnl_attr_parse(nlh, sizeof(struct genlmsghdr), take_queue, &queue);
	if (queue.bound && queue.id < PT_QUEUES_MAX)
		bound[queue.id / 64] |= 1ull << queue.id % 64;
	return MNL_CB_OK;
}

bool pt_netdev_garbles(const struct pt_device *device)
{
	return !strcmp(device->driver, "virtio_net") &&
	       !access("/sys/module/virtio_net/initstate", F_OK);
}

void pt_netdev_bound_queues(__u32 ifindex, __u64 bound[PT_QUEUES_MAX / 64])
{
	char buf[PT_NETLINK_ASK_SZ] __attribute__((aligned(8)));
	__u16 family = netdev_family();
	struct nlmsghdr *nlh;

	if (!family)
		return;
	nlh = begin(buf, family, NETDEV_QUEUE_GET, NETDEV_VERSION);
	nlh->nlmsg_flags = NLM_F_DUMP;
	mnl_attr_put_u32(nlh, NETDEV_QUEUE_IFINDEX, ifindex);
	pt_netlink_ask(NETLINK_GENERIC, nlh, on_queue, bound);
}
