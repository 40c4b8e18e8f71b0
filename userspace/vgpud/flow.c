/* SPDX-License-Identifier: MIT */
/*
 * The bytes of sessions. Those that have something to do are in a list and get a
 * bounded turn each, one after the other; one that has had nothing for a while has
 * its program ring when there is something, and costs nothing until then.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include "vgpud/vgpud.h"

/* So few are asked for bytes one by one, without epoll(7)'s word that there are some. */
#define DIRECT	2
/* Announced buffers that are taken at once: others have a turn. */
#define ANNOUNCED_MAX	512

/* ---- what the mirror asks for ---- */

static void ring(void *arg, bool head)
{
	struct vgpu_client *s = arg;

	vgpu_relay_announce(s->channel, head);
}

/* The program speaks of it: what it announced is in the socket, if not yet read. */
static void *hostmem(void *arg, uint64_t handle, uint64_t size)
{
	struct vgpu_client *s = arg;

	vgpu_flow_take_announced(s);
	return vgpu_pages_find(&s->pages, s->channel, handle, size);
}

/* Over the socket; the module's are mapped when they are needed. */
void vgpu_flow_take_announced(struct vgpu_client *s)
{
	for (int turn = 0; turn < ANNOUNCED_MAX; turn++)
		if (vgpu_pages_take(&s->pages, s->channel) <= 0)
			break;
}

/*
 * All of them (0) are forgotten after a reconnection, since what was said of one may
 * be lost, and the module gives its number to another buffer. Over the socket a
 * buffer can be mapped once and its number is never another's: there they stay.
 */
static void forget(void *arg, uint64_t handle)
{
	struct vgpu_client *s = arg;

	if (handle)
		vgpu_pages_forget(&s->pages, s->channel, handle);
	else if (s->module >= 0)
		vgpu_pages_forget_all(&s->pages, s->channel);
}

static void on_copied(struct vgpu_watch *w, uint32_t events)
{
	struct vgpu_client *s = vgpu_container(w, struct vgpu_client, copied);
	struct vgpu_app_job *job;

	vgpu_copier_hear(s->copier);
	while ((job = vgpu_copier_take(s->copier)))
		vgpu_mirror_copied(s->mirror, job);
	vgpu_flow_wake(s);
}

static int make_copier(struct vgpu_client *s)
{
	int err = vgpu_copier_create(&s->copier, s->channel);

	if (err)
		return err;
	s->copied.ready = on_copied;
	err = vgpu_watch_add(&s->vgpud->loop, &s->copied, vgpu_copier_fd(s->copier), EPOLLIN);
	if (err) {
		vgpu_copier_destroy(s->copier);
		s->copier = NULL;
	}
	return err;
}

static void app_copy(void *arg, struct vgpu_app_job *job)
{
	struct vgpu_client *s = arg;

	/* The mirror waits for the job, and cannot be told from here that it failed. */
	if (!s->copier && make_copier(s))
		s->out_of_memory = true;
	else
		vgpu_copier_add(s->copier, job);
}

static const struct vgpu_mirror_ops ops = {
	.ring = ring, .hostmem = hostmem, .forget = forget, .app_copy = app_copy,
};

int vgpu_flow_init(struct vgpu_client *s)
{
	return s->mirror ? 0 : vgpu_mirror_create(&s->mirror, VGPU_ROLE_CLIENT, s->channel, &ops,
						  s);
}

/* ---- in the list and out of it ---- */

void vgpu_flow_wake(struct vgpu_client *s)
{
	if (!s->mirror || !vgpu_mirror_attached(s->mirror))
		return;
	if (s->armed)
		vgpu_relay_disarm(s->channel);
	s->armed = false;
	if (s->active)
		return;
	s->active = true;
	s->idle_since = 0;
	TAILQ_INSERT_TAIL(&s->vgpud->active, s, turn);
	s->vgpud->nactive++;
}

void vgpu_flow_stop(struct vgpu_client *s)
{
	if (!s->active)
		return;
	s->active = false;
	TAILQ_REMOVE(&s->vgpud->active, s, turn);
	s->vgpud->nactive--;
}

static void broke(struct vgpu_client *s, int err)
{
	char why[512];

	if (err == -ESHUTDOWN) {
		snprintf(why, sizeof(why), "server %s ended it: %s", s->upstream->config->name,
			 vgpu_mirror_bye(s->mirror) ?: "");
		vgpu_session_end(s, why);
	} else if (vgpu_mirror_fault(s->mirror)) {
		vgpu_session_end(s, vgpu_mirror_fault(s->mirror));
	} else {
		snprintf(why, sizeof(why), "%s", vgpu_stream_error(vgpu_mirror_stream(s->mirror)));
		vgpu_session_lost(s, why);
	}
}

