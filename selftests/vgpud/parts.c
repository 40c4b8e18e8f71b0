/* SPDX-License-Identifier: MIT */
/* Parts of vgpud by themselves: the loop, spinning, cookies, devices, buffers, copies. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "vgpud/cookie.h"
#include "vgpud/copier.h"
#include "vgpud/devices.h"
#include "vgpud/loop.h"
#include "vgpud/pages.h"
#include "vgpud/spin.h"
#include "test.h"

/* ---- loop ---- */

struct alarm {
	struct vgpu_timer	timer;
	struct vgpu_loop	*loop;
	int			number;
	struct vgpu_timer	*cancels, *sets;
};

static int rang[8], nrang;

static void on_alarm(struct vgpu_timer *t)
{
	struct alarm *a = vgpu_container(t, struct alarm, timer);

	rang[nrang++] = a->number;
	if (a->cancels)
		vgpu_timer_cancel(a->cancels);
	if (a->sets)
		vgpu_timer_set(a->loop, a->sets, 5);
}

TEST(timers_come_in_order)
{
	struct vgpu_loop l;
	struct alarm a[4] = {};

	REQUIRE(!vgpu_loop_open(&l));
	nrang = 0;
	for (int i = 0; i < 4; i++) {
		a[i].timer.due = on_alarm;
		a[i].loop = &l;
		a[i].number = i;
	}
	vgpu_timer_set(&l, &a[0].timer, 30);
	vgpu_timer_set(&l, &a[1].timer, 10);
	vgpu_timer_set(&l, &a[2].timer, 20);
	vgpu_timer_set(&l, &a[1].timer, 40);	/* moved */
	a[2].cancels = &a[0].timer;
	a[2].sets = &a[3].timer;
	while (l.timers)
		REQUIRE(!vgpu_loop_step(&l, true));
	CHECK_EQ(nrang, 3);
	/* The last two may be due at once on a machine that is busy. */
	CHECK_EQ(rang[0], 2);
	CHECK(rang[1] + rang[2] == 3 + 1);
	CHECK(!vgpu_timer_is_set(&a[1].timer));
	vgpu_timer_cancel(&a[1].timer);		/* nothing */
	CHECK_EQ(vgpu_loop_step(&l, false), 0);
	vgpu_loop_close(&l);
}

struct pair_member {
	void			*link;
	struct vgpu_watch	watch;
	struct pair_member	*other;
	int			*calls;
	struct vgpu_loop	*loop;
};

static struct pair_member *gone;

static void on_member(struct vgpu_watch *w, uint32_t events)
{
	struct pair_member *m = vgpu_container(w, struct pair_member, watch), *other = m->other;

	(*m->calls)++;
	m->other = NULL;
	if (!other)
		return;
	gone = other;
	vgpu_watch_remove(&other->watch);
	close(other->watch.fd);
	vgpu_loop_free(m->loop, other);
}

TEST(one_event_may_free_the_source_of_the_next)
{
	struct vgpu_loop l;
	struct pair_member *m[2];
	int calls = 0, fd;

	REQUIRE(!vgpu_loop_open(&l));
	for (int i = 0; i < 2; i++) {
		m[i] = calloc(1, sizeof(*m[i]));
		m[i]->watch.ready = on_member;
		m[i]->calls = &calls;
		m[i]->loop = &l;
	}
	m[0]->other = m[1];
	m[1]->other = m[0];
	for (int i = 0; i < 2; i++)
		REQUIRE(!vgpu_watch_add(&l, &m[i]->watch, eventfd(1, 0), EPOLLIN));
	CHECK_EQ(vgpu_loop_step(&l, true), 0);
	CHECK_EQ(calls, 1);
	/* The one that is left is the one that was called. */
	CHECK_EQ(vgpu_loop_step(&l, false), 0);
	CHECK_EQ(calls, 2);
	for (int i = 0; i < 2; i++) {
		if (m[i] != gone) {
			close(m[i]->watch.fd);
			free(m[i]);
		}
	}
	fd = l.epoll;
	vgpu_loop_close(&l);
	CHECK_EQ(close(fd), -1);
}

