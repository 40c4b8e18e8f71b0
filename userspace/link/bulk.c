/* SPDX-License-Identifier: MIT */
/*
 * Bytes of the app's memory: PULL and STORE, as the worker asks for them and as
 * the client does them. A pull can be repeated as often as one likes. A store is
 * done once: they are numbered, and the client remembers, where its successor
 * finds it, how many it has done; nothing that was published after a store is
 * visible to the app before the store is counted.
 */
#include <stdlib.h>
#include "link/mirror_state.h"

#define SLOT_BYTES	VGPU_FRAME_PAYLOAD

/* ---- client: pulls ---- */

/* The oldest pull that is not done; NULL: all are. */
static struct served *served_first(struct vgpu_mirror *m)
{
	if (m->nserved_done == m->nserved)
		return NULL;
	return &m->served[(m->first_served + m->nserved_done) % SERVED_MAX];
}

/* There is room: bulk_ready() has seen to it. */
static void fail(struct vgpu_mirror *m, uint32_t what, uint64_t number, int error)
{
	m->failures[m->nfailures++] = (struct failure){ number, what, error };
}

/* The bytes of @p in a mapped buffer; NULL and errno. */
static uint8_t *buffer_at(struct vgpu_mirror *m, const struct vgpu_place_wire *p, uint64_t length)
{
	uint8_t *base;

	if (p->offset > p->size || length > p->size - p->offset) {
		errno = EINVAL;
		return NULL;
	}
	base = m->ops->hostmem(m->arg, p->handle, p->size);
	return base ? base + p->offset : NULL;
}

int bulk_take_pull(struct vgpu_mirror *m)
{
	const struct vgpu_pull_wire *p = &m->inflow.body.pull;
	struct served *s = &m->served[(m->first_served + m->nserved) % SERVED_MAX];

	if (m->nserved == SERVED_MAX)
		return mirror_fail(m, "the worker pulls too much at once");
	*s = (struct served){ .pull = *p, .number = m->inflow.frame.at };
	if (!p->length || p->length > INT64_MAX || (!p->place.handle && p->place.size))
		return mirror_fail(m, "the worker pulls what cannot be");
	if (p->place.handle) {
		s->from = buffer_at(m, &p->place, p->length);
		if (!s->from) {
			fail(m, VGPU_FAILED_PULL, s->number, -errno);
			return 0;
		}
	}
	m->nserved++;
	return 0;
}

static size_t piece(const struct served *s, uint64_t at)
{
	uint64_t rest = s->pull.length - at;

	return rest < SLOT_BYTES ? rest : SLOT_BYTES;
}

static void add_piece(struct vgpu_mirror *m, struct served *s, const uint8_t *bytes, size_t n)
{
	struct vgpu_data_wire body = { .offset = s->sent };

	mirror_add(m, VGPU_FRAME_DATA, 0, s->number, &body, bytes, n);
	s->sent += n;
}

static bool slot_reading(const struct vgpu_mirror *m)
{
	for (int i = 0; i < 2; i++)
		if (m->slots[i].state == SLOT_READING || m->slots[i].state == SLOT_STALE)
			return true;
	return false;
}

/* It cannot be done: forget the pieces of it that were read. */
static void pull_failed(struct vgpu_mirror *m, int error)
{
	fail(m, VGPU_FAILED_PULL, served_first(m)->number, error);
	m->nserved_done++;
	for (int i = 0; i < 2; i++)
		if (m->slots[i].state == SLOT_READY)
			m->slots[i].state = SLOT_FREE;
}

/* Have the next piece of the first pull read, if one may be. */
static void read_ahead(struct vgpu_mirror *m, struct served *s)
{
	for (int i = 0; i < 2 && s->read < s->pull.length && !slot_reading(m); i++) {
		struct slot *slot = &m->slots[i];

		if (slot->state != SLOT_FREE)
			continue;
		if (!slot->bytes)
			slot->bytes = malloc(SLOT_BYTES);
		if (!slot->bytes) {
			pull_failed(m, -ENOMEM);
			return;
		}
		slot->state = SLOT_READING;
		slot->offset = s->read;
		slot->job = (struct vgpu_app_job){
			.address = s->pull.place.offset + s->read, .local = slot->bytes,
			.length = piece(s, s->read),
		};
		s->read += slot->job.length;
		m->ops->app_copy(m->arg, &slot->job);
	}
}

/* The next piece of registered memory, if it is there. */
static bool add_registered(struct vgpu_mirror *m, struct served *s)
{
	read_ahead(m, s);
	for (int i = 0; i < 2; i++) {
		struct slot *slot = &m->slots[i];

		if (slot->state != SLOT_READY || slot->offset != s->sent)
			continue;
		slot->state = SLOT_SENDING;
		add_piece(m, s, slot->bytes, slot->job.length);
		return true;
	}
	return false;
}

