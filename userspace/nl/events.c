/* SPDX-License-Identifier: MIT */
/* Events: a connection that only listens. */
#include <errno.h>
#include <netlink/genl/ctrl.h>
#include "nl/internal.h"

/* The family's own group, and the one that tells of its end. */
static int join_groups(struct vgpu_nl *nl)
{
	/* Both, before what nobody asked for can come between an answer. */
	int events = genl_ctrl_resolve_grp(nl->sock, VGPU_GENL_NAME, VGPU_GENL_EVENTS);
	int ends = genl_ctrl_resolve_grp(nl->sock, "nlctrl", "notify");
	int nle;

	if (events < 0 || ends < 0)
		return vgpu_nl_errno(events < 0 ? events : ends);
	nle = nl_socket_add_memberships(nl->sock, events, ends, 0);
	return vgpu_nl_errno(nle ? nle : nl_socket_set_nonblocking(nl->sock));
}

int vgpu_nl_events_open(struct vgpu_nl **out)
{
	int err = vgpu_nl_connect(out);

	if (err)
		return err;
	err = join_groups(*out);
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

static bool is_end_of(int family, struct nlmsghdr *h)
{
	static struct nla_policy policy[CTRL_ATTR_MAX + 1] = {
		[CTRL_ATTR_FAMILY_ID] = { .type = NLA_U16 },
	};
	struct nlattr *attrs[CTRL_ATTR_MAX + 1];

	if (h->nlmsg_type != GENL_ID_CTRL || !genlmsg_valid_hdr(h, 0) ||
	    genlmsg_hdr(h)->cmd != CTRL_CMD_DELFAMILY ||
	    genlmsg_parse(h, 0, attrs, CTRL_ATTR_MAX, policy))
		return false;
	return attrs[CTRL_ATTR_FAMILY_ID] && nla_get_u16(attrs[CTRL_ATTR_FAMILY_ID]) == family;
}

/* What comes answers nothing: it has no number that could be wrong. */
static int on_sequence(struct nl_msg *msg, void *arg)
{
	return NL_OK;
}

static int on_event(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct arrival *a = arg;

	if (is_end_of(a->family, h))
		a->result = -ENODEV;
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
	nl_cb_set(cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, on_sequence, NULL);
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
