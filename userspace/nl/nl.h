/* SPDX-License-Identifier: MIT */
/*
 * Management of virtual GPUs: the module's generic netlink family as functions.
 * What a device's attributes mean is said in uapi/linux/vgpu.h; whoever wants to
 * know only looks at sysfs, and needs none of this.
 *
 * Functions return 0 or a positive count, or -errno: that of the kernel where it
 * refused a request, in whose own words vgpu_nl_error() says why. Besides:
 *	-ENOENT		(open) the module is not loaded
 *	-EPROTO		the kernel's answer makes no sense
 * A connection belongs to one thread at a time.
 */
#ifndef VGPU_NL_H
#define VGPU_NL_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/vgpu.h>

#define VGPU_UUID_BYTES		16
#define VGPU_UUID_TEXT		37	/* with the final NUL */

/* The bit of an attribute in .has. */
#define VGPU_NL_HAS(attr)	(1u << (attr))

/*
 * A device: what the kernel told of it (.has: which attributes came), or what a
 * request is to give it (.has: which ones; the others are not looked at).
 */
struct vgpu_nl_device {
	uint32_t	has;
	uint32_t	number;			/* VGPU_ATTR_DEVICE */
	uint32_t	state;			/* enum vgpu_device_state */
	uint8_t		uuid[VGPU_UUID_BYTES];
	char		name[VGPU_NAME_MAX + 1];
	char		backend[VGPU_BACKEND_MAX + 1];
	uint64_t	memory;
	uint64_t	budget;
	uint64_t	channel_budget;
	uint64_t	charged;
	uint64_t	channels;
	uint64_t	channels_total;
	uint64_t	channels_lost;
	uint64_t	copied;
};

struct vgpu_nl;

/* ---- requests ---- */

int vgpu_nl_open(struct vgpu_nl **out);
void vgpu_nl_close(struct vgpu_nl *nl);		/* NULL is fine */

/* Why the last request failed; never NULL, valid until the next one. */
const char *vgpu_nl_error(const struct vgpu_nl *nl);

int vgpu_nl_get(struct vgpu_nl *nl, uint32_t number, struct vgpu_nl_device *d);

/*
 * All devices, in the order of their numbers, in memory to be freed by free();
 * how many. Others may come and go meanwhile: what is there from first to last is
 * in it, once. -EAGAIN: the kernel said each time that it was no picture at all.
 */
int vgpu_nl_dump(struct vgpu_nl *nl, struct vgpu_nl_device **devices);

/* Make a device as @want says; *@made is what came of it. They may be the same. */
int vgpu_nl_new(struct vgpu_nl *nl, const struct vgpu_nl_device *want,
		struct vgpu_nl_device *made);

/* Change device @change->number to what else @change has. */
int vgpu_nl_set(struct vgpu_nl *nl, const struct vgpu_nl_device *change);

int vgpu_nl_del(struct vgpu_nl *nl, uint32_t number);

/* ---- events ---- */

struct vgpu_nl_event {
	enum vgpu_cmd		cmd;		/* VGPU_CMD_..._NTF */
	struct vgpu_nl_device	device;		/* of a channel's event: .number only */
	uint64_t		channel;	/* of a channel's event */
	uint32_t		channel_state;	/* enum vgpu_channel_state */
};

/* A connection for events and nothing else. */
int vgpu_nl_events_open(struct vgpu_nl **out);

/* To be polled for reading. */
int vgpu_nl_fd(const struct vgpu_nl *events);

/*
 * The next event: 1, or 0 if none is there. -ENOBUFS: some were lost, since they
 * came faster than they were read; whoever keeps a picture makes it anew.
 * -ENODEV: the module was unloaded, and this connection will never hear more.
 */
int vgpu_nl_event(struct vgpu_nl *events, struct vgpu_nl_event *e);

/* ---- as people read and write it ---- */

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" */
void vgpu_uuid_format(const uint8_t uuid[VGPU_UUID_BYTES], char text[VGPU_UUID_TEXT]);
/* Exactly that, in either case, or -EINVAL. */
int vgpu_uuid_parse(const char *text, uint8_t uuid[VGPU_UUID_BYTES]);

/* "unbound", "down", "ready"; "waiting", "active", "frozen", "lost"; or "unknown". */
const char *vgpu_device_state_name(uint32_t state);
const char *vgpu_channel_state_name(uint32_t state);

#endif /* VGPU_NL_H */
