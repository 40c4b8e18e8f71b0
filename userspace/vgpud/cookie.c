/* SPDX-License-Identifier: MIT */
/* See cookie.h. */
#include <errno.h>
#include <string.h>
#include "vgpud/cookie.h"

#define MAGIC	0x31636776u	/* "vgc1" */

struct layout {
	uint32_t	magic;
	uint32_t	reserved;	/* zero */
	struct vgpu_session_cookie session;
};

_Static_assert(sizeof(struct layout) == sizeof(struct vgpu_cookie), "all of it");

/* FNV-1a */
uint64_t vgpu_name_hash(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
	return hash;
}

void vgpu_cookie_make(struct vgpu_cookie *cookie, const struct vgpu_session_cookie *s)
{
	const struct layout l = { .magic = MAGIC, .session = *s };

	memcpy(cookie, &l, sizeof(*cookie));
}

int vgpu_cookie_read(const struct vgpu_cookie *cookie, struct vgpu_session_cookie *s)
{
	static const struct vgpu_cookie none;
	struct layout l;

	if (!memcmp(cookie, &none, sizeof(none)))
		return -ENOENT;
	memcpy(&l, cookie, sizeof(l));
	if (l.magic != MAGIC || l.reserved)
		return -EPROTO;
	*s = l.session;
	return 0;
}
