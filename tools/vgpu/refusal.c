/* SPDX-License-Identifier: MIT */
/* What went wrong, and what to do about it, on standard error. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include "vgpu.h"

void vgpu_complain(const char *format, ...)
{
	va_list args;

	fputs("vgpu: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

int vgpu_unreachable(int err)
{
	if (err != -ENOENT)
		vgpu_complain("cannot ask the kernel: %s", strerror(-err));
	else if (access("/sys/module/vgpu", F_OK))
		vgpu_complain("module is not loaded: modprobe vgpu");
	else
		vgpu_complain("the module is managed from the initial network namespace only");
	return REFUSED;
}

/* What to do, where the kernel's words do not say it. */
static const char *remedy(int err)
{
	switch (err) {
	case -EPERM:
		return ": run it as root of this host";
	case -ENODEV:
		return ": see vgpu list";
	case -ENOSPC:
		return ": there are as many devices as there can be";
	case -EAGAIN:
		return ": devices come and go, try again";
	}
	return "";
}

int vgpu_refused(const struct vgpu_nl *nl, int err, const char *what)
{
	vgpu_complain("%s: %s%s", what, vgpu_nl_error(nl), remedy(err));
	return REFUSED;
}

int vgpu_written(int err)
{
	if (!err)
		return DONE;
	vgpu_complain("cannot print: %s", strerror(-err));
	return REFUSED;
}