void bulk_add_data(struct vgpu_mirror *m, size_t budget)
{
	struct served *s;

	while ((s = served_first(m)) && budget && batch_has_room(&m->batch)) {
		uint64_t before = s->sent;

		if (s->from)
			add_piece(m, s, s->from + s->sent, piece(s, s->sent));
		else if (!add_registered(m, s))
			return;
		budget -= s->sent - before < budget ? s->sent - before : budget;
		m->nserved_done += s->sent == s->pull.length;
	}
}

/* Of the first @n pulls, which nobody reads any more. */
static void forget_due(struct vgpu_mirror *m, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct served *s = &m->served[(m->first_served + i) % SERVED_MAX];

		if (s->forget)
			m->ops->forget(m->arg, s->pull.place.handle);
	}
}

void bulk_sent(struct vgpu_mirror *m)
{
	for (int i = 0; i < 2; i++)
		if (m->slots[i].state == SLOT_SENDING)
			m->slots[i].state = SLOT_FREE;
	forget_due(m, m->nserved_done);
	m->first_served = (m->first_served + m->nserved_done) % SERVED_MAX;
	m->nserved -= m->nserved_done;
	m->nserved_done = 0;
}

static void slot_read(struct vgpu_mirror *m, struct slot *slot)
{
	bool stale = slot->state == SLOT_STALE;

	slot->state = stale || slot->job.error ? SLOT_FREE : SLOT_READY;
	if (!stale && slot->job.error)
		pull_failed(m, slot->job.error);
}

/* ---- client: stores ---- */

/* Whoever comes after us does not do it again. */
static void count_store(struct vgpu_mirror *m)
{
	__atomic_store_n(&m->kept->stored, m->kept->stored + 1, __ATOMIC_RELEASE);
}

void bulk_check_failed(struct vgpu_mirror *m)
{
	if (m->kept && m->kept->failed)
		mirror_fail(m, "the app's memory could not be written, and the connection broke");
}

/*
 * The worker is told before it is counted. Whether it was, nobody knows when the
 * connection breaks; it must not take it for done. And it cannot be told before
 * RESUME, which counts it.
 */
static void store_failed(struct vgpu_mirror *m, uint64_t number, int error)
{
	__atomic_store_n(&m->kept->failed, m->kept->failed + 1, __ATOMIC_RELEASE);
	if (m->resume_sent)
		fail(m, VGPU_FAILED_STORE, number, error);
	else
		bulk_check_failed(m);
}

static uint8_t *store_target(struct vgpu_mirror *m, const struct vgpu_place_wire *p, size_t length)
{
	if (p->handle)
		return buffer_at(m, p, length);
	if (!m->store_bytes)
		m->store_bytes = malloc(VGPU_FRAME_PAYLOAD);
	return m->store_bytes;
}

int bulk_begin_store(struct vgpu_mirror *m)
{
	const struct vgpu_place_wire *p = &m->inflow.body.store.place;
	uint64_t number = m->inflow.frame.at;

	if (number != m->kept->stored + 1)
		return mirror_fail(m, "the worker's stores are out of order");
	if (!p->handle && p->size)
		return mirror_fail(m, "the worker stores what cannot be");
	m->inflow.to = store_target(m, p, m->inflow.want);
	if (!m->inflow.to)
		store_failed(m, number, -errno);
	return 0;
}

int bulk_end_store(struct vgpu_mirror *m)
{
	const struct vgpu_place_wire *p = &m->inflow.body.store.place;
	size_t length = m->inflow.frame.length - sizeof(m->inflow.body.store);

	m->stats.bytes_in += length;
	if (p->handle || !m->inflow.to) {
		count_store(m);
		return 0;
	}
	m->storing = true;
	m->store_job = (struct vgpu_app_job){
		.address = p->offset, .local = m->store_bytes, .length = length, .write = true,
	};
	m->ops->app_copy(m->arg, &m->store_job);
	return 0;
}

/*
 * Also when the connection that brought the bytes is gone: they are where they
 * belong, and the next RESUME says so.
 */
static void stored(struct vgpu_mirror *m)
{
	m->storing = false;
	if (m->store_job.error)
		store_failed(m, m->kept->stored + 1, m->store_job.error);
	count_store(m);
}

int vgpu_mirror_copied(struct vgpu_mirror *m, struct vgpu_app_job *job)
{
	if (job == &m->store_job) {
		stored(m);
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		if (job != &m->slots[i].job)
			continue;
		slot_read(m, &m->slots[i]);
		return 0;
	}
	return -EINVAL;
}

/* The last pull from that buffer, as a place in served; -1: there is none. */
static int served_from(const struct vgpu_mirror *m, uint64_t handle)
{
	int last = -1;

	for (unsigned int i = 0; i < m->nserved; i++)
		if (m->served[(m->first_served + i) % SERVED_MAX].pull.place.handle == handle)
			last = i;
	return last;
}

