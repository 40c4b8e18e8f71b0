/* SPDX-License-Identifier: MIT */
/*
 * Relief for the dispatcher. A driver's queue is finite: with a stream held up by
 * a host function and enough work behind it, the driver keeps the dispatcher
 * inside a launch until that function is done. But it is the dispatcher that
 * would hear that it is done. So once there are host functions, a thread looks
 * whether the dispatcher moves; if it does not and one is due, the thread takes
 * records off sq in its place, acts on "done", and keeps the others, in their
 * order, for the dispatcher to find first.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "gen/calls.h"
#include "server/worker.h"

#define LOOK_MS		2
#define KEPT_BYTES	(64u << 20)

struct vgpu_kept {
	struct vgpu_kept	*next;
	size_t			length;
	_Alignas(8) uint8_t	record[];
};

void vgpu_relief_init(struct vgpu_relief *r)
{
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->due, NULL);
	r->last = &r->first;
}

/* ---- the dispatcher's side ---- */

static int take_kept(struct vgpu_relief *r, void *buf)
{
	struct vgpu_kept *k = r->first;
	int length = k->length;

	memcpy(buf, k->record, k->length);
	r->first = k->next;
	if (!r->first)
		r->last = &r->first;
	atomic_fetch_sub(&r->bytes, k->length);
	free(k);
	return length;
}

int vgpu_relief_receive(struct vgpu_worker *w, void *buf, size_t room)
{
	struct vgpu_relief *r = &w->relief;
	int n;

	pthread_mutex_lock(&r->lock);
	r->turns++;
	n = r->first ? take_kept(r, buf) : vgpu_record_receive(w->channel, buf, room);
	pthread_mutex_unlock(&r->lock);
	return n;
}

/* ---- the thread's side ---- */

static bool keep(struct vgpu_relief *r, const void *record, size_t length)
{
	struct vgpu_kept *k = malloc(sizeof(*k) + length);

	if (!k)
		return false;
	k->next = NULL;
	k->length = length;
	memcpy(k->record, record, length);
	*r->last = k;
	r->last = &k->next;
	atomic_fetch_add(&r->bytes, length);
	return true;
}

static bool is_done(const struct vgpu_request *q, size_t length)
{
	return q->r.opcode == VGPU_OP_vgpu_hostfn_done && !(q->r.flags & ~VGPU_CALL_FLAGS) &&
	       length >= vgpu_serve_table[VGPU_OP_vgpu_hostfn_done].fixed;
}

/* r->lock is held, and the dispatcher is busy with something else, or asleep. */
static void take_over(struct vgpu_worker *w, struct vgpu_relief *r, uint8_t *buf)
{
	struct vgpu_reply *none = NULL;
	int n;

	while (atomic_load(&r->bytes) < KEPT_BYTES &&
	       (n = vgpu_record_receive(w->channel, buf, VGPU_REQUEST_MAX)) > 0) {
		const struct vgpu_request *q = (const void *)buf;

		if (is_done(q, n)) {
			vgpu_finish(w, q, vgpu_serve(w, q, n, none), none);
		} else if (!keep(r, buf, n)) {
			/* A record is lost: so is the session. */
			vgpu_channel_shutdown(w->channel);
			return;
		}
	}
}

static void pause_ms(unsigned ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000l };

	nanosleep(&t, NULL);
}

/* Over the network a record may have to be received first. */
static bool pending(void *channel)
{
	return vgpu_record_pending(channel);
}

static void *relief_run(void *arg)
{
	static _Alignas(8) uint8_t buf[VGPU_REQUEST_MAX];
	struct vgpu_worker *w = arg;
	struct vgpu_relief *r = &w->relief;
	uint64_t turns = 0;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (!r->ndue)
			pthread_cond_wait(&r->due, &r->lock);
		if (r->turns == turns && !vgpu_channel_wait(w->channel, pending, w->channel, 0)) {
			take_over(w, r, buf);
			vgpu_channel_kick(w->channel);
		}
		turns = r->turns;
		pthread_mutex_unlock(&r->lock);
		pause_ms(LOOK_MS);
		pthread_mutex_lock(&r->lock);
	}
	return NULL;
}

bool vgpu_relief_start(struct vgpu_worker *w)
{
	pthread_t thread;

	if (!w->relief.runs)
		w->relief.runs = !pthread_create(&thread, NULL, relief_run, w);
	return w->relief.runs;
}

void vgpu_relief_due(struct vgpu_worker *w, int more)
{
	struct vgpu_relief *r = &w->relief;

	pthread_mutex_lock(&r->lock);
	r->ndue += more;
	if (r->ndue)
		pthread_cond_signal(&r->due);
	pthread_mutex_unlock(&r->lock);
}
