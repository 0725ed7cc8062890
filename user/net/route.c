/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "net/route.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/netlink.h"

/* The offset of an address of family in ip[16], and its size. */
static int ip_off(int family)
{
	return family == AF_INET ? 12 : 0;
}

static int ip_sz(int family)
{
	return family == AF_INET ? 4 : 16;
}

static int family_of(const struct pt_address *a)
{
	return pt_address_is_v4(a) ? AF_INET : AF_INET6;
}

/* set_ip returns false if the sz bytes are no address of family. */
static bool set_ip(struct pt_address *a, int family, const void *bytes,
		   size_t sz)
{
	if ((family != AF_INET && family != AF_INET6) ||
	    sz != (size_t)ip_sz(family))
		return false;
	memset(a, 0, sizeof(*a));
	if (family == AF_INET)
		a->ip[10] = a->ip[11] = 0xff;
	memcpy(a->ip + ip_off(family), bytes, sz);
	return true;
}

/* ---- the route ---- */

/* found: the kernel's answer. */
struct found {
	struct pt_route route;
	bool answered, has_src;
	unsigned char type;	/* RTN_* */
};

static int on_metric(const struct nlattr *attr, void *data)
{
	struct found *f = data;

	if (mnl_attr_get_type(attr) == RTAX_MTU &&
	    mnl_attr_get_payload_len(attr) == sizeof(__u32))
		f->route.mtu = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int on_route_attr(const struct nlattr *attr, void *data)
{
	struct found *f = data;
	const void *bytes = mnl_attr_get_payload(attr);
	size_t sz = mnl_attr_get_payload_len(attr);
	int family = family_of(&f->route.next_hop);
	const struct rtvia *via = bytes;

	switch (mnl_attr_get_type(attr)) {
	case RTA_OIF:
		if (sz == sizeof(__u32))
			f->route.ifindex = mnl_attr_get_u32(attr);
		break;
	case RTA_PREFSRC:
		f->has_src = set_ip(&f->route.src, family, bytes, sz);
		break;
	case RTA_GATEWAY:
		f->route.gateway = set_ip(&f->route.next_hop, family, bytes,
					  sz);
		break;
	case RTA_VIA:	/* IPv4 through an IPv6 neighbour */
		if (sz > sizeof(*via))
			f->route.gateway = set_ip(&f->route.next_hop,
						  via->rtvia_family,
						  via->rtvia_addr,
						  sz - sizeof(*via));
		break;
	case RTA_METRICS:
		mnl_attr_parse_nested(attr, on_metric, f);
		break;
	}
	return MNL_CB_OK;
}

static int on_route(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct found *f = data;

	if (nlh->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm))
		return MNL_CB_OK;
	f->answered = true;
	f->type = rtm->rtm_type;
	return mnl_attr_parse(nlh, sizeof(*rtm), on_route_attr, f);
}

static int ask_route(struct found *f, const struct pt_address *dst)
{
	char buf[PT_NETLINK_ASK_SZ] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	int family = family_of(dst);
	struct rtmsg *rtm;

	nlh->nlmsg_type = RTM_GETROUTE;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = family;
	rtm->rtm_dst_len = 8 * ip_sz(family);
	mnl_attr_put(nlh, RTA_DST, ip_sz(family), dst->ip + ip_off(family));
	if (dst->scope)
		mnl_attr_put_u32(nlh, RTA_OIF, dst->scope);
	return pt_netlink_ask(NETLINK_ROUTE, nlh, on_route, f);
}

/* refuse sets the reason why frames cannot reach dst. */
static int refuse(const struct pt_address *dst, int code, const char *why,
		  struct pt_error *err)
{
	struct pt_address ip = *dst;
	char text[PT_ADDRESS_TEXT_SZ];

	ip.port = 0;
	return pt_error_set(err, PT_EXIT_HOST, code, "%s: %s",
			    pt_address_print(&ip, text), why);
}

static int judge_error(const struct pt_address *dst, int ret,
		       struct pt_error *err)
{
	switch (ret) {
	case -ENETUNREACH:
	case -ESRCH:
		return refuse(dst, -ENETUNREACH, "no route to it (see `ip "
			      "route get`; is the device up, has it an "
			      "address?)", err);
	case -EHOSTUNREACH:	/* IPv4's type "unreachable" */
	case -EACCES:		/* "prohibit" */
	case -EINVAL:		/* "blackhole" */
		return refuse(dst, -EHOSTUNREACH, "a route forbids it "
			      "(unreachable, prohibit or blackhole: see `ip "
			      "route get`)", err);
	case -EMFILE:
	case -ENFILE:
		return refuse(dst, ret, "its route cannot be asked for, as too "
			      "many files are open (raise ulimit -n)", err);
	default:
		return refuse(dst, ret, strerror(-ret), err);
	}
}

static int judge_type(const struct pt_address *dst, const struct found *f,
		      struct pt_error *err)
{
	switch (f->type) {
	case RTN_UNICAST:
		return 0;
	case RTN_LOCAL:
		return refuse(dst, -EADDRNOTAVAIL, "an address of this host "
			      "itself: its frames never reach a device (name "
			      "the other host)", err);
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
	case RTN_BLACKHOLE:
		return judge_error(dst, -EHOSTUNREACH, err);
	default:
		return refuse(dst, -EADDRNOTAVAIL, "not the address of one "
			      "host (broadcast or multicast)", err);
	}
}