/* The worker may have the last bytes of a pull before the batch with them is out. */
int bulk_take_forget(struct vgpu_mirror *m)
{
	uint64_t handle = m->inflow.frame.at;
	int last = served_from(m, handle);

	if (last >= (int)m->nserved_done)
		return mirror_fail(m, "the worker forgets a buffer that it pulls from");
	if (last >= 0)
		m->served[(m->first_served + last) % SERVED_MAX].forget = true;
	else
		m->ops->forget(m->arg, handle);
	return 0;
}

/* ---- worker ---- */

void vgpu_mirror_pull(struct vgpu_mirror *m, struct vgpu_pull *p)
{
	struct vgpu_pull **last = &m->pulls;

	while (*last)
		last = &(*last)->next;
	p->next = NULL;
	p->number = ++m->pull_last;
	p->received = 0;
	p->asked = p->done = false;
	p->error = 0;
	*last = p;
}

void vgpu_mirror_store(struct vgpu_mirror *m, struct vgpu_store *s)
{
	s->next = NULL;
	s->number = ++m->store_last;
	s->done = false;
	s->error = 0;
	*m->last_store = s;
	m->last_store = &s->next;
	if (!m->unsent)
		m->unsent = s;
}

void vgpu_mirror_forget(struct vgpu_mirror *m, uint64_t handle)
{
	if (m->nforgets == m->forgets_room) {
		unsigned int room = m->forgets_room ? 2 * m->forgets_room : FORGETS_MAX;
		uint64_t *more = realloc(m->forgets, room * sizeof(*more));

		/* The client's mapping of it stays until the session ends. */
		if (!more)
			return;
		m->forgets = more;
		m->forgets_room = room;
	}
	m->forgets[m->nforgets++] = handle;
}

uint64_t vgpu_mirror_stored(const struct vgpu_mirror *m)
{
	return m->store_done;
}

bool bulk_add_stores(struct vgpu_mirror *m, uint64_t last, size_t *budget)
{
	struct vgpu_store *s;

	while ((s = m->unsent) && s->number <= last) {
		struct vgpu_store_wire body = { .place = s->to };

		if (!*budget || !batch_has_room(&m->batch))
			return false;
		mirror_add(m, VGPU_FRAME_STORE, 0, s->number, &body, s->from, s->length);
		m->unsent = s->next;
		m->store_sent = s->number;
		*budget -= s->length < *budget ? s->length : *budget;
	}
	return true;
}

static struct vgpu_pull **pull_find(struct vgpu_mirror *m, uint64_t number)
{
	struct vgpu_pull **p = &m->pulls;

	while (*p && (*p)->number != number)
		p = &(*p)->next;
	return p;
}

static void pull_done(struct vgpu_pull **p, int error)
{
	struct vgpu_pull *done = *p;

	*p = done->next;
	done->error = error;
	done->done = true;
}

int bulk_begin_data(struct vgpu_mirror *m)
{
	struct vgpu_pull *p = *pull_find(m, m->inflow.frame.at);

	if (!p || !p->asked)
		return mirror_fail(m, "the client sends what was not pulled");
	if (m->inflow.body.data.offset != p->received || m->inflow.want > p->length - p->received)
		return mirror_fail(m, "the client sends other bytes than were pulled");
	m->inflow.to = (uint8_t *)p->to + p->received;
	return 0;
}

int bulk_end_data(struct vgpu_mirror *m)
{
	struct vgpu_pull **p = pull_find(m, m->inflow.frame.at);
	size_t length = m->inflow.frame.length - sizeof(m->inflow.body.data);

	m->stats.bytes_in += length;
	(*p)->received += length;
	if ((*p)->received < (*p)->length)
		return 0;
	pull_done(p, 0);
	m->ops->ring(m->arg, false);
	return 0;
}

static int take_store_failed(struct vgpu_mirror *m, uint64_t number, int error)
{
	struct vgpu_store *s = m->stores;

	while (s && s->number != number)
		s = s->next;
	if (!s || number > m->store_sent)
		return mirror_fail(m, "the client fails at what it was not asked for");
	s->error = error;
	return 0;
}

int bulk_take_failed(struct vgpu_mirror *m)
{
	const struct vgpu_failed_wire *f = &m->inflow.body.failed;
	struct vgpu_pull **p;

	if (f->error >= 0 || f->error < -4095)
		return mirror_fail(m, "the client fails for no reason");
	if (f->what == VGPU_FAILED_STORE)
		return take_store_failed(m, m->inflow.frame.at, f->error);
	p = pull_find(m, m->inflow.frame.at);
	if (f->what != VGPU_FAILED_PULL || !*p || !(*p)->asked)
		return mirror_fail(m, "the client fails at what it was not asked for");
	pull_done(p, f->error);
	m->ops->ring(m->arg, false);
	return 0;
}

