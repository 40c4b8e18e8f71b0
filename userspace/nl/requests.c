/* SPDX-License-Identifier: MIT */
/* The requests of the family. */
#include <errno.h>
#include <stdlib.h>
#include "nl/internal.h"

/* Others may come and go while devices are listed; that ends. */
#define DUMP_TRIES	32

/* A request that carries what @d has. NULL: no memory. */
static struct nl_msg *request(struct vgpu_nl *nl, enum vgpu_cmd cmd, int flags,
			      const struct vgpu_nl_device *d)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (!msg)
		return NULL;
	if (genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl->family, 0, flags, cmd,
			VGPU_GENL_VERSION) && !vgpu_nl_encode(msg, d))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static struct vgpu_nl_device named(uint32_t number)
{
	return (struct vgpu_nl_device){
		.has = VGPU_NL_HAS(VGPU_ATTR_DEVICE), .number = number,
	};
}

/* ---- one device ---- */

struct answer {
	struct vgpu_nl_device	*device;
	unsigned		count;
};

static int take_one(struct nlmsghdr *h, void *arg)
{
	struct answer *a = arg;
	struct vgpu_nl_event e;
	int err = vgpu_nl_decode(h, &e);

	if (!err)
		*a->device = e.device;
	a->count++;
	return err;
}

static int ask_one(struct vgpu_nl *nl, struct nl_msg *msg, struct vgpu_nl_device *d)
{
	struct answer a = { .device = d };
	int err = vgpu_nl_ask(nl, msg, take_one, &a);

	return err ? err : a.count == 1 ? 0 : -EPROTO;
}

int vgpu_nl_get(struct vgpu_nl *nl, uint32_t number, struct vgpu_nl_device *d)
{
	struct vgpu_nl_device which = named(number);

	return ask_one(nl, request(nl, VGPU_CMD_DEVICE_GET, NLM_F_ACK, &which), d);
}

int vgpu_nl_new(struct vgpu_nl *nl, const struct vgpu_nl_device *want,
		struct vgpu_nl_device *made)
{
	return ask_one(nl, request(nl, VGPU_CMD_DEVICE_NEW, NLM_F_ACK, want), made);
}

int vgpu_nl_set(struct vgpu_nl *nl, const struct vgpu_nl_device *change)
{
	struct vgpu_nl_device d = *change;

	d.has |= VGPU_NL_HAS(VGPU_ATTR_DEVICE);
	return vgpu_nl_ask(nl, request(nl, VGPU_CMD_DEVICE_SET, NLM_F_ACK, &d), NULL, NULL);
}

int vgpu_nl_del(struct vgpu_nl *nl, uint32_t number)
{
	struct vgpu_nl_device which = named(number);

	return vgpu_nl_ask(nl, request(nl, VGPU_CMD_DEVICE_DEL, NLM_F_ACK, &which), NULL, NULL);
}

/* ---- all ---- */

struct list {
	struct vgpu_nl_device	*devices;
	unsigned		count, room;
};

static int take_next(struct nlmsghdr *h, void *arg)
{
	struct list *l = arg;
	struct vgpu_nl_event e;
	int err = vgpu_nl_decode(h, &e);

	if (err)
		return err;
	if (l->count == l->room) {
		unsigned room = l->room ? 2 * l->room : 16;
		struct vgpu_nl_device *more = reallocarray(l->devices, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->devices = more;
		l->room = room;
	}
	l->devices[l->count++] = e.device;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct vgpu_nl_device *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

int vgpu_nl_dump(struct vgpu_nl *nl, struct vgpu_nl_device **devices)
{
	const struct vgpu_nl_device all = {};
	struct list l = {};
	int err = -EAGAIN;

	for (int i = 0; i < DUMP_TRIES && err == -EAGAIN; i++) {
		l.count = 0;
		err = vgpu_nl_ask(nl, request(nl, VGPU_CMD_DEVICE_GET, NLM_F_DUMP, &all),
				  take_next, &l);
	}
	if (err) {
		free(l.devices);
		return err;
	}
	if (l.count)
		qsort(l.devices, l.count, sizeof(*l.devices), by_number);
	*devices = l.devices;
	return l.count;
}
