/* SPDX-License-Identifier: MIT */
/* A connection to the module's family: a request, all of its answers, its error. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <netlink/genl/ctrl.h>
#include "nl/internal.h"

/* ---- errors ---- */

int vgpu_nl_errno(int nle)
{
	switch (nle < 0 ? -nle : nle) {
	case 0:
		return 0;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_AGAIN:
		return -EAGAIN;
	case NLE_INTR:
		return -EINTR;
	case NLE_PERM:
		return -EPERM;
	case NLE_NOACCESS:
		return -EACCES;
	case NLE_AF_NOSUPPORT:
	case NLE_PROTO_MISMATCH:
		return -EPROTONOSUPPORT;
	case NLE_MSG_TOOSHORT:
	case NLE_MSG_TRUNC:
	case NLE_MSG_OVERFLOW:
	case NLE_SEQ_MISMATCH:
		return -EPROTO;
	default:
		return -EIO;
	}
}

/* An acknowledgement repeats the request, its bytes only if it was not capped. */
static size_t extack_offset(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = nlmsg_data(h);
	size_t echoed = h->nlmsg_flags & NLM_F_CAPPED ? 0 : e->msg.nlmsg_len - NLMSG_HDRLEN;

	if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len < NLMSG_HDRLEN)
		return h->nlmsg_len;
	return NLMSG_HDRLEN + sizeof(*e) + NLMSG_ALIGN(echoed);
}

bool vgpu_nl_extack(const struct nlmsghdr *h, char *text, size_t room)
{
	struct nlattr *attr;
	size_t offset;

	if (h->nlmsg_len < NLMSG_HDRLEN + sizeof(struct nlmsgerr) ||
	    !(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return false;
	offset = extack_offset(h);
	if (offset >= h->nlmsg_len)
		return false;
	attr = nla_find((struct nlattr *)((char *)h + offset), h->nlmsg_len - offset,
			NLMSGERR_ATTR_MSG);
	if (!attr || nla_len(attr) <= 0)
		return false;
	snprintf(text, room, "%.*s", nla_len(attr), (const char *)nla_data(attr));
	return true;
}

static void say(struct vgpu_nl *nl, int err)
{
	if (!nl->error[0])
		snprintf(nl->error, sizeof(nl->error), "%s", strerror(-err));
}

const char *vgpu_nl_error(const struct vgpu_nl *nl)
{
	return nl->error;
}

/* ---- a request ---- */

struct exchange {
	struct vgpu_nl	*nl;
	int		(*take)(struct nlmsghdr *h, void *arg);
	void		*arg;
	uint32_t	seq;		/* of the request */
	int		err;		/* of taking, or the kernel's */
	bool		done;
	bool		torn;		/* a dump that things changed under */
};

/* What is left of an earlier request, which broke off, is no answer to this one. */
static int on_sequence(struct nl_msg *msg, void *arg)
{
	const struct exchange *x = arg;

	return nlmsg_hdr(msg)->nlmsg_seq == x->seq ? NL_OK : NL_SKIP;
}

static int on_message(struct nl_msg *msg, void *arg)
{
	struct exchange *x = arg;
	int err = x->take ? x->take(nlmsg_hdr(msg), x->arg) : 0;

	x->err = x->err ? x->err : err;
	return NL_OK;
}

/* An acknowledgement, or the end of a dump, which may have failed half-way. */
static int on_end(struct nl_msg *msg, void *arg)
{
	const struct nlmsghdr *h = nlmsg_hdr(msg);
	struct exchange *x = arg;
	int status = 0;

	if (h->nlmsg_type == NLMSG_DONE && nlmsg_datalen(h) >= (int)sizeof(status))
		memcpy(&status, nlmsg_data(h), sizeof(status));
	if (status < 0)
		x->err = status;
	x->done = true;
	return NL_STOP;
}

static int on_torn(struct nl_msg *msg, void *arg)
{
	((struct exchange *)arg)->torn = true;
	return NL_OK;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct exchange *x = arg;
	const struct nlmsghdr *h = (const struct nlmsghdr *)((const char *)e - NLMSG_HDRLEN);

	x->err = e->error < 0 ? e->error : -EPROTO;
	vgpu_nl_extack(h, x->nl->error, sizeof(x->nl->error));
	x->done = true;
	return NL_STOP;
}

static int receive(struct exchange *x)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int nle = 0;

	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, on_sequence, x);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_message, x);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, x);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, x);
	nl_cb_set(cb, NL_CB_DUMP_INTR, NL_CB_CUSTOM, on_torn, x);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, x);
	while (!x->done && nle >= 0)
		nle = nl_recvmsgs(x->nl->sock, cb);
	nl_cb_put(cb);
	if (!x->done)
		return vgpu_nl_errno(nle);
	if (x->err)
		return x->err;
	return x->torn ? -EAGAIN : 0;
}

int vgpu_nl_ask(struct vgpu_nl *nl, struct nl_msg *msg,
		int (*take)(struct nlmsghdr *h, void *arg), void *arg)
{
	struct exchange x = { .nl = nl, .take = take, .arg = arg };
	int err = -ENOMEM;

	nl->error[0] = 0;
	if (msg) {
		int sent = nl_send_auto(nl->sock, msg);

		x.seq = nlmsg_hdr(msg)->nlmsg_seq;
		err = sent < 0 ? vgpu_nl_errno(sent) : receive(&x);
	}
	nlmsg_free(msg);
	if (err)
		say(nl, err);
	return err;
}

/* ---- its life ---- */

static int join_family(struct vgpu_nl *nl)
{
	int on = 1;

	nl->family = genl_ctrl_resolve(nl->sock, VGPU_GENL_NAME);
	if (nl->family < 0)
		return vgpu_nl_errno(nl->family);
	/* Without it an error is a number: that is told, then. */
	setsockopt(nl_socket_get_fd(nl->sock), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	return 0;
}

int vgpu_nl_connect(struct vgpu_nl **out)
{
	struct vgpu_nl *nl = calloc(1, sizeof(*nl));
	int err = -ENOMEM;

	if (!nl)
		return err;
	nl->sock = nl_socket_alloc();
	if (nl->sock)
		err = vgpu_nl_errno(genl_connect(nl->sock));
	if (!err)
		err = join_family(nl);
	if (err)
		vgpu_nl_close(nl);
	else
		*out = nl;
	return err;
}

int vgpu_nl_open(struct vgpu_nl **out)
{
	return vgpu_nl_connect(out);
}

void vgpu_nl_close(struct vgpu_nl *nl)
{
	if (!nl)
		return;
	nl_socket_free(nl->sock);
	free(nl);
}