int pt_route_find(struct pt_route *out, const struct pt_address *dst,
		  struct pt_error *err)
{
	struct found f = { .route.next_hop = *dst };
	int ret;

	f.route.next_hop.port = 0;
	if (pt_address_is_any(dst))
		return refuse(dst, -EADDRNOTAVAIL, "not the address of a host",
			      err);
	if (pt_address_is_link_local(dst) && !dst->scope)
		return refuse(dst, -EINVAL, "link-local address without its "
			      "device (write fe80::1%DEV)", err);
	ret = ask_route(&f, dst);
	if (ret)
		return judge_error(dst, ret, err);
	if (!f.answered)
		return judge_error(dst, -ENETUNREACH, err);
	ret = judge_type(dst, &f, err);
	if (ret)
		return ret;

	if (!if_indextoname(f.route.ifindex, f.route.ifname))
		return refuse(dst, -ENETUNREACH, "the device of its route has "
			      "gone", err);
	if (!f.has_src)
		return refuse(dst, -EADDRNOTAVAIL, "the device of its route "
			      "has no address to send from, or only "
			      "tentative ones (`ip addr`)", err);
	if (pt_address_is_link_local(&f.route.src))
		f.route.src.scope = f.route.ifindex;
	if (pt_address_is_link_local(&f.route.next_hop))
		f.route.next_hop.scope = f.route.ifindex;
	*out = f.route;
	return 0;
}

int pt_route_is_local(const struct pt_address *src, struct pt_error *err)
{
	struct found f = { .route.next_hop = *src };
	int ret = ask_route(&f, src);

	if (!ret && f.answered && f.type == RTN_LOCAL)
		return 0;
	if (ret == -EMFILE || ret == -ENFILE)	/* nobody knows */
		return judge_error(src, ret, err);
	return refuse(src, -EADDRNOTAVAIL, "no longer an address of this host, "
		      "and the connection is from it (send again, from the "
		      "address that it has now)", err);
}

/* ---- the neighbour ---- */

struct neighbour {
	__u16 state;		/* NUD_*, 0: not in the table */
	bool has_mac;
	__u8 mac[6];
};

static int on_neighbour_attr(const struct nlattr *attr, void *data)
{
	struct neighbour *n = data;

	if (mnl_attr_get_type(attr) == NDA_LLADDR &&
	    mnl_attr_get_payload_len(attr) == sizeof(n->mac)) {
		memcpy(n->mac, mnl_attr_get_payload(attr), sizeof(n->mac));
		n->has_mac = true;
	}
	return MNL_CB_OK;
}

static int on_neighbour(const struct nlmsghdr *nlh, void *data)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	struct neighbour *n = data;

	if (nlh->nlmsg_type != RTM_NEWNEIGH ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*ndm))
		return MNL_CB_OK;
	n->state = ndm->ndm_state;
	return mnl_attr_parse(nlh, sizeof(*ndm), on_neighbour_attr, n);
}

static int ask_neighbour(struct neighbour *n, __u32 ifindex,
			 const struct pt_address *next_hop)
{
	char buf[PT_NETLINK_ASK_SZ] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	int family = family_of(next_hop);
	struct ndmsg *ndm;

	nlh->nlmsg_type = RTM_GETNEIGH;
	ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	ndm->ndm_family = family;
	ndm->ndm_ifindex = ifindex;
	mnl_attr_put(nlh, NDA_DST, ip_sz(family),
		     next_hop->ip + ip_off(family));
	return pt_netlink_ask(NETLINK_ROUTE, nlh, on_neighbour, n);
}

/* link_is_ethernet returns 1, 0, or -errno. */
static int link_is_ethernet(const char *ifname)
{
	struct ifreq ifr = { 0 };
	int sock, ret;

	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	memcpy(ifr.ifr_name, ifname, IF_NAMESIZE);
	ret = ioctl(sock, SIOCGIFHWADDR, &ifr) ? -errno :
	      ifr.ifr_hwaddr.sa_family == ARPHRD_ETHER;
	close(sock);
	return ret;
}

int pt_neighbour_find(__u32 ifindex, const struct pt_address *next_hop,
		      __u8 mac[6], struct pt_error *err)
{
	const __u16 usable = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE |
			     NUD_STALE | NUD_DELAY | NUD_PROBE;
	struct neighbour n = { 0 };
	char ifname[IF_NAMESIZE];
	int ret;

	if (!if_indextoname(ifindex, ifname))
		return pt_error_set(err, PT_EXIT_HOST, -ENODEV, "device %u: "
				    "no such device (was it removed?)",
				    ifindex);
	ret = link_is_ethernet(ifname);
	if (ret < 0)
		return pt_error_set(err, PT_EXIT_HOST, ret, "%s: %s", ifname,
				    strerror(-ret));
	if (!ret)
		return pt_error_set(err, PT_EXIT_HOST, -EOPNOTSUPP,
				    "%s: has no Ethernet addresses (pagetrim "
				    "sends Ethernet frames: use another "
				    "device)", ifname);
	ret = ask_neighbour(&n, ifindex, next_hop);
	if (ret && ret != -ENOENT)
		return refuse(next_hop, ret, strerror(-ret), err);
	if (!(n.state & usable) || !n.has_mac)
		return refuse(next_hop, -EAGAIN, "its MAC address is not known "
			      "(is the host up, the link connected?)", err);
	memcpy(mac, n.mac, sizeof(n.mac));
	return 0;
}
