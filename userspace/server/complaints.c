/* SPDX-License-Identifier: MIT */
/*
 * Lines about what others did wrong. Whoever can connect can cause them, so there
 * are only so many in a minute, and then a number.
 */
#include <stdarg.h>
#include <stdio.h>
#include "server/serve.h"

#define LINES_MAX	30
#define MINUTE_MS	60000

int64_t vgpu_complaints_tick(struct vgpu_server *s, int64_t now)
{
	if (!s->minute)
		return VGPU_NEVER;
	if (now < s->minute + MINUTE_MS)
		return s->minute + MINUTE_MS;
	if (s->unsaid)
		vgpu_log("%u more lines like these were left out", s->unsaid);
	s->minute = 0;
	s->lines = s->unsaid = 0;
	return VGPU_NEVER;
}

void vgpu_complain(struct vgpu_server *s, const char *format, ...)
{
	char line[600];
	va_list args;

	if (!s->minute)
		s->minute = vgpu_now();
	if (s->lines == LINES_MAX) {
		s->unsaid++;
		return;
	}
	s->lines++;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	vgpu_log("%s", line);
}

void vgpu_complain_of(struct vgpu_server *s, int fd, const char *why)
{
	char peer[80];

	vgpu_address_peer(fd, peer, sizeof(peer));
	vgpu_complain(s, "connection from %s refused: %s", peer, why);
}
