/* SPDX-License-Identifier: MIT */
/* Lines of the log. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include "daemon/daemon.h"

static int log_fd = STDERR_FILENO;
static const char *log_name = "vgpu";

void vgpu_log_as(const char *name)
{
	log_name = name;
}

void vgpu_log_to(int fd)
{
	log_fd = fd;
}

void vgpu_log(const char *format, ...)
{
	char line[1024];
	const int head = snprintf(line, sizeof(line), "%.32s: ", log_name);
	const int room = sizeof(line) - head - 1;
	va_list args;
	ssize_t done;
	int n;

	va_start(args, format);
	n = vsnprintf(line + head, room, format, args);
	va_end(args);
	n = head + (n < 0 ? 0 : n < room ? n : room - 1);
	/* Names come from clients: they must not look like lines of ours. */
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	/* In one piece: workers write here as well. */
	done = write(log_fd, line, n);
	(void)done;
}
