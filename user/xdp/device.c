/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "xdp/device.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include <pagetrim/wire.h>
#include "base/files.h"

#ifndef ALTIFNAMSIZ
#define ALTIFNAMSIZ 128		/* bytes of an alternative name, with its NUL */
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71	/* Linux 5.14 */
#endif

/* found: the device's facts in the kernel's RTM_NEWLINK. */
struct found {
	struct pt_device *dev;
	unsigned short type;	/* ARPHRD_* */
	bool any;
};

static int take_attr(const struct nlattr *attr, void *data)
{
	struct found *found = data;
	struct pt_device *dev = found->dev;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == sizeof(dev->mac))
			memcpy(dev->mac, mnl_attr_get_payload(attr),
			       sizeof(dev->mac));
		break;
	case IFLA_IFNAME:
		snprintf(dev->name, sizeof(dev->name), "%s",
			 mnl_attr_get_str(attr));
		break;
	case IFLA_MTU:
		dev->mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_NUM_RX_QUEUES:
		dev->rx_queue_cnt = mnl_attr_get_u32(attr);
		break;
	case IFLA_NUM_TX_QUEUES:
		dev->tx_queue_cnt = mnl_attr_get_u32(attr);
		break;
	}
	return MNL_CB_OK;
}

static int take_link(const struct nlmsghdr *msg, void *data)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(msg);
	struct found *found = data;

	if (msg->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	found->any = true;
	found->type = link->ifi_type;
	found->dev->ifindex = link->ifi_index;
	found->dev->is_up = link->ifi_flags & IFF_UP;
	found->dev->has_carrier = link->ifi_flags & IFF_LOWER_UP;
	return mnl_attr_parse(msg, sizeof(*link), take_attr, found);
}

/* query_link asks by name, which may be an alternative name, or by number if
 * name is NULL. */
static int query_link(struct found *found, const char *name, __u32 ifindex)
{
	char buf[16384];	/* one link, all attributes: under 8 K */
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct mnl_socket *nl;
	struct ifinfomsg *link;
	ssize_t sz;
	int ret = 0;

	msg->nlmsg_type = RTM_GETLINK;
	msg->nlmsg_flags = NLM_F_REQUEST;
	msg->nlmsg_seq = 1;
	link = mnl_nlmsg_put_extra_header(msg, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = ifindex;
	if (name)
		mnl_attr_put_strz(msg, strlen(name) < IF_NAMESIZE ?
				  IFLA_IFNAME : IFLA_ALT_IFNAME, name);

	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_sendto(nl, msg, msg->nlmsg_len) < 0) {
		ret = -errno;
		goto close;
	}
	sz = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	if (sz < 0 || mnl_cb_run(buf, sz, 1, mnl_socket_get_portid(nl),
				 take_link, found) < 0)
		ret = -errno;
close:
	mnl_socket_close(nl);
	return ret;
}

static bool ethtool(int fd, const char *name, void *cmd)
{
	struct ifreq ifr = { .ifr_data = cmd };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return !ioctl(fd, SIOCETHTOOL, &ifr);
}

/* query_driver: the link has the count of queues that exist, the driver the
 * count of those in use. */
static void query_driver(int fd, struct pt_device *dev)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_channels used = { .cmd = ETHTOOL_GCHANNELS };

	if (ethtool(fd, dev->name, &info))
		snprintf(dev->driver, sizeof(dev->driver), "%.31s",
			 info.driver);
	if (!ethtool(fd, dev->name, &used))
		return;
	if (used.rx_count + used.combined_count)
		dev->rx_queue_cnt = used.rx_count + used.combined_count;
	if (used.tx_count + used.combined_count)
		dev->tx_queue_cnt = used.tx_count + used.combined_count;
}

