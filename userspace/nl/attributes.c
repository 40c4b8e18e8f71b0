/* SPDX-License-Identifier: MIT */
/* Attributes of messages, and the structs that stand for them. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "nl/internal.h"

_Static_assert(VGPU_ATTR_MAX < 32, "attributes and bits of .has");

static struct nla_policy policy[VGPU_ATTR_MAX + 1] = {
	[VGPU_ATTR_DEVICE]	    = { .type = NLA_U32 },
	[VGPU_ATTR_NAME]	    = { .type = NLA_STRING, .maxlen = VGPU_NAME_MAX + 1 },
	[VGPU_ATTR_UUID]	    = { .minlen = VGPU_UUID_BYTES, .maxlen = VGPU_UUID_BYTES },
	[VGPU_ATTR_STATE]	    = { .type = NLA_U32 },
	[VGPU_ATTR_BACKEND]	    = { .type = NLA_STRING, .maxlen = VGPU_BACKEND_MAX + 1 },
	[VGPU_ATTR_MEMORY]	    = { .type = NLA_U64 },
	[VGPU_ATTR_BUDGET]	    = { .type = NLA_U64 },
	[VGPU_ATTR_CHANNEL_BUDGET]  = { .type = NLA_U64 },
	[VGPU_ATTR_CHARGED]	    = { .type = NLA_U64 },
	[VGPU_ATTR_CHANNELS]	    = { .type = NLA_U64 },
	[VGPU_ATTR_CHANNELS_TOTAL]  = { .type = NLA_U64 },
	[VGPU_ATTR_CHANNELS_LOST]   = { .type = NLA_U64 },
	[VGPU_ATTR_COPIED]	    = { .type = NLA_U64 },
	[VGPU_ATTR_CHANNEL]	    = { .type = NLA_U64 },
	[VGPU_ATTR_CHANNEL_STATE]   = { .type = NLA_U32 },
};

/* Where an attribute lies in struct vgpu_nl_device. */
struct field {
	uint16_t	attr;
	uint16_t	offset;
};

#define FIELD(name, member)	{ VGPU_ATTR_##name, offsetof(struct vgpu_nl_device, member) }

static const struct field words[] = { FIELD(DEVICE, number), FIELD(STATE, state) };

static const struct field strings[] = { FIELD(NAME, name), FIELD(BACKEND, backend) };

static const struct field quantities[] = {
	FIELD(MEMORY, memory), FIELD(BUDGET, budget), FIELD(CHANNEL_BUDGET, channel_budget),
	FIELD(CHARGED, charged), FIELD(CHANNELS, channels),
	FIELD(CHANNELS_TOTAL, channels_total), FIELD(CHANNELS_LOST, channels_lost),
	FIELD(COPIED, copied),
};

#define for_each_field(f, table) \
	for (const struct field *f = (table); f < (table) + sizeof(table) / sizeof(*(table)); f++)

static void *at(struct vgpu_nl_device *d, const struct field *f)
{
	return (uint8_t *)d + f->offset;
}

static const void *at_const(const struct vgpu_nl_device *d, const struct field *f)
{
	return (const uint8_t *)d + f->offset;
}

int vgpu_nl_encode(struct nl_msg *msg, const struct vgpu_nl_device *d)
{
	int err = 0;

	for_each_field(f, words)
		if (!err && d->has & VGPU_NL_HAS(f->attr))
			err = nla_put(msg, f->attr, sizeof(uint32_t), at_const(d, f));
	for_each_field(f, strings)
		if (!err && d->has & VGPU_NL_HAS(f->attr))
			err = nla_put_string(msg, f->attr, at_const(d, f));
	for_each_field(f, quantities)
		if (!err && d->has & VGPU_NL_HAS(f->attr))
			err = nla_put(msg, f->attr, sizeof(uint64_t), at_const(d, f));
	if (!err && d->has & VGPU_NL_HAS(VGPU_ATTR_UUID))
		err = nla_put(msg, VGPU_ATTR_UUID, VGPU_UUID_BYTES, d->uuid);
	return err ? -ENOMEM : 0;
}

/* Lengths, and the ends of strings, were checked by the policy. */
static void decode_device(struct nlattr **attrs, struct vgpu_nl_device *d)
{
	for_each_field(f, words)
		if (attrs[f->attr])
			memcpy(at(d, f), nla_data(attrs[f->attr]), sizeof(uint32_t));
	for_each_field(f, strings)
		if (attrs[f->attr])
			strcpy(at(d, f), nla_get_string(attrs[f->attr]));
	for_each_field(f, quantities)
		if (attrs[f->attr])
			memcpy(at(d, f), nla_data(attrs[f->attr]), sizeof(uint64_t));
	if (attrs[VGPU_ATTR_UUID])
		memcpy(d->uuid, nla_data(attrs[VGPU_ATTR_UUID]), VGPU_UUID_BYTES);
	for (int i = 1; i <= VGPU_ATTR_MAX; i++)
		if (attrs[i])
			d->has |= VGPU_NL_HAS(i);
}

int vgpu_nl_decode(struct nlmsghdr *h, struct vgpu_nl_event *e)
{
	struct nlattr *attrs[VGPU_ATTR_MAX + 1];

	memset(e, 0, sizeof(*e));
	if (!genlmsg_valid_hdr(h, 0) || genlmsg_parse(h, 0, attrs, VGPU_ATTR_MAX, policy))
		return -EPROTO;
	e->cmd = genlmsg_hdr(h)->cmd;
	/* An event that newer kernels have may be of something else. */
	if (!attrs[VGPU_ATTR_DEVICE] && e->cmd <= VGPU_CMD_MAX)
		return -EPROTO;
	decode_device(attrs, &e->device);
	if (attrs[VGPU_ATTR_CHANNEL])
		e->channel = nla_get_u64(attrs[VGPU_ATTR_CHANNEL]);
	if (attrs[VGPU_ATTR_CHANNEL_STATE])
		e->channel_state = nla_get_u32(attrs[VGPU_ATTR_CHANNEL_STATE]);
	return 0;
}
