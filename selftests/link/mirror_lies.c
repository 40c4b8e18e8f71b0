// SPDX-License-Identifier: MIT
/* What the other host, or the program, may say and a mirror must not believe. */
#include "link/mirror_world.h"

/* ---- hostile ---- */

struct hostile {
	struct vgpu_frame	f;
	union {
		struct vgpu_resume	resume;
		struct vgpu_publish	publish;
		struct vgpu_pull_wire	pull;
		struct vgpu_store_wire	store;
		struct vgpu_failed_wire	failed;
		uint64_t		words[10];
	};
};

#define FRAME(t, n, ...) { .f = { .type = VGPU_FRAME_##t, .length = n, ##__VA_ARGS__ } }

/* What a worker may not say to a client that has just resumed. */
static const struct hostile lies[] = {
	FRAME(PUT, 0), FRAME(PUT, 8, .at = 8), FRAME(PUT, 8, .lane = 2), FRAME(PUT, 8, .flags = 1),
	FRAME(PUT, VGPU_FRAME_PAYLOAD), FRAME(PUT, 0xffffffff), FRAME(PUT, 8193),
	FRAME(PUT, 8, .at = ~0ull), FRAME(RESUME, 56), FRAME(PULL, 31, .at = 1),
	FRAME(PULL, 32), FRAME(PULL, 32, .at = 1), FRAME(DATA, 16, .at = 1),
	FRAME(STORE, 32, .at = 2), FRAME(STORE, 24, .at = 1), FRAME(FAILED, 8, .at = 1),
	FRAME(FORGET, 0), FRAME(BYE, 257), { .f = { .type = 0 } }, { .f = { .type = 99 } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .tail = { 8, 0 } } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .head = { 8, 0 } } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .head = { 0, ~0ull } } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .stored = 1 } },
};

/* As much of it as there is. */
static int tell(int wire, struct vgpu_mirror *m, const struct hostile *h)
{
	size_t n = sizeof(h->f) + h->f.length;
	int err;

	n = n < sizeof(*h) ? n : sizeof(*h);
	CHECK_EQ(send(wire, h, n, MSG_NOSIGNAL), (ssize_t)n);
	while ((err = vgpu_mirror_receive(m)) == 1)
		;
	return err;
}

static int tell_client(struct world *w, const struct hostile *h)
{
	return tell(w->wire[0][1], w->client, h);
}

static int resume_client(struct world *w)
{
	struct hostile r = {
		.f = { .type = VGPU_FRAME_RESUME, .length = sizeof(struct vgpu_resume) },
		.resume = { .version = VGPU_WIRE_VERSION, .epoch = 1 },
	};

	return tell_client(w, &r);
}

TEST(lies_of_a_worker)
{
	static struct world w;

	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		world_start(&w, 1);
		CHECK_EQ(resume_client(&w), 0);
		if (tell_client(&w, &lies[i]) != -EPROTO || !vgpu_mirror_fault(w.client)) {
			printf("# lie %zu was believed\n", i);
			CHECK(false);
		}
		CHECK_EQ(vgpu_mirror_send(w.client), -EPROTO);
		world_end(&w);
	}
}

TEST(nothing_comes_before_the_resume)
{
	static struct world w;
	struct hostile publish = {
		.f = { .type = VGPU_FRAME_PUBLISH, .length = sizeof(struct vgpu_publish) },
	};
	struct hostile resume = {
		.f = { .type = VGPU_FRAME_RESUME, .length = sizeof(struct vgpu_resume) },
		.resume = { .version = VGPU_WIRE_VERSION, .epoch = 2 },
	};

	world_start(&w, 1);
	CHECK_EQ(tell_client(&w, &publish), -EPROTO);
	world_end(&w);
	world_start(&w, 1);
	CHECK_EQ(tell_client(&w, &resume), -EPROTO);	/* another epoch */
	world_end(&w);
	resume.resume.epoch = 1;
	resume.resume.received[1] = 64;			/* what nobody sent */
	world_start(&w, 1);
	CHECK_EQ(tell_client(&w, &resume), -EPROTO);
	world_end(&w);
}