/* query_speed: veth and tap devices report a meaningless number. */
static void query_speed(int fd, struct pt_device *dev)
{
	struct ethtool_cmd link = { .cmd = ETHTOOL_GSET };
	__u32 speed_mbit;

	if (!strcmp(dev->driver, "veth") || !strcmp(dev->driver, "tun") ||
	    !ethtool(fd, dev->name, &link))
		return;
	/* ethtool_cmd_speed() shifts an int over its end for SPEED_UNKNOWN. */
	speed_mbit = (__u32)link.speed_hi << 16 | link.speed;
	if (speed_mbit != (__u32)SPEED_UNKNOWN)
		dev->speed_mbit = speed_mbit;
}

int pt_device_netns_cookie(__u64 *cookie)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = 0;
	socklen_t sz = sizeof(*cookie);

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &sz))
		ret = -errno;
	close(fd);
	return ret;
}

/* open_link: label is the caller's name for the device. */
static int open_link(struct pt_device *out, const char *name, __u32 ifindex,
		     const char *label, struct pt_error *err)
{
	struct pt_device dev = { 0 };
	struct found found = { .dev = &dev };
	int ret = query_link(&found, name, ifindex), fd;

	if (ret == -ENODEV || (!ret && !found.any))
		return pt_error_set(err, PT_EXIT_HOST, -ENODEV,
				    "%s: no such device in this network "
				    "namespace ('ip link' lists them)", label);
	if (ret)
		return pt_error_set(err, PT_EXIT_HOST, ret,
				    "%s: cannot ask the kernel for it: %s%s",
				    label, strerror(-ret),
				    pt_files_remedy(ret));
	if (found.type == ARPHRD_LOOPBACK)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "%s: the loopback device, whose frames reach "
				    "no other host (two hosts on one machine need "
				    "a veth pair)", label);
	if (found.type != ARPHRD_ETHER)
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "%s: not an Ethernet device (use the one "
				    "that carries the peer's route)", label);

	ret = pt_device_netns_cookie(&dev.netns_cookie);
	fd = ret ? -1 : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		ret = ret ? ret : -errno;
		return pt_error_set(err, PT_EXIT_HOST, ret,
				    "%s: cannot tell its network namespace: "
				    "%s%s", label, strerror(-ret),
				    ret == -ENOPROTOOPT ?
				    " (Linux 5.14 or newer is needed)" :
				    pt_files_remedy(ret));
	}
	query_driver(fd, &dev);
	query_speed(fd, &dev);
	close(fd);
	if (!dev.rx_queue_cnt)
		dev.rx_queue_cnt = 1;
	if (!dev.tx_queue_cnt)
		dev.tx_queue_cnt = 1;
	*out = dev;
	return 0;
}

int pt_device_open(struct pt_device *out, const char *name,
		   struct pt_error *err)
{
	if (!name[0] || strlen(name) >= ALTIFNAMSIZ || strchr(name, '/') ||
	    !strcmp(name, ".") || !strcmp(name, ".."))
		return pt_error_set(err, PT_EXIT_HOST, -EINVAL,
				    "'%.64s': cannot be a device's name "
				    "('ip link' lists them)", name);
	return open_link(out, name, 0, name, err);
}

int pt_device_open_index(struct pt_device *out, __u32 ifindex,
			 struct pt_error *err)
{
	char label[24];

	snprintf(label, sizeof(label), "device %u", ifindex);
	return open_link(out, NULL, ifindex, label, err);
}

int pt_device_check(const struct pt_device *dev, struct pt_error *err)
{
	if (!dev->is_up)
		return pt_error_set(err, PT_EXIT_HOST, -ENETDOWN,
				    "%s: device is down (ip link set %s up)",
				    dev->name, dev->name);
	if (dev->mtu < PT_MTU_MIN)
		return pt_error_set(err, PT_EXIT_HOST, -EMSGSIZE,
				    "%s: MTU %u is too small (at least %u: "
				    "ip link set %s mtu %u)", dev->name,
				    dev->mtu, PT_MTU_MIN, dev->name,
				    PT_MTU_MIN);
	return 0;
}
