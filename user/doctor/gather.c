// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "doctor/gather.h"

#include <stdarg.h>
#include <string.h>

#include "doctor/doctor.h"

void gather_try(struct pt_try *try, int ret, const struct pt_error *err)
{
	try->ret = ret;
	snprintf(try->why, sizeof(try->why), "%.255s", ret ? err->text : "");
}

void gather_not_tried(struct pt_try *try, const char *fmt, ...)
{
	va_list args;

	try->ret = PT_NOT_TRIED;
	va_start(args, fmt);
	vsnprintf(try->why, sizeof(try->why), fmt, args);
	va_end(args);
}

void pt_doctor_gather(struct pt_facts *facts, const char *dev, const char *to)
{
	memset(facts, 0, sizeof(*facts));
	gather_host(&facts->host);
	gather_device(&facts->device, dev);
	gather_xdp(facts, !to);
	if (to)
		gather_path(facts, to);
	gather_speed(facts);
}