/* ---- spinning ---- */

TEST(spinning_that_does_not_pay_wears_off)
{
	struct vgpu_spin s;
	unsigned probes = 0;
	uint32_t first;

	vgpu_spin_reset(&s);
	first = vgpu_spin_begin(&s);
	if (!first)
		SKIP("one processor");
	vgpu_spin_failed(&s);
	for (int i = 0; i < 1000; i++) {
		probes += vgpu_spin_begin(&s) > first;
		vgpu_spin_failed(&s);
	}
	CHECK(probes >= 2 && probes < 20);
	while (vgpu_spin_begin(&s))
		vgpu_spin_failed(&s);
	/* And comes back when it does. */
	vgpu_spin_paid(&s, 10000);
	CHECK_EQ(vgpu_spin_begin(&s), 40000);
	vgpu_spin_paid(&s, 1000000);
	CHECK_EQ(vgpu_spin_begin(&s), first);
}

/* ---- cookies ---- */

TEST(cookies)
{
	struct vgpu_session_cookie in = { .server = vgpu_name_hash("a") }, out;
	struct vgpu_cookie cookie = {};

	CHECK_EQ(vgpu_cookie_read(&cookie, &out), -ENOENT);
	memset(in.id, 1, sizeof(in.id));
	memset(in.secret, 2, sizeof(in.secret));
	vgpu_cookie_make(&cookie, &in);
	REQUIRE(!vgpu_cookie_read(&cookie, &out));
	CHECK(!memcmp(&in, &out, sizeof(in)));
	cookie.bytes[0]++;
	CHECK_EQ(vgpu_cookie_read(&cookie, &out), -EPROTO);
	cookie.bytes[0]--;
	cookie.bytes[4]++;
	CHECK_EQ(vgpu_cookie_read(&cookie, &out), -EPROTO);
	CHECK(vgpu_name_hash("a") != vgpu_name_hash("b"));
	CHECK(vgpu_name_hash("ab") != vgpu_name_hash("ba"));
}

/* ---- devices ---- */

#define HAS(a)	VGPU_NL_HAS(VGPU_ATTR_##a)

static const struct vgpu_device_gpu h100 = { "H100", 80ull << 30 };

static struct vgpu_nl_device decide(const char *backend, const char *name, uint64_t memory,
				    const struct vgpu_config_gpu *want,
				    const struct vgpu_device_gpu *gpu)
{
	struct vgpu_nl_device d = { .number = 7, .memory = memory }, change;

	strcpy(d.backend, backend);
	strcpy(d.name, name);
	vgpu_device_decide(&d, want, gpu, &change);
	CHECK_EQ(change.number, 7);
	return change;
}

TEST(devices_of_the_configuration)
{
	const struct vgpu_config_gpu want = { "a", 1 };
	struct vgpu_nl_device c;

	c = decide("", "", 0, &want, NULL);
	CHECK_EQ(c.has, HAS(BACKEND));
	CHECK(!strcmp(c.backend, "a:1"));
	c = decide("a:1", "mine", 5, &want, NULL);
	CHECK_EQ(c.has, 0);
	/* What was said of another GPU is not true any more. */
	c = decide("b:0", "T4", 5, &want, NULL);
	CHECK_EQ(c.has, HAS(BACKEND) | HAS(NAME) | HAS(MEMORY));
	CHECK(!*c.name && !c.memory);
	c = decide("b:0", "T4", 5, &want, &h100);
	CHECK_EQ(c.has, HAS(BACKEND) | HAS(NAME) | HAS(MEMORY));
	CHECK(!strcmp(c.name, "H100") && c.memory == h100.memory);
}

