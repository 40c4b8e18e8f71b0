/* SPDX-License-Identifier: MIT */
/* Events: a connection that only listens. */
#include <errno.h>
#include <netlink/genl/ctrl.h>
#include "nl/internal.h"

static int join_group(struct vgpu_nl *nl)
{
	int group = genl_ctrl_resolve_grp(nl->sock, VGPU_GENL_NAME, VGPU_GENL_EVENTS), nle;

	if (group < 0)
		return vgpu_nl_errno(group);
	/* What comes answers nothing. */
	nl_socket_disable_seq_check(nl->sock);
	nle = nl_socket_add_membership(nl->sock, group);
	return vgpu_nl_errno(nle ? nle : nl_socket_set_nonblocking(nl->sock));
}

int vgpu_nl_events_open(struct vgpu_nl **out)
{
	int err = vgpu_nl_connect(out);

	if (err)
		return err;
	err = join_group(*out);
	if (err)
		vgpu_nl_close(*out);
	return err;
}

int vgpu_nl_fd(const struct vgpu_nl *events)
{
	return nl_socket_get_fd(events->sock);
}

struct arrival {
	struct vgpu_nl_event	*event;
	int			family;
	int			result;		/* 1: one was there; -errno */
};

static int on_event(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct arrival *a = arg;

	if (h->nlmsg_type != a->family)
		return NL_SKIP;
	a->result = vgpu_nl_decode(h, a->event) ?: 1;
	return NL_OK;
}

int vgpu_nl_event(struct vgpu_nl *nl, struct vgpu_nl_event *e)
{
	struct arrival a = { .event = e, .family = nl->family };
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int nle = 0;

	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_event, &a);
	/* The kernel sends each event in a message of its own. */
	while (!a.result && nle >= 0)
		nle = nl_recvmsgs(nl->sock, cb);
	nl_cb_put(cb);
	if (a.result || nle == -NLE_AGAIN)
		return a.result;
	/* libnl's word for a socket that overflowed. */
	return nle == -NLE_NOMEM ? -ENOBUFS : vgpu_nl_errno(nle);
}