static void stores_done(struct vgpu_mirror *m, uint64_t number)
{
	struct vgpu_store *s;

	while ((s = m->stores) && s->number <= number) {
		m->stores = s->next;
		s->done = true;
	}
	if (!m->stores)
		m->last_store = &m->stores;
	m->store_done = number;
}

int bulk_stored(struct vgpu_mirror *m, uint64_t number)
{
	if (m->role == VGPU_ROLE_CLIENT)
		return number ? mirror_fail(m, "the worker counts stores") : 0;
	if (number - m->store_done > m->store_sent - m->store_done)
		return mirror_fail(m, "the client has stores that were not sent");
	if (number == m->store_done)
		return 0;
	stores_done(m, number);
	m->ops->ring(m->arg, false);
	return 0;
}

/* ---- both ---- */

/*
 * On a new connection. The worker's stores that the client has are done, all
 * others and all pulls are sent again. The client's buffers are mapped anew: what
 * was to be forgotten may have been said to a connection that was no more.
 */
int bulk_resume(struct vgpu_mirror *m, uint64_t number)
{
	int err = bulk_stored(m, number);

	if (err)
		return err;
	if (m->role == VGPU_ROLE_CLIENT) {
		m->ops->forget(m->arg, 0);
		return 0;
	}
	m->store_sent = number;
	m->unsent = m->stores;
	for (struct vgpu_pull *p = m->pulls; p; p = p->next) {
		p->asked = false;
		p->received = 0;
	}
	return 0;
}

void bulk_detach(struct vgpu_mirror *m)
{
	bulk_check_failed(m);
	forget_due(m, m->nserved);
	m->nserved = m->nserved_done = m->nfailures = 0;
	for (int i = 0; i < 2; i++) {
		struct slot *slot = &m->slots[i];

		if (slot->state == SLOT_READING)
			slot->state = SLOT_STALE;
		else if (slot->state != SLOT_STALE)
			slot->state = SLOT_FREE;
	}
}

bool bulk_ready(const struct vgpu_mirror *m)
{
	/* A frame and the reads that are under way can each fail once. */
	return !m->storing && m->nfailures < FAILURES_MAX - 3;
}

static bool add_failures(struct vgpu_mirror *m)
{
	unsigned int i;

	for (i = 0; i < m->nfailures && batch_has_room(&m->batch); i++) {
		struct vgpu_failed_wire body = {
			.what = m->failures[i].what, .error = m->failures[i].error,
		};

		mirror_add(m, VGPU_FRAME_FAILED, 0, m->failures[i].number, &body, NULL, 0);
	}
	m->nfailures -= i;
	memmove(m->failures, m->failures + i, m->nfailures * sizeof(*m->failures));
	return !m->nfailures;
}

static void add_forgets(struct vgpu_mirror *m)
{
	unsigned int i;

	if (!m->nforgets)
		return;
	for (i = 0; i < m->nforgets && batch_has_room(&m->batch); i++)
		mirror_add(m, VGPU_FRAME_FORGET, 0, m->forgets[i], NULL, NULL, 0);
	m->nforgets -= i;
	memmove(m->forgets, m->forgets + i, m->nforgets * sizeof(*m->forgets));
}

static bool pulls_asked(const struct vgpu_mirror *m)
{
	for (const struct vgpu_pull *p = m->pulls; p; p = p->next)
		if (!p->asked)
			return false;
	return true;
}

static void add_pulls(struct vgpu_mirror *m)
{
	unsigned int outstanding = 0;

	for (struct vgpu_pull *p = m->pulls; p; p = p->next) {
		struct vgpu_pull_wire body = { .place = p->from, .length = p->length };

		if (++outstanding > PULLS_MAX || !batch_has_room(&m->batch))
			return;
		if (p->asked)
			continue;
		mirror_add(m, VGPU_FRAME_PULL, 0, p->number, &body, NULL, 0);
		p->asked = true;
	}
}

void bulk_add_small(struct vgpu_mirror *m)
{
	/* A store that failed is told before it is counted. */
	if (!add_failures(m))
		return;
	add_forgets(m);
	add_pulls(m);
}

bool bulk_pending(const struct vgpu_mirror *m)
{
	const struct slot *s = m->slots;

	if (m->nfailures || m->nforgets || !pulls_asked(m) || m->store_sent != m->store_last)
		return true;
	if (m->kept && m->told_stored != m->kept->stored)
		return true;
	/* The first pull can go on, unless a read of it is under way. */
	if (m->nserved == m->nserved_done)
		return false;
	return m->served[(m->first_served + m->nserved_done) % SERVED_MAX].from ||
	       s[0].state == SLOT_READY || s[1].state == SLOT_READY || !slot_reading(m);
}
