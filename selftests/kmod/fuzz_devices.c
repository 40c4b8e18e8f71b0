// SPDX-License-Identifier: MIT
/* Devices come, change and go by netlink; sysfs is read; see fuzz.h. */
#include "fuzz.h"
#include "fuzz_genl.h"

#define BUDGET_MAX	(24ull << 20)	/* of all devices together the machine has enough */

static void put_string(struct fuzz *f, struct genl *m, uint16_t attr)
{
	static const char *const texts[] = {
		"", "softgpu", "Tesla T4", "gpu1.example:4242/0", "a\nb", "\x1b[31m", "\xff\xfe",
		"a name that is longer than any that there can be, by quite a number of bytes "
		"and so far too long for a backend as well, which may have more of them",
	};

	genl_put_string(m, attr, texts[percent(f, 90) ? below(f, 4) : below(f, 8)]);
}

static void put_number(struct fuzz *f, struct genl *m)
{
	if (percent(f, 97))
		genl_put_u32(m, VGPU_ATTR_DEVICE,
			     percent(f, 97) ? below(f, NODES) : (uint32_t)odd(f));
}

static void put_settings(struct fuzz *f, struct genl *m)
{
	if (percent(f, 30))
		put_string(f, m, VGPU_ATTR_NAME);
	if (percent(f, 30))
		put_string(f, m, VGPU_ATTR_BACKEND);
	if (percent(f, 30))
		genl_put_u64(m, VGPU_ATTR_MEMORY, odd(f));
	if (percent(f, 30))
		genl_put_u64(m, VGPU_ATTR_CHANNEL_BUDGET, odd(f));
	/* What uses up the machine would say nothing of the module. */
	genl_put_u64(m, VGPU_ATTR_BUDGET, 1 + below(f, BUDGET_MAX));
}

/* Attributes of the wrong type or size, or for other commands. */
static void put_nonsense(struct fuzz *f, struct genl *m)
{
	char bytes[200];

	memset(bytes, below(f, 256), sizeof(bytes));
	genl_put(m, below(f, VGPU_ATTR_MAX + 4) | (percent(f, 20) ? NLA_F_NESTED : 0), bytes,
		 below(f, sizeof(bytes)));
}

static void talk(struct fuzz *f, const struct genl *m)
{
	uint32_t device;
	int err = genl_send(f->genl, m);

	/* Answers pile up if nobody takes them. */
	if (!err && percent(f, 90))
		err = genl_take(f->genl, &device);
	judge(f, "netlink", err < 0 ? err : 0, EEXIST, ENOSPC, EINVAL, ENODEV, EBUSY, ERANGE,
	      ENOBUFS, ENOMEM, EOPNOTSUPP, EMSGSIZE, EAGAIN, EINTR, 0);
}

static void make_device(struct fuzz *f)
{
	uint8_t uuid[16] = { below(f, 8) };
	struct genl m;

	genl_begin(&m, f->family, VGPU_CMD_DEVICE_NEW, NLM_F_ACK);
	if (percent(f, 95))
		put_number(f, &m);
	if (percent(f, 20))
		genl_put(&m, VGPU_ATTR_UUID, uuid, mostly(f, sizeof(uuid)) % 64 % 17);
	put_settings(f, &m);
	if (percent(f, 5))
		put_nonsense(f, &m);
	talk(f, &m);
}

static void change_device(struct fuzz *f)
{
	struct genl m;

	genl_begin(&m, f->family, VGPU_CMD_DEVICE_SET, NLM_F_ACK);
	put_number(f, &m);
	put_settings(f, &m);
	if (percent(f, 5))
		put_nonsense(f, &m);
	talk(f, &m);
}

static void delete_device(struct fuzz *f)
{
	struct genl m;

	genl_begin(&m, f->family, VGPU_CMD_DEVICE_DEL, NLM_F_ACK);
	put_number(f, &m);
	talk(f, &m);
}

static void ask(struct fuzz *f)
{
	struct genl m;

	genl_begin(&m, f->family, percent(f, 97) ? VGPU_CMD_DEVICE_GET : below(f, 12),
		   percent(f, 50) ? NLM_F_ACK : percent(f, 70) ? NLM_F_DUMP : 0);
	if (percent(f, 60))
		put_number(f, &m);
	if (percent(f, 5))
		put_nonsense(f, &m);
	talk(f, &m);
}

static void listen_for_events(struct fuzz *f)
{
	struct vgpu_nl *events;
	struct vgpu_nl_event e;

	if (vgpu_nl_events_open(&events))
		return;
	/* Others cause some meanwhile. */
	poll(&(struct pollfd){ .fd = vgpu_nl_fd(events), .events = POLLIN }, 1, 2);
	for (int i = 0; i < 3; i++)
		judge(f, "event", vgpu_nl_event(events, &e), ENOBUFS, EINTR, EAGAIN, 0);
	vgpu_nl_close(events);
}

static void look(struct fuzz *f)
{
	static const char *const names[] = {
		"name", "uuid", "state", "backend", "memory", "dev", "uevent",
		"counters/channels", "counters/channels_total", "counters/channels_lost",
		"counters/charged", "counters/copied",
	};
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/vgpu/vgpu%u/%s", (unsigned int)below(f, NODES),
		 names[below(f, sizeof(names) / sizeof(*names))]);
	read_text(path);
}

/* Channels that nobody accepts are lost after some time; that of this run is short. */
static void be_impatient(struct fuzz *f)
{
	char text[8];

	snprintf(text, sizeof(text), "%u", (unsigned int)below(f, 3));
	write_text("/sys/module/vgpu/parameters/accept_timeout", text);
}

const struct op fuzz_devices[] = {
	OP("DEVICE_NEW", 10, make_device),
	OP("DEVICE_SET", 10, change_device),
	OP("DEVICE_DEL", 5, delete_device),
	OP("DEVICE_GET", 8, ask),
	OP("events", 4, listen_for_events),
	OP("sysfs", 8, look),
	OP("accept_timeout", 2, be_impatient),
	{}
};
