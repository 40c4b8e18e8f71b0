/* SPDX-License-Identifier: MIT */
/* The checks of the two messages that begin a session. */
#include <string.h>
#include "proto/proto.h"

_Static_assert(sizeof(struct vgpu_hello) == 528 + VGPU_RANGES_MAX * 16, "hello");
_Static_assert(sizeof(struct vgpu_answer) == 32 + VGPU_OPCODES / 8 + 256, "answer");
_Static_assert(sizeof(struct vgpu_request) == 24, "request");
_Static_assert(sizeof(struct vgpu_completion) == 32, "completion");
_Static_assert(sizeof(struct vgpu_notice_error) == 40, "error notice");
_Static_assert(sizeof(struct vgpu_notice_data) == 48, "data notice");
_Static_assert(sizeof(struct vgpu_notice_hostfn) == 32, "host function notice");
_Static_assert(sizeof(struct vgpu_notice_output) == 40, "output notice");
_Static_assert(sizeof(struct vgpu_device_info) % 8 == 0, "device info");
_Static_assert(sizeof(struct vgpu_function_info) % 8 == 0, "function info");

static const char *ranges_check(const struct vgpu_range *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (r[i].start >= r[i].end || (r[i].start | r[i].end) % VGPU_PAGE_SIZE)
			return "a range is empty or not of whole pages";
		if (i && r[i].start < r[i - 1].end)
			return "ranges overlap or are not in order";
	}
	return NULL;
}

const char *vgpu_hello_check(const struct vgpu_hello *h, size_t length)
{
	if (length < vgpu_hello_length(0))
		return "too short";
	if (h->magic != VGPU_HELLO_MAGIC)
		return "not a vgpu hello";
	if (h->version != VGPU_HELLO_VERSION)
		return "another version of the protocol";
	if (h->features)
		return "features that this side does not know";
	if (h->nranges > VGPU_RANGES_MAX || length != vgpu_hello_length(h->nranges))
		return "length does not fit the number of ranges";
	return ranges_check(h->ranges, h->nranges);
}

const char *vgpu_answer_check(const struct vgpu_answer *a, size_t length)
{
	if (length != sizeof(*a))
		return "wrong length";
	if (a->magic != VGPU_HELLO_MAGIC)
		return "not a vgpu answer";
	if (a->version != VGPU_HELLO_VERSION)
		return "another version of the protocol";
	if (a->features & ~VGPU_ANSWER_FEATURES || a->reserved)
		return "features that this side does not know";
	if (a->text[sizeof(a->text) - 1])
		return "text without an end";
	return NULL;
}
