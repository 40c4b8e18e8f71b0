// SPDX-License-Identifier: GPL-2.0-only
/* Generic netlink: devices are made, changed, shown, deleted; events are told. */
#include <linux/ctype.h>
#include <linux/module.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "internal.h"

static struct genl_family vgpu_family;

enum { EVENTS };

static const struct genl_multicast_group groups[] = {
	[EVENTS] = { .name = VGPU_GENL_EVENTS },
};

/* What each command may be given: anything else is refused by the parser. */
static const struct nla_policy new_policy[VGPU_ATTR_MAX + 1] = {
	[VGPU_ATTR_DEVICE]		= { .type = NLA_U32 },
	[VGPU_ATTR_NAME]		= { .type = NLA_NUL_STRING, .len = VGPU_NAME_MAX },
	[VGPU_ATTR_UUID]		= NLA_POLICY_EXACT_LEN(sizeof(uuid_t)),
	[VGPU_ATTR_BACKEND]		= { .type = NLA_NUL_STRING, .len = VGPU_BACKEND_MAX },
	[VGPU_ATTR_MEMORY]		= { .type = NLA_U64 },
	[VGPU_ATTR_BUDGET]		= { .type = NLA_U64 },
	[VGPU_ATTR_CHANNEL_BUDGET]	= { .type = NLA_U64 },
};

static const struct nla_policy set_policy[VGPU_ATTR_MAX + 1] = {
	[VGPU_ATTR_DEVICE]		= { .type = NLA_U32 },
	[VGPU_ATTR_NAME]		= { .type = NLA_NUL_STRING, .len = VGPU_NAME_MAX },
	[VGPU_ATTR_BACKEND]		= { .type = NLA_NUL_STRING, .len = VGPU_BACKEND_MAX },
	[VGPU_ATTR_MEMORY]		= { .type = NLA_U64 },
	[VGPU_ATTR_BUDGET]		= { .type = NLA_U64 },
	[VGPU_ATTR_CHANNEL_BUDGET]	= { .type = NLA_U64 },
};

static const struct nla_policy device_policy[VGPU_ATTR_DEVICE + 1] = {
	[VGPU_ATTR_DEVICE]		= { .type = NLA_U32 },
};

/* ---- what is said ---- */

static int put_config(struct sk_buff *skb, struct vgpu_device *device)
{
	int err;

	mutex_lock(&device->lock);
	err = nla_put_string(skb, VGPU_ATTR_NAME, device->name) ||
	      nla_put_string(skb, VGPU_ATTR_BACKEND, device->backend) ||
	      nla_put_u64_64bit(skb, VGPU_ATTR_MEMORY, device->memory, VGPU_ATTR_PAD) ||
	      nla_put_u64_64bit(skb, VGPU_ATTR_BUDGET, device->budget.limit,
				VGPU_ATTR_PAD) ||
	      nla_put_u64_64bit(skb, VGPU_ATTR_CHANNEL_BUDGET, device->channel_budget,
				VGPU_ATTR_PAD);
	mutex_unlock(&device->lock);
	return err ? -EMSGSIZE : 0;
}

static int put_counter(struct sk_buff *skb, int attr, const atomic64_t *counter)
{
	return nla_put_u64_64bit(skb, attr, atomic64_read(counter), VGPU_ATTR_PAD);
}

static int put_device_attrs(struct sk_buff *skb, struct vgpu_device *device)
{
	if (nla_put_u32(skb, VGPU_ATTR_DEVICE, device->index) ||
	    nla_put(skb, VGPU_ATTR_UUID, sizeof(device->uuid), &device->uuid) ||
	    nla_put_u32(skb, VGPU_ATTR_STATE, vgpu_device_state(device)) ||
	    put_config(skb, device) ||
	    put_counter(skb, VGPU_ATTR_CHARGED, &device->budget.used) ||
	    put_counter(skb, VGPU_ATTR_CHANNELS, &device->channels) ||
	    put_counter(skb, VGPU_ATTR_CHANNELS_TOTAL, &device->channels_total) ||
	    put_counter(skb, VGPU_ATTR_CHANNELS_LOST, &device->channels_lost) ||
	    put_counter(skb, VGPU_ATTR_COPIED, &device->copied))
		return -EMSGSIZE;
	return 0;
}