TEST(devices_get_what_they_lack)
{
	struct vgpu_nl_device c;

	c = decide("a:1", "", 0, NULL, &h100);
	CHECK_EQ(c.has, HAS(NAME) | HAS(MEMORY));
	CHECK(!strcmp(c.name, "H100") && c.memory == h100.memory);
	CHECK_EQ(decide("a:1", "half", 0, NULL, &h100).has, HAS(MEMORY));
	CHECK_EQ(decide("a:1", "", 1, NULL, &h100).has, HAS(NAME));
	CHECK_EQ(decide("a:1", "half", 1, NULL, &h100).has, 0);
	/* a server that does not know is not said again and again to be so */
	CHECK_EQ(decide("a:1", "half", 0, NULL, &(struct vgpu_device_gpu){ "H100", 0 }).has, 0);
	CHECK_EQ(decide("a:1", "", 0, NULL, NULL).has, 0);
	CHECK_EQ(decide("", "", 0, NULL, NULL).has, 0);
}

/* ---- the program's memory ---- */

static const struct vgpu_ring_sizes sizes = { 4096, 4096, 4096, 4096 };
static struct vgpu_channel *app, *peer;

TEST(buffers_are_mapped_once)
{
	struct vgpu_pages p = {};
	uint64_t handle[40];
	void *at[40], *seen;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &sizes));
	for (int i = 0; i < 40; i++) {
		REQUIRE(!vgpu_hostmem_create(app, 4096, &at[i], &handle[i]));
		*(int *)at[i] = i;
	}
	for (int i = 39; i >= 0; i--) {
		seen = vgpu_pages_find(&p, peer, handle[i], 4096);
		REQUIRE(seen);
		CHECK_EQ(*(int *)seen, i);
		CHECK(vgpu_pages_find(&p, peer, handle[i], 4096) == seen);
	}
	CHECK_EQ(p.count, 40);
	errno = 0;
	CHECK(!vgpu_pages_find(&p, peer, handle[3], 8192) && errno == EINVAL);
	CHECK(!vgpu_pages_find(&p, peer, 12345, 4096) && errno == ENOENT);
	vgpu_pages_forget(&p, peer, handle[3]);
	vgpu_pages_forget(&p, peer, handle[3]);
	CHECK_EQ(p.count, 39);
	vgpu_pages_forget_all(&p, peer);
	CHECK_EQ(p.count, 0);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

static struct vgpu_app_job *await_job(struct vgpu_copier *c)
{
	struct pollfd p = { .fd = vgpu_copier_fd(c), .events = POLLIN };
	struct vgpu_app_job *job;

	/* As its user does: one event may be of two jobs. */
	while (!(job = vgpu_copier_take(c)) && poll(&p, 1, 5000) > 0)
		;
	return job;
}

TEST(copies_are_done_elsewhere)
{
	char far[64] = "of the program", near[64] = "", back[64] = "back";
	struct vgpu_app_job read = {
		.address = (uintptr_t)far, .local = near, .length = sizeof(far),
	};
	struct vgpu_app_job write = {
		.address = (uintptr_t)far, .local = back, .length = sizeof(back), .write = true,
	};
	struct vgpu_app_job wrong = { .address = 8, .local = near, .length = 8 };
	struct vgpu_copier *c;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &sizes));
	REQUIRE(!vgpu_copier_create(&c, peer));
	CHECK(!vgpu_copier_busy(c) && !vgpu_copier_take(c));
	vgpu_copier_add(c, &read);
	CHECK(vgpu_copier_busy(c));
	CHECK(await_job(c) == &read);
	CHECK(!read.error && !strcmp(near, "of the program"));
	CHECK(!vgpu_copier_busy(c));
	for (int i = 0; i < 100; i++) {
		vgpu_copier_add(c, &write);
		vgpu_copier_add(c, &wrong);
		CHECK(await_job(c) == &write);
		CHECK(await_job(c) == &wrong);
		CHECK(!write.error && wrong.error == -EFAULT);
	}
	CHECK(!strcmp(far, "back"));
	vgpu_copier_destroy(c);
	vgpu_copier_destroy(NULL);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