/* What a client may not say to a worker that has asked for 64 bytes and stored 8. */
static const struct hostile client_lies[] = {
	FRAME(PULL, 32, .at = 1), FRAME(STORE, 32, .at = 1), FRAME(FORGET, 0, .at = 77),
	FRAME(RESUME, 56), FRAME(PUT, 8, .at = 8), FRAME(PUT, 8, .at = ~0ull),
	FRAME(DATA, 16, .at = 2), FRAME(DATA, 8 + 65, .at = 1),
	{ .f = { .type = VGPU_FRAME_DATA, .length = 16, .at = 1 }, .words = { 8 } },
	{ .f = { .type = VGPU_FRAME_DATA, .length = 16, .at = 1 }, .words = { ~0ull } },
	{ .f = { .type = VGPU_FRAME_FAILED, .length = 8, .at = 1 },
	  .failed = { VGPU_FAILED_PULL, 0 } },
	{ .f = { .type = VGPU_FRAME_FAILED, .length = 8, .at = 1 },
	  .failed = { VGPU_FAILED_PULL, 1 } },
	{ .f = { .type = VGPU_FRAME_FAILED, .length = 8, .at = 1 },
	  .failed = { VGPU_FAILED_PULL, -4096 } },
	{ .f = { .type = VGPU_FRAME_FAILED, .length = 8, .at = 2 },
	  .failed = { VGPU_FAILED_PULL, -EFAULT } },
	{ .f = { .type = VGPU_FRAME_FAILED, .length = 8, .at = 2 },
	  .failed = { VGPU_FAILED_STORE, -EFAULT } },
	{ .f = { .type = VGPU_FRAME_FAILED, .length = 8, .at = 1 }, .failed = { 2, -EFAULT } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .tail = { 8, 0 } } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .head = { 8, 0 } } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .head = { 0, ~0ull } } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .stored = 2 } },
	{ .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish = { .stored = ~0ull } },
};

static int tell_worker(struct world *w, const struct hostile *h)
{
	return tell(w->wire[1][1], w->server, h);
}

/* A pull and a store are on their way, both number 1. */
static void ask_client(struct world *w, struct vgpu_pull *p, struct vgpu_store *s)
{
	const struct hostile r = {
		.f = { .type = VGPU_FRAME_RESUME, .length = sizeof(struct vgpu_resume) },
		.resume = { .version = VGPU_WIRE_VERSION, .epoch = 1 },
	};

	*p = (struct vgpu_pull){ .from = { 77, HOSTMEM, 0 }, .to = w->pulled[0], .length = 64 };
	*s = (struct vgpu_store){ .to = { 77, HOSTMEM, 0 }, .from = "12345678", .length = 8 };
	CHECK_EQ(tell_worker(w, &r), 0);
	vgpu_mirror_pull(w->server, p);
	vgpu_mirror_store(w->server, s);
	while (vgpu_mirror_send(w->server) == 1)
		;
}

TEST(lies_of_a_client)
{
	static struct world w;
	struct vgpu_pull p;
	struct vgpu_store s;

	for (size_t i = 0; i < sizeof(client_lies) / sizeof(*client_lies); i++) {
		world_start(&w, 1);
		ask_client(&w, &p, &s);
		if (tell_worker(&w, &client_lies[i]) != -EPROTO || !vgpu_mirror_fault(w.server)) {
			printf("# lie %zu was believed\n", i);
			CHECK(false);
		}
		CHECK(!p.done && !s.done);
		world_end(&w);
	}
}

TEST(a_client_that_takes_it_back)
{
	static const struct hostile
		one = { .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 }, .publish.stored = 1 },
		none = { .f = { .type = VGPU_FRAME_PUBLISH, .length = 40 } };
	static struct world w;
	struct vgpu_pull p;
	struct vgpu_store s;

	world_start(&w, 1);
	ask_client(&w, &p, &s);
	CHECK_EQ(tell_worker(&w, &one), 0);
	CHECK(s.done && !s.error);
	CHECK_EQ(tell_worker(&w, &none), -EPROTO);
	world_end(&w);
}

/* The app's half is the app's to write, with whatever it likes. */
TEST(lies_of_a_program)
{
	static const uint64_t values[] = { 1ull << 20, ~0ull, 65536 + 8 };
	static struct world w;
	struct vgpu_channel_view v;

	for (size_t i = 0; i < 4 * sizeof(values) / sizeof(*values); i++) {
		struct vgpu_position *words[4];

		world_start(&w, 1);
		CHECK_EQ(resume_client(&w), 0);
		vgpu_channel_view(w.relay, &v);
		words[0] = &v.app->sq_tail;
		words[1] = &v.app->up_tail;
		words[2] = &v.app->cq_head;
		words[3] = &v.app->down_head;
		words[i % 4]->value = values[i / 4];
		CHECK_EQ(vgpu_mirror_send(w.client), -EPROTO);
		world_end(&w);
	}
}

TEST(a_program_that_takes_it_back)
{
	static struct world w;
	struct vgpu_channel_view v;

	for (int i = 0; i < 2; i++) {
		struct vgpu_position *word;

		world_start(&w, 1);
		CHECK_EQ(resume_client(&w), 0);
		vgpu_channel_view(w.relay, &v);
		word = i ? &v.app->up_tail : &v.app->sq_tail;
		word->value = 64;
		CHECK_EQ(vgpu_mirror_send(w.client), 1);
		word->value = 56;
		CHECK_EQ(vgpu_mirror_send(w.client), -EPROTO);
		world_end(&w);
	}
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
