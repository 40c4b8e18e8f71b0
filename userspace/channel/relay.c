// SPDX-License-Identifier: MIT
/*
 * The peer's end of a channel in the hands of who is not the peer: it looks after
 * bells and sleep words, and knows where the memory is. What is in the rings, and
 * how far they go, is its user's business (link/mirror.h).
 */
#include "channel/internal.h"
#include "channel/relay.h"
#include "channel/socket.h"

/* On a line of its own behind what the app's side looks at. */
#define KEPT_OFFSET	1024u

_Static_assert(sizeof(struct vgpu_ctrl_peer) <= KEPT_OFFSET, "behind it");
_Static_assert(KEPT_OFFSET + VGPU_CHANNEL_KEPT <= VGPU_PAGE_SIZE, "in its page");

void vgpu_channel_view(struct vgpu_channel *ch, struct vgpu_channel_view *view)
{
	uint8_t *app = ch->memory->half[VGPU_SIDE_APP];
	uint8_t *peer = ch->memory->half[VGPU_SIDE_PEER];

	*view = (struct vgpu_channel_view){
		.app = (void *)app, .peer = (void *)peer,
		.sq = app + VGPU_PAGE_SIZE, .cq = peer + VGPU_PAGE_SIZE,
		.up = app + VGPU_PAGE_SIZE + ch->sizes.sq,
		.down = peer + VGPU_PAGE_SIZE + ch->sizes.cq,
		.sizes = ch->sizes, .kept = peer + KEPT_OFFSET,
	};
}

/*
 * A former relay may have armed the sleep word, and the app have rung for values
 * that this one must not use again. That one began with the time as well and
 * did not arm once a nanosecond, so all its values are below.
 */
static void begin(struct vgpu_channel *ch)
{
	ch->wait.values = clock_now();
	ring_store_sleep(ch->our_sleep, 0);
}

int vgpu_relay_adopt(struct vgpu_channel **out, int fd)
{
	int err = vgpu_device_take(out, fd);

	if (!err)
		begin(*out);
	return err;
}

int vgpu_relay_accept(struct vgpu_channel **out, int fd, int timeout_ms)
{
	struct vgpu_channel *ch;
	int err = vgpu_socket_take(&ch, fd, clock_deadline(timeout_ms));

	if (err)
		return err;
	err = vgpu_socket_gather(ch);
	if (err) {
		vgpu_channel_close(ch);
		return err;
	}
	begin(ch);
	*out = ch;
	return 0;
}

int vgpu_relay_fd(const struct vgpu_channel *ch)
{
	return ch->ops->bell_fd(ch);
}

int vgpu_relay_take_bells(struct vgpu_channel *ch)
{
	int err = ring_get(ch->lost) ? -EPIPE : ch->ops->take_bells(ch);

	if (err < 0)
		ring_set(ch->lost, true);
	return err;
}

int vgpu_relay_hostmem(struct vgpu_channel *ch, uint64_t *handle, uint64_t *size, void **at)
{
	return ch->ops->hostmem_take ? ch->ops->hostmem_take(ch, handle, size, at) : 0;
}

/* Values only grow, so that one that was rung for is never waited with again. */
void vgpu_relay_arm(struct vgpu_channel *ch, bool room)
{
	ring_store_sleep(ch->our_sleep, ++ch->wait.values * VGPU_SLEEP_COUNT | VGPU_SLEEP |
					(room ? VGPU_SLEEP_ROOM : 0));
	ring_barrier();
}

void vgpu_relay_disarm(struct vgpu_channel *ch)
{
	ring_store_sleep(ch->our_sleep, 0);
}

void vgpu_relay_announce(struct vgpu_channel *ch, bool head)
{
	if (head)
		channel_announce_head(ch);
	else
		channel_announce_tail(ch);
}