static int put_device_message(struct sk_buff *skb, struct vgpu_device *device,
			      u32 portid, u32 seq, int flags, enum vgpu_cmd cmd)
{
	void *head = genlmsg_put(skb, portid, seq, &vgpu_family, flags, cmd);

	if (!head)
		return -EMSGSIZE;
	if (put_device_attrs(skb, device)) {
		genlmsg_cancel(skb, head);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	return 0;
}

static int reply_device(struct sk_buff *skb, struct genl_info *info,
			struct vgpu_device *device, enum vgpu_cmd cmd)
{
	int err;

	err = put_device_message(skb, device, info->snd_portid, info->snd_seq, 0, cmd);
	if (!err)
		return genlmsg_reply(skb, info);
	nlmsg_free(skb);
	return err;
}

/* ---- commands ---- */

/* Strings end up in logs and on terminals. */
static int check_string(const struct nlattr *attr, struct genl_info *info)
{
	const char *c;

	for (c = attr ? nla_data(attr) : ""; *c; c++) {
		if (!isascii(*c) || !isprint(*c)) {
			NL_SET_ERR_MSG_ATTR(info->extack, attr, "a string is not printable ASCII");
			return -EINVAL;
		}
	}
	return 0;
}

struct given {
	u32				index;
	uuid_t				uuid;
	u64				memory, budget, channel_budget;
	struct vgpu_device_config	config;
};

static const u64 *get_u64(const struct nlattr *attr, u64 *value)
{
	if (!attr)
		return NULL;
	*value = nla_get_u64(attr);
	return value;
}

static int get_config(struct genl_info *info, struct given *given)
{
	struct nlattr **attrs = info->attrs;
	struct vgpu_device_config *config = &given->config;
	int err;

	err = check_string(attrs[VGPU_ATTR_NAME], info);
	if (!err)
		err = check_string(attrs[VGPU_ATTR_BACKEND], info);
	if (err)
		return err;
	*config = (struct vgpu_device_config){
		.memory	= get_u64(attrs[VGPU_ATTR_MEMORY], &given->memory),
		.budget	= get_u64(attrs[VGPU_ATTR_BUDGET], &given->budget),
		.channel_budget	= get_u64(attrs[VGPU_ATTR_CHANNEL_BUDGET],
					  &given->channel_budget),
	};
	if (attrs[VGPU_ATTR_NAME])
		config->name = nla_data(attrs[VGPU_ATTR_NAME]);
	if (attrs[VGPU_ATTR_BACKEND])
		config->backend = nla_data(attrs[VGPU_ATTR_BACKEND]);
	return 0;
}

static int admit(struct sk_buff *skb, struct genl_info *info)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return 0;
	NL_SET_ERR_MSG(info->extack, "needs CAP_SYS_ADMIN in the initial user namespace");
	return -EPERM;
}

static int do_new(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **attrs = info->attrs;
	struct vgpu_device *device;
	struct sk_buff *reply;
	struct given given;
	int err;

	err = admit(skb, info);
	if (!err)
		err = get_config(info, &given);
	if (err)
		return err;
	if (attrs[VGPU_ATTR_DEVICE]) {
		given.index = nla_get_u32(attrs[VGPU_ATTR_DEVICE]);
		given.config.index = &given.index;
	}
	if (attrs[VGPU_ATTR_UUID]) {
		memcpy(&given.uuid, nla_data(attrs[VGPU_ATTR_UUID]), sizeof(given.uuid));
		given.config.uuid = &given.uuid;
	}
	/* First, so that a device is not made without an answer. */
	reply = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	device = vgpu_device_create(&given.config);
	if (IS_ERR(device)) {
		if (PTR_ERR(device) == -EEXIST)
			NL_SET_ERR_MSG(info->extack, "the number or the UUID is taken");
		nlmsg_free(reply);
		return PTR_ERR(device);
	}
	err = reply_device(reply, info, device, VGPU_CMD_DEVICE_NEW);
	vgpu_device_put(device);
	return err;
}

/* The device that is meant, with a reference. */
static struct vgpu_device *get_device_of(struct genl_info *info)
{
	struct vgpu_device *device;

	if (!info->attrs[VGPU_ATTR_DEVICE]) {
		NL_SET_ERR_MSG(info->extack, "which device?");
		return ERR_PTR(-EINVAL);
	}
	device = vgpu_device_get(nla_get_u32(info->attrs[VGPU_ATTR_DEVICE]));
	if (device)
		return device;
	NL_SET_ERR_MSG(info->extack, "no such device");
	return ERR_PTR(-ENODEV);
}

static int do_del(struct sk_buff *skb, struct genl_info *info)
{
	struct vgpu_device *device;
	int err;

	err = admit(skb, info);
	if (err)
		return err;
	device = get_device_of(info);
	if (IS_ERR(device))
		return PTR_ERR(device);
	err = vgpu_device_delete(device);
	if (err == -EBUSY)
		NL_SET_ERR_MSG(info->extack, "the device is in use");
	vgpu_device_put(device);
	return err;
}

