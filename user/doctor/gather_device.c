// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "doctor/gather.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pagetrim/wire.h>
#include "xsk/netdev.h"

#define FEATURES_MAX	256	/* bits; the kernel has some 70 */
#define RULES_MAX	4096
#define INDIR_MAX	4096	/* entries of the hash's table */

/* ethtool: a socket, and the device of its requests. */
struct ethtool {
	int	fd;
	const char *name;
};

static bool ask(const struct ethtool *e, void *cmd)
{
	struct ifreq ifr = { .ifr_data = cmd };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", e->name);
	return !ioctl(e->fd, SIOCETHTOOL, &ifr);
}

/* ---- offloads ---- */

static const char *const offload_name[PT_OFFLOAD_CNT] = {
#define X(symbol, kernel, ethtool, finding) [PT_OFFLOAD_##symbol] = kernel,
	PT_OFFLOADS(X)
#undef X
};

/* ask_names reads the kernel's names of feature bits, in order. */
static struct ethtool_gstrings *ask_names(const struct ethtool *e)
{
	__u64 room[3] = { 0 };	/* for the head and one count */
	struct ethtool_sset_info *info = (void *)room;
	struct ethtool_gstrings *names;

	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = 1ull << ETH_SS_FEATURES;
	if (!ask(e, info) || !info->sset_mask || info->data[0] > FEATURES_MAX)
		return NULL;
	names = calloc(1, sizeof(*names) + info->data[0] * ETH_GSTRING_LEN);
	if (!names)
		return NULL;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = info->data[0];
	if (ask(e, names))
		return names;
	free(names);
	return NULL;
}

/* offload_bit returns the bit of a feature's name, 0 if the name is not in our
 * list. */
static __u32 offload_bit(const void *name)
{
	for (int i = 0; i < PT_OFFLOAD_CNT; i++)
		if (!strncmp(name, offload_name[i], ETH_GSTRING_LEN))
			return 1u << i;
	return 0;
}

static __u32 gather_offloads(const struct ethtool *e)
{
	struct ethtool_gstrings *names = ask_names(e);
	struct ethtool_gfeatures *features;
	__u32 on = 0;

	features = calloc(1, sizeof(*features) + FEATURES_MAX / 32 *
			  sizeof(features->features[0]));
	if (!names || !features)
		goto free;
	features->cmd = ETHTOOL_GFEATURES;
	features->size = FEATURES_MAX / 32;
	if (!ask(e, features))
		goto free;
	for (__u32 bit = 0; bit < names->len; bit++)
		if (features->features[bit / 32].active >> bit % 32 & 1)
			on |= offload_bit(names->data + bit * ETH_GSTRING_LEN);
free:
	free(features);
	free(names);
	return on;
}

/* ---- receive queues: hash and rules ---- */

/* hash_queue_cnt returns the count of queues in the hash's table. */
static __u32 hash_queue_cnt(const struct ethtool *e)
{
	struct ethtool_rxfh_indir head = { .cmd = ETHTOOL_GRXFHINDIR };
	struct ethtool_rxfh_indir *table;
	__u32 cnt = 0;

	if (!ask(e, &head) || !head.size || head.size > INDIR_MAX)
		return 0;
	table = calloc(1, sizeof(*table) + head.size * sizeof(__u32));
	if (!table)
		return 0;
	table->cmd = ETHTOOL_GRXFHINDIR;
	table->size = head.size;
	if (ask(e, table))
		for (__u32 i = 0; i < head.size; i++)
			if (table->ring_index[i] >= cnt)
				cnt = table->ring_index[i] + 1;
	free(table);
	return cnt;
}

/* is_of_port: a rule for UDP to all bits of our usual port. */
static bool is_of_port(const struct ethtool_rx_flow_spec *rule)
{
	const __be16 port = htons(PT_UDP_PORT);

	switch (rule->flow_type & ~(FLOW_EXT | FLOW_MAC_EXT | FLOW_RSS)) {
	case UDP_V4_FLOW:
		return rule->m_u.udp_ip4_spec.pdst == 0xffff &&
		       rule->h_u.udp_ip4_spec.pdst == port;
	case UDP_V6_FLOW:
		return rule->m_u.udp_ip6_spec.pdst == 0xffff &&
		       rule->h_u.udp_ip6_spec.pdst == port;
	}
	return false;
}

static void gather_rule(const struct ethtool *e, struct pt_facts_device *d)
{
	struct ethtool_rxnfc cnt = { .cmd = ETHTOOL_GRXCLSRLCNT };
	struct ethtool_rxnfc *all;

	d->rule = -1;
	if (!ask(e, &cnt) || !cnt.rule_cnt || cnt.rule_cnt > RULES_MAX)
		return;
	all = calloc(1, sizeof(*all) + cnt.rule_cnt * sizeof(__u32));
	if (!all)
		return;
	all->cmd = ETHTOOL_GRXCLSRLALL;
	all->rule_cnt = cnt.rule_cnt;
	if (!ask(e, all))
		all->rule_cnt = 0;
	for (__u32 i = 0; i < all->rule_cnt && i < cnt.rule_cnt; i++) {
		struct ethtool_rxnfc one = { .cmd = ETHTOOL_GRXCLSRULE };

		one.fs.location = all->rule_locs[i];
		if (!ask(e, &one) || !is_of_port(&one.fs))
			continue;
		d->rule = one.fs.location;
		d->rule_queue = one.fs.ring_cookie == RX_CLS_FLOW_DISC ? -1 :
			(int)ethtool_get_flow_spec_ring(one.fs.ring_cookie);
		break;
	}
	free(all);
}

/* link_mbit: a virtual device's driver reports an arbitrary speed. */
static __u32 link_mbit(const struct ethtool *e, const char *driver)
{
	struct ethtool_link_settings *all, head = {
		.cmd = ETHTOOL_GLINKSETTINGS,
	};
	__u32 mbit = 0;

	if (!strcmp(driver, "veth") || !strcmp(driver, "tun") ||
	    !strcmp(driver, "bridge"))
		return 0;
	/* Two requests: the first answer is the count of words in a mask. */
	if (!ask(e, &head) || head.link_mode_masks_nwords >= 0)
		return 0;
	all = calloc(1, sizeof(*all) - 3 * head.link_mode_masks_nwords *
		     sizeof(__u32));
	if (!all)
		return 0;
	all->cmd = ETHTOOL_GLINKSETTINGS;
	all->link_mode_masks_nwords = -head.link_mode_masks_nwords;
	if (ask(e, all) && all->speed != (__u32)SPEED_UNKNOWN)
		mbit = all->speed;
	free(all);
	return mbit;
}

void gather_device(struct pt_facts_device *d, const char *name)
{
	struct ethtool e = { .name = d->dev.name };
	struct pt_netdev_facts netdev;
	struct pt_error err;

	d->rule = -1;
	gather_try(&d->found, pt_device_open(&d->dev, name, &err), &err);
	if (d->found.ret)
		return;
	pt_netdev_ask(&netdev, d->dev.ifindex);
	d->features_known = netdev.known;
	d->xdp_features = netdev.xdp_features;
	d->zc_max_segs = netdev.zc_max_segs;
	d->garbles = pt_netdev_garbles(&d->dev);
	e.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (e.fd < 0)
		return;
	d->offloads = gather_offloads(&e);
	d->rss_queue_cnt = hash_queue_cnt(&e);
	gather_rule(&e, d);
	d->link_mbit = link_mbit(&e, d->dev.driver);
	close(e.fd);
}
