/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "net/local.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "net/netlink.h"

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND	78	/* Linux 4.15 */
#endif

/* ---- the addresses of a device ---- */

static bool is_same(const struct pt_address *a, const struct pt_address *b)
{
	return !memcmp(a->ip, b->ip, sizeof(a->ip));
}

/* of_device calls match for each address of the device, or, for 0, of any device, and
 * returns the number of the device that has the first match; 0: none.  An alternative
 * name is known to the kernel alone, hence the numbers. */
static unsigned of_device(unsigned ifindex,
			  bool (*match)(const struct pt_address *, void *),
			  void *arg)
{
	struct sockaddr_storage sa;
	struct ifaddrs *all, *i;
	struct pt_address one;
	unsigned found = 0;

	if (getifaddrs(&all))
		return 0;
	for (i = all; i && !found; i = i->ifa_next) {
		unsigned own = if_nametoindex(i->ifa_name);

		if (!i->ifa_addr || (ifindex && own != ifindex))
			continue;
		memset(&sa, 0, sizeof(sa));
		memcpy(&sa, i->ifa_addr, i->ifa_addr->sa_family == AF_INET6 ?
		       sizeof(struct sockaddr_in6) :
		       sizeof(struct sockaddr_in));
		if (pt_address_from_sockaddr(&one, &sa) && match(&one, arg))
			found = own;
	}
	freeifaddrs(all);
	return found;
}

static bool match_ip(const struct pt_address *one, void *arg)
{
	return is_same(one, arg);
}

static bool has_device(const char *dev,
		       bool (*match)(const struct pt_address *, void *), void *arg)
{
	unsigned ifindex = if_nametoindex(dev);

	return ifindex && of_device(ifindex, match, arg);
}

bool pt_local_device(const struct pt_address *a, char name[IF_NAMESIZE])
{
	struct pt_address copy = *a;
	unsigned ifindex = of_device(0, match_ip, &copy);

	return ifindex && if_indextoname(ifindex, name);
}

static bool match_loopback(const struct pt_address *one, void *arg)
{
	(void)arg;
	return pt_address_is_loopback(one);
}

/* match_global finds an address to propose. */
static bool match_global(const struct pt_address *one, void *arg)
{
	struct pt_address *out = arg;

	if (pt_address_is_link_local(one) || pt_address_is_loopback(one))
		return false;
	*out = *one;
	out->port = 0;
	return true;
}

static int refuse_loopback(const struct pt_address *a, const char *text,
			   const char *dev, struct pt_error *err)
{
	char ip[PT_ADDRESS_TEXT_SZ], other[PT_ADDRESS_TEXT_SZ];
	struct pt_address plain = *a, of_dev;
	bool has = has_device(dev, match_global, &of_dev);

	plain.port = 0;
	pt_address_print(&plain, ip);
	if (!has && has_device(dev, match_loopback, NULL))
		return pt_error_set(err, PT_EXIT_HOST, -EADDRNOTAVAIL, "%.64s: the "
				    "loopback device, whose frames reach no other "
				    "host (two hosts on one machine need a veth "
				    "pair)", dev);
	if (has)
		pt_address_print(&of_dev, other);
	return pt_error_set(err, PT_EXIT_HOST, -EADDRNOTAVAIL, "%.200s: %s is "
			    "a loopback address, which no other host reaches "
			    "(listen on an address of %.64s%s%s; /etc/hosts "
			    "may have this one for a name)", text, ip, dev,
			    has ? ", as " : "", has ? other : "");
}

int pt_local_choose(struct pt_address *out, const char *text,
		    __u16 default_port, const char *dev, struct pt_error *err)
{
	struct pt_address all[PT_ADDRESSES_MAX];
	int cnt = pt_address_resolve(all, PT_ADDRESSES_MAX, text, default_port,
				     err), first = -1;

	if (cnt < 0)
		return cnt;
	for (int i = cnt; i-- > 0; )
		if (!pt_address_is_loopback(&all[i]))
			first = i;
	if (first < 0)
		return refuse_loopback(&all[0], text, dev, err);
	*out = all[first];
	for (int i = 0; i < cnt; i++) {
		if (!has_device(dev, match_ip, &all[i]))
			continue;
		*out = all[i];
		break;
	}
	return 0;
}

/* ---- the state of an address ---- */

static int on_attr(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == IFA_FLAGS &&
	    mnl_attr_get_payload_len(attr) == sizeof(__u32))
		*(__u32 *)data = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int on_address(const struct nlmsghdr *nlh, void *data)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != RTM_NEWADDR ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa))
		return MNL_CB_OK;
	return mnl_attr_parse(nlh, sizeof(*ifa), on_attr, data);
}

enum pt_local_state pt_local_state(const struct pt_address *a)
{
	char buf[PT_NETLINK_ASK_SZ] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;
	__u32 flags = 0;
	int ret;

	if (pt_address_is_v4(a) || pt_address_is_any(a))
		return PT_LOCAL_USABLE;
	nlh->nlmsg_type = RTM_GETADDR;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = AF_INET6;
	ifa->ifa_index = a->scope;
	mnl_attr_put(nlh, IFA_ADDRESS, sizeof(a->ip), a->ip);
	ret = pt_netlink_ask(NETLINK_ROUTE, nlh, on_address, &flags);
	if (ret)
		return ret == -EADDRNOTAVAIL ? PT_LOCAL_ABSENT
					     : PT_LOCAL_USABLE;
	if (flags & IFA_F_DADFAILED)
		return PT_LOCAL_DUPLICATE;
	return flags & IFA_F_TENTATIVE && !(flags & IFA_F_OPTIMISTIC)
		? PT_LOCAL_TENTATIVE : PT_LOCAL_USABLE;
}

int pt_local_bind(int sock, const struct pt_address *a)
{
	struct sockaddr_storage sa;
	socklen_t sz = pt_address_to_sockaddr(a, &sa);
	const int one = 1;

	switch (pt_local_state(a)) {
	case PT_LOCAL_DUPLICATE:
		return -ENOTUNIQ;
	case PT_LOCAL_TENTATIVE:
		if (setsockopt(sock, IPPROTO_IPV6, IPV6_FREEBIND, &one,
			       sizeof(one)))
			return -errno;
		break;
	default:
		break;
	}
	return bind(sock, (struct sockaddr *)&sa, sz) ? -errno : 0;
}