static int do_set(struct sk_buff *skb, struct genl_info *info)
{
	struct vgpu_device *device;
	struct given given;
	int err;

	err = admit(skb, info);
	if (!err)
		err = get_config(info, &given);
	if (err)
		return err;
	device = get_device_of(info);
	if (IS_ERR(device))
		return PTR_ERR(device);
	vgpu_device_configure(device, &given.config);
	vgpu_notify_device(device, VGPU_CMD_DEVICE_SET_NTF);
	vgpu_device_put(device);
	return 0;
}

static int do_get(struct sk_buff *skb, struct genl_info *info)
{
	struct vgpu_device *device = get_device_of(info);
	struct sk_buff *reply;
	int err;

	if (IS_ERR(device))
		return PTR_ERR(device);
	reply = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	err = reply ? reply_device(reply, info, device, VGPU_CMD_DEVICE_GET) : -ENOMEM;
	vgpu_device_put(device);
	return err;
}

/*
 * Devices may come and go between two messages: what counts is the number, and
 * who asked is told.
 */
static int dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct vgpu_device *device;
	struct nlmsghdr *message;
	int err = 0;

	cb->seq = vgpu_devices_generation();
	while (!err && (device = vgpu_device_get_next(cb->args[0]))) {
		message = (struct nlmsghdr *)skb_tail_pointer(skb);
		err = put_device_message(skb, device, NETLINK_CB(cb->skb).portid,
					 cb->nlh->nlmsg_seq, NLM_F_MULTI,
					 VGPU_CMD_DEVICE_GET);
		if (!err) {
			nl_dump_check_consistent(cb, message);
			cb->args[0] = device->index + 1;
		}
		vgpu_device_put(device);
	}
	return skb->len ?: err;
}

static const struct genl_ops ops[] = {
	{
		.cmd		= VGPU_CMD_DEVICE_NEW,
		.doit		= do_new,
		.policy		= new_policy,
		.maxattr	= VGPU_ATTR_MAX,
	}, {
		.cmd		= VGPU_CMD_DEVICE_DEL,
		.doit		= do_del,
		.policy		= device_policy,
		.maxattr	= VGPU_ATTR_DEVICE,
	}, {
		.cmd		= VGPU_CMD_DEVICE_GET,
		.doit		= do_get,
		.dumpit		= dump,
		.policy		= device_policy,
		.maxattr	= VGPU_ATTR_DEVICE,
	}, {
		.cmd		= VGPU_CMD_DEVICE_SET,
		.doit		= do_set,
		.policy		= set_policy,
		.maxattr	= VGPU_ATTR_MAX,
	},
};

static struct genl_family vgpu_family __ro_after_init = {
	.name		= VGPU_GENL_NAME,
	.version	= VGPU_GENL_VERSION,
	.module		= THIS_MODULE,
	.ops		= ops,
	.n_ops		= ARRAY_SIZE(ops),
	.mcgrps		= groups,
	.n_mcgrps	= ARRAY_SIZE(groups),
};

/* ---- events ---- */

/*
 * NULL for an event that nobody would hear, or that there is no memory for:
 * listeners are told that they missed one, by the error of their next receive.
 */
static struct sk_buff *event_new(void)
{
	struct sk_buff *skb;

	if (!genl_has_listeners(&vgpu_family, &init_net, EVENTS))
		return NULL;
	skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	if (!skb)
		genl_set_err(&vgpu_family, &init_net, 0, EVENTS, -ENOBUFS);
	return skb;
}

static void event_send(struct sk_buff *skb, int err)
{
	if (err)
		nlmsg_free(skb);
	else
		genlmsg_multicast(&vgpu_family, skb, 0, EVENTS, GFP_KERNEL);
}

void vgpu_notify_device(struct vgpu_device *device, enum vgpu_cmd event)
{
	struct sk_buff *skb = event_new();

	if (skb)
		event_send(skb, put_device_message(skb, device, 0, 0, 0, event));
}

void vgpu_notify_channel(struct vgpu_channel *channel, enum vgpu_cmd event)
{
	struct sk_buff *skb = event_new();
	void *head;
	int err;

	if (!skb)
		return;
	head = genlmsg_put(skb, 0, 0, &vgpu_family, 0, event);
	err = !head ||
	      nla_put_u32(skb, VGPU_ATTR_DEVICE, channel->devices[0]->index) ||
	      nla_put_u64_64bit(skb, VGPU_ATTR_CHANNEL, channel->id, VGPU_ATTR_PAD) ||
	      nla_put_u32(skb, VGPU_ATTR_CHANNEL_STATE, channel->state);
	if (!err)
		genlmsg_end(skb, head);
	event_send(skb, err);
}

int vgpu_netlink_init(void)
{
	return genl_register_family(&vgpu_family);
}

void vgpu_netlink_exit(void)
{
	genl_unregister_family(&vgpu_family);
}