static uint64_t carried(const struct vgpu_client *s)
{
	struct vgpu_mirror_stats stats;

	vgpu_mirror_stats(s->mirror, &stats);
	return stats.bytes_in + stats.bytes_out;
}

static void on_data(struct vgpu_watch *w, uint32_t events)
{
	struct vgpu_client *s = vgpu_container(w, struct vgpu_client, data);

	/* Nobody reads now, and poll(2) does not stop saying this. */
	if (!(w->events & EPOLLIN) && (events & (EPOLLERR | EPOLLHUP))) {
		vgpu_session_lost(s, "the connection was closed");
		return;
	}
	if (events & ~(uint32_t)EPOLLOUT)
		s->readable = true;
	vgpu_flow_wake(s);
}

int vgpu_flow_attached(struct vgpu_client *s, int fd)
{
	int err;

	s->data.ready = on_data;
	err = vgpu_watch_add(&s->vgpud->loop, &s->data, fd, EPOLLIN);
	if (err)
		return err;
	s->readable = true;
	s->carried = carried(s);
	vgpu_flow_wake(s);
	return 0;
}

/* ---- a turn ---- */

static void found_work(struct vgpu_client *s)
{
	if (!s->idle_since)
		return;
	vgpu_spin_paid(&s->spin, vgpu_now() - s->idle_since);
	s->idle_since = 0;
}

static void fall_asleep(struct vgpu_client *s)
{
	s->armed = true;
	vgpu_relay_arm(s->channel, vgpu_mirror_wants_room(s->mirror));
	/* What moved before the program could see that it is to ring. */
	if (!vgpu_mirror_pending(s->mirror)) {
		vgpu_flow_stop(s);
		return;
	}
	vgpu_relay_disarm(s->channel);
	s->armed = false;
	s->idle_since = 0;
}

static void found_nothing(struct vgpu_client *s)
{
	int64_t now = vgpu_now();

	if (!s->idle_since) {
		s->idle_since = now;
		vgpu_spin_begin(&s->spin);
	}
	if (now - s->idle_since < s->spin.limit)
		return;
	vgpu_spin_failed(&s->spin);
	fall_asleep(s);
}

static int receive(struct vgpu_client *s, bool direct)
{
	int got = s->readable || direct ? vgpu_mirror_receive(s->mirror) : 0;

	if (got > 0) {
		/* There may be more, and where poll(2) does not see it. */
		s->readable = true;
		s->heard = vgpu_now();
	} else if (vgpu_mirror_takes(s->mirror)) {
		s->readable = false;
	}
	return got;
}

static void turn(struct vgpu_client *s, bool direct)
{
	int got = receive(s, direct), sent = 0;

	if (got >= 0 && s->state != SESSION_RUNNING && vgpu_mirror_resumed(s->mirror))
		vgpu_session_resumed(s);
	if (got >= 0 && vgpu_mirror_pending(s->mirror))
		sent = vgpu_mirror_send(s->mirror);
	if (got < 0 || (sent < 0 && sent != -EAGAIN)) {
		broke(s, got < 0 ? got : sent);
		return;
	}
	if (s->out_of_memory) {
		vgpu_session_end(s, strerror(ENOMEM));
		return;
	}
	if (s->state == SESSION_RUNNING && carried(s) - s->carried > s->vgpud->config->key_bytes) {
		vgpu_session_lost(s, "a key is used for so long only");
		return;
	}
	vgpu_watch_change(&s->data, (uint32_t)vgpu_mirror_events(s->mirror));
	/* Sending may find what came, which poll(2) does not tell of any more. */
	s->readable |= vgpu_mirror_has_input(s->mirror);
	if (got || sent > 0 || (s->readable && vgpu_mirror_takes(s->mirror)))
		found_work(s);
	else if (sent == -EAGAIN)
		vgpu_flow_stop(s);	/* until there is room, or bytes come */
	else
		found_nothing(s);
}

void vgpu_flow_turns(struct vgpud *d)
{
	const bool direct = d->nactive <= DIRECT;

	for (unsigned n = d->nactive; n; n--) {
		struct vgpu_client *s = TAILQ_FIRST(&d->active);

		TAILQ_REMOVE(&d->active, s, turn);
		TAILQ_INSERT_TAIL(&d->active, s, turn);
		turn(s, direct);
	}
}

/* ---- the end ---- */

bool vgpu_flow_busy(const struct vgpu_client *s)
{
	return s->copier && vgpu_copier_busy(s->copier);
}

void vgpu_flow_free(struct vgpu_client *s)
{
	vgpu_watch_remove(&s->copied);
	vgpu_copier_destroy(s->copier);
	if (s->mirror)
		vgpu_mirror_destroy(s->mirror);
}
