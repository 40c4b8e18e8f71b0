/* SPDX-License-Identifier: MIT */
/* What the files of this folder share; libnl is known here and nowhere else. */
#ifndef VGPU_NL_INTERNAL_H
#define VGPU_NL_INTERNAL_H

#include <netlink/netlink.h>
#include <netlink/genl/genl.h>
#include "nl/nl.h"

struct vgpu_nl {
	struct nl_sock	*sock;
	int		family;
	char		error[256];
};

/* ---- connection.c ---- */

int vgpu_nl_connect(struct vgpu_nl **out);

/* The errno of an error of libnl's. */
int vgpu_nl_errno(int nle);

/*
 * The kernel's own words for the refusal @h (a whole message of type
 * NLMSG_ERROR), copied to @text; false: it has none.
 */
bool vgpu_nl_extack(const struct nlmsghdr *h, char *text, size_t room);

/*
 * Send @msg (freed here; NULL: there was no memory for it) and take all that
 * answers it: @take is called for each message, and the first error that it
 * returns is returned when all are there.
 */
int vgpu_nl_ask(struct vgpu_nl *nl, struct nl_msg *msg,
		int (*take)(struct nlmsghdr *h, void *arg), void *arg);

/* ---- attributes.c ---- */

/* The attributes of a request that gives what @d has; -ENOMEM: no room. */
int vgpu_nl_encode(struct nl_msg *msg, const struct vgpu_nl_device *d);

/* What a message of the family holds. -EPROTO */
int vgpu_nl_decode(struct nlmsghdr *h, struct vgpu_nl_event *e);

#endif /* VGPU_NL_INTERNAL_H */
