/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <pagetrim/check.h>

static const __u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static int refuse(struct pt_error *err, const char *text, const char *why)
{
	return pt_error_set(err, PT_EXIT_USAGE, -EINVAL,
			    "%.200s: %s (ADDR, ADDR:PORT or [IPV6]:PORT)",
			    text, why);
}

static int parse_port(__u16 *port, const char *digits, const char *text,
		      struct pt_error *err)
{
	unsigned long value;
	char *end;

	if (*digits < '0' || *digits > '9' || strlen(digits) > 5)
		return refuse(err, text, "the port is not 1..65535");
	value = strtoul(digits, &end, 10);
	if (*end || value < 1 || value > 65535)
		return refuse(err, text, "the port is not 1..65535");
	*port = value;
	return 0;
}

/* The resolver would read "10.1" as 10.0.0.1, and "10.0.0.300" as a name. */
static bool is_bad_v4(const char *host)
{
	struct in_addr v4;

	return strspn(host, "0123456789.") == strlen(host) &&
	       inet_pton(AF_INET, host, &v4) != 1;
}

/* split extracts the host, without brackets, and the port, if text has one. */
static int split(char host[PT_ADDRESS_HOST_SZ], __u16 *port, const char *text,
		 struct pt_error *err)
{
	const char *start = text, *end, *digits = NULL;
	const char *colon = strchr(text, ':');

	if (*text == '[') {
		start = text + 1;
		end = strchr(start, ']');
		if (!end)
			return refuse(err, text, "'[' without ']'");
		if (end[1] == ':')
			digits = end + 2;
		else if (end[1])
			return refuse(err, text, "more after ']'");
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
		digits = colon + 1;
	} else {
		end = text + strlen(text);	/* no colon, or bare IPv6 */
	}

	if (end == start)
		return refuse(err, text, "no address");
	if (end - start >= PT_ADDRESS_HOST_SZ)
		return refuse(err, text, "too long");
	memcpy(host, start, end - start);
	host[end - start] = '\0';
	if (*text == '[' && !strchr(host, ':'))
		return refuse(err, text, "not an IPv6 address in brackets");
	if (is_bad_v4(host))
		return refuse(err, text, "not an IPv4 address");
	return digits ? parse_port(port, digits, text, err) : 0;
}

int pt_address_resolve(struct pt_address *out, unsigned max, const char *text,
		       __u16 default_port, struct pt_error *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list, *ai;
	struct sockaddr_storage sa;
	__u16 port = default_port;
	char host[PT_ADDRESS_HOST_SZ];
	unsigned cnt = 0;
	int ret;

	pt_check(max > 0 && max <= PT_ADDRESSES_MAX);
	ret = split(host, &port, text, err);
	if (ret)
		return ret;
	ret = getaddrinfo(host, NULL, &hints, &list);
	if (ret && strchr(host, '%'))
		return refuse(err, text, "no IPv6 address of a device here");
	if (ret && strchr(host, ':'))
		return refuse(err, text, "not an IPv6 address");
	if (ret)
		return pt_error_set(err, PT_EXIT_HOST, -ENOENT,
				    "%.200s: %s (is the name right?)", text,
				    ret == EAI_SYSTEM ? strerror(errno) :
				    gai_strerror(ret));

	for (ai = list; ai && cnt < max; ai = ai->ai_next) {
		memset(&sa, 0, sizeof(sa));
		memcpy(&sa, ai->ai_addr, ai->ai_addrlen);
		if (pt_address_from_sockaddr(&out[cnt], &sa))
			out[cnt++].port = port;
	}
	freeaddrinfo(list);
	if (!cnt)
		return pt_error_set(err, PT_EXIT_HOST, -ENOENT,
				    "%.200s: no IPv4 or IPv6 address", text);
	return cnt;
}

int pt_address_parse(struct pt_address *out, const char *text,
		     __u16 default_port, struct pt_error *err)
{
	struct pt_address first;
	int ret = pt_address_resolve(&first, 1, text, default_port, err);

	if (ret < 0)
		return ret;
	*out = first;
	return 0;
}

int pt_address_host(char host[PT_ADDRESS_HOST_SZ], const char *text,
		    struct pt_error *err)
{
	__u16 port;
	int ret = split(host, &port, text, err);

	if (!ret)
		host[strcspn(host, "%")] = '\0';
	return ret;
}

const char *pt_address_print(const struct pt_address *a,
			     char buf[PT_ADDRESS_TEXT_SZ])
{
	char ip[INET6_ADDRSTRLEN], device[IF_NAMESIZE + 1] = "";
	bool v4 = pt_address_is_v4(a);

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->ip + 12 : a->ip, ip,
		  sizeof(ip));
	if (a->scope) {
		device[0] = '%';
		if (!if_indextoname(a->scope, device + 1))
			snprintf(device, sizeof(device), "%%%u", a->scope);
	}
	if (!a->port)
		snprintf(buf, PT_ADDRESS_TEXT_SZ, "%s%s", ip, device);
	else if (v4)
		snprintf(buf, PT_ADDRESS_TEXT_SZ, "%s:%u", ip, a->port);
	else
		snprintf(buf, PT_ADDRESS_TEXT_SZ, "[%s%s]:%u", ip, device,
			 a->port);
	return buf;
}

bool pt_address_is_v4(const struct pt_address *a)
{
	return !memcmp(a->ip, v4_prefix, sizeof(v4_prefix));
}

bool pt_address_is_any(const struct pt_address *a)
{
	static const __u8 zero[16];

	return !memcmp(a->ip, zero, 16) ||
	       (pt_address_is_v4(a) && !memcmp(a->ip + 12, zero, 4));
}

bool pt_address_is_link_local(const struct pt_address *a)
{
	return a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool pt_address_is_loopback(const struct pt_address *a)
{
	static const __u8 v6[16] = { [15] = 1 };

	return pt_address_is_v4(a) ? a->ip[12] == 127 :
				     !memcmp(a->ip, v6, sizeof(v6));
}

socklen_t pt_address_to_sockaddr(const struct pt_address *a,
				 struct sockaddr_storage *sa)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };

	memset(sa, 0, sizeof(*sa));
	if (pt_address_is_v4(a)) {
		v4.sin_port = htons(a->port);
		memcpy(&v4.sin_addr, a->ip + 12, 4);
		memcpy(sa, &v4, sizeof(v4));
		return sizeof(v4);
	}
	v6.sin6_port = htons(a->port);
	v6.sin6_scope_id = a->scope;
	memcpy(&v6.sin6_addr, a->ip, 16);
	memcpy(sa, &v6, sizeof(v6));
	return sizeof(v6);
}

bool pt_address_from_sockaddr(struct pt_address *a,
			      const struct sockaddr_storage *sa)
{
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	memset(a, 0, sizeof(*a));
	switch (sa->ss_family) {
	case AF_INET:
		memcpy(&v4, sa, sizeof(v4));
		memcpy(a->ip, v4_prefix, sizeof(v4_prefix));
		memcpy(a->ip + 12, &v4.sin_addr, 4);
		a->port = ntohs(v4.sin_port);
		return true;
	case AF_INET6:
		memcpy(&v6, sa, sizeof(v6));
		memcpy(a->ip, &v6.sin6_addr, 16);
		a->port = ntohs(v6.sin6_port);
		if (pt_address_is_link_local(a))
			a->scope = v6.sin6_scope_id;
		return true;
	default:
		return false;
	}
}
