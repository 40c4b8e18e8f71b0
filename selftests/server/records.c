/* SPDX-License-Identifier: MIT */
/*
 * A worker behind a channel, with a driver that the test plays: what records
 * make it do, whatever they hold.
 */
#include "proto/cuda_api.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "fake_driver.h"
#include "gen/calls.h"
#include "proto/marshal.h"
#include "server/cache.h"
#include "server/worker.h"
#include "test.h"

#define REPLY	VGPU_CALL_REPLY
#define WAIT_MS	20000
#define CTX	vgpu_handle_make(VGPU_KIND_CONTEXT, 1, 1)

/* Two notices of each kind are kept, the last ones. */
struct session {
	struct session		*older;
	struct vgpu_channel	*app;
	struct vgpu_worker	*w;
	struct vgpu_driver	driver;
	pthread_t		dispatcher;
	int			result;
	_Alignas(8) uint8_t	got[VGPU_REPLY_MAX];
	int			ngot;
	unsigned		errors, outputs, hostfns;
	struct vgpu_notice_error last_error;
	struct vgpu_notice_hostfn last_hostfn;
	char			text[256];
};

static void *dispatch(void *arg)
{
	struct session *s = arg;

	s->result = vgpu_dispatch(s->w);
	return NULL;
}

/* All of them: a worker's parts are not freed, as the program ends by _exit(). */
static struct session *sessions;

static struct session *begin(void)
{
	const struct vgpu_ring_sizes sizes = {
		.sq = 256u << 10, .cq = 64u << 10, .up = 256u << 10, .down = 256u << 10,
	};
	struct session *s = calloc(1, sizeof(*s));
	struct vgpu_channel *peer;

	if (vgpu_channel_pair(&s->app, &peer, &sizes))
		exit(1);
	s->older = sessions;
	sessions = s;
	fake_driver(&s->driver);
	s->w = calloc(1, sizeof(*s->w));
	s->w->driver = &s->driver;
	s->w->ndevices = 1;
	if (vgpu_worker_start(s->w, peer, NULL))
		exit(1);
	pthread_create(&s->dispatcher, NULL, dispatch, s);
	return s;
}

/* The worker's threads go with the process, as they do in the program. */
static void end(struct session *s)
{
	fake.busy = false;
	vgpu_channel_shutdown(s->w->channel);
	pthread_join(s->dispatcher, NULL);
	CHECK_EQ(s->result, 0);
}

/* ---- the client's side ---- */

static bool room(void *arg)
{
	return vgpu_record_room(arg, VGPU_REQUEST_MAX / 2);
}

static uint64_t send_raw(struct session *s, unsigned opcode, unsigned flags, const void *record,
			 size_t length)
{
	uint8_t *at;

	CHECK_EQ(vgpu_channel_wait(s->app, room, s->app, WAIT_MS), 0);
	at = vgpu_record_reserve(s->app, length);
	if (!at)
		return 0;
	memcpy(at + sizeof(struct vgpu_record), (uint8_t *)record + sizeof(struct vgpu_record),
	       length - sizeof(struct vgpu_record));
	return vgpu_record_commit(s->app, opcode, flags);
}

#define SEND(s, call, flags, ...)						\
	({ struct vgpu_##call##_in in_ = { __VA_ARGS__ };			\
	   send_raw(s, VGPU_OP_##call, flags, &in_, sizeof(in_)); })

static void note_output(struct session *s)
{
	struct vgpu_notice_output *n = (void *)s->got;
	const char *bytes = vgpu_bytes_at(s->app, n->chunk.pos, n->chunk.length);
	size_t had = strlen(s->text);

	s->outputs++;
	if (bytes && had + n->chunk.length < sizeof(s->text))
		memcpy(s->text + had, bytes, n->chunk.length);
	vgpu_bytes_release(s->app, n->chunk.pos, n->chunk.length);
}

static bool received(void *arg)
{
	struct session *s = arg;

	s->ngot = vgpu_record_receive(s->app, s->got, sizeof(s->got));
	return s->ngot;
}

/* The next record from the worker; false: none came. */
static bool next(struct session *s, int ms)
{
	struct vgpu_record *r = (void *)s->got;

	if (vgpu_channel_wait(s->app, received, s, ms) || s->ngot < 0)
		return false;
	switch (r->opcode) {
	case VGPU_NOTICE_ERROR:
		memcpy(&s->last_error, s->got, sizeof(s->last_error));
		s->errors++;
		break;
	case VGPU_NOTICE_HOSTFN:
		memcpy(&s->last_hostfn, s->got, sizeof(s->last_hostfn));
		s->hostfns++;
		break;
	case VGPU_NOTICE_OUTPUT:
		note_output(s);
		break;
	}
	return true;
}

/* The status of the call of that number; -1: it never came. */
static int status_of(struct session *s, uint64_t seq)
{
	struct vgpu_completion *c = (void *)s->got;

	while (next(s, WAIT_MS))
		if (c->r.opcode < 0xf000 && c->seq == seq)
			return c->status;
	return -1;
}

static int info(struct session *s)
{
	return status_of(s, SEND(s, cuMemGetInfo_v2, REPLY, .q.ctx = CTX));
}

static int retain(struct session *s)
{
	return status_of(s, SEND(s, cuDevicePrimaryCtxRetain, REPLY, .pctx = CTX, .dev = 0));
}

static int reset(struct session *s)
{
	return status_of(s, SEND(s, cuDevicePrimaryCtxReset_v2, REPLY, .dev = 0));
}

/* ---- records ---- */

TEST(a_call_and_its_answer)
{
	struct session *s = begin();
	struct vgpu_cuMemGetInfo_v2_out *out = (void *)s->got;

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	CHECK_EQ(info(s), CUDA_SUCCESS);
	CHECK_EQ(out->free, 1000);
	CHECK_EQ(out->total, 2000);
	end(s);
}

TEST(what_is_not_a_call)
{
	struct session *s = begin();
	struct vgpu_request q = { .ctx = CTX };

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	CHECK_EQ(status_of(s, send_raw(s, 0, REPLY, &q, sizeof(q))), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(status_of(s, send_raw(s, 0xeff, REPLY, &q, sizeof(q))), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(status_of(s, send_raw(s, 0xefff, REPLY, &q, sizeof(q))), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(status_of(s, send_raw(s, VGPU_OP_cuMemGetInfo_v2, 0x8 | REPLY, &q, sizeof(q))),
		 CUDA_ERROR_INVALID_VALUE);
	/* A capture mode that there is not. */
	CHECK_EQ(status_of(s, send_raw(s, VGPU_OP_cuMemGetInfo_v2, 0x6 | REPLY, &q, sizeof(q))),
		 CUDA_ERROR_INVALID_VALUE);
	/* Shorter than a request. */
	CHECK_EQ(status_of(s, send_raw(s, VGPU_OP_cuMemGetInfo_v2, REPLY, &q,
				       sizeof(struct vgpu_record))), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(info(s), CUDA_SUCCESS);
	end(s);
}

TEST(contexts_that_are_not)
{
	struct session *s = begin();

	CHECK_EQ(info(s), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(retain(s), CUDA_SUCCESS);
	CHECK_EQ(status_of(s, SEND(s, cuMemGetInfo_v2, REPLY, .q.ctx = 0)),
		 CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(status_of(s, SEND(s, cuMemGetInfo_v2, REPLY, .q.ctx = CTX + (1ull << 32))),
		 CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(info(s), CUDA_SUCCESS);
	CHECK_EQ(reset(s), CUDA_SUCCESS);
	CHECK_EQ(info(s), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(retain(s), CUDA_SUCCESS);
	CHECK_EQ(info(s), CUDA_SUCCESS);
	CHECK_EQ(fake.ended, 1);
	end(s);
}

TEST(a_context_that_cannot_be_entered_leaves_nothing)
{
	struct session *s = begin();

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	CHECK(s->w->rings.owner);
	fake.current_status = CUDA_ERROR_ILLEGAL_ADDRESS;
	CHECK_EQ(reset(s), CUDA_SUCCESS);
	CHECK(!s->w->rings.owner);
	fake.current_status = CUDA_SUCCESS;
	CHECK_EQ(retain(s), CUDA_SUCCESS);
	CHECK(s->w->rings.owner);
	CHECK_EQ(info(s), CUDA_SUCCESS);
	end(s);
}

/* A device has one primary context, also if two ask at once. */
TEST(a_primary_context_has_one_number)
{
	struct session *s = begin();
	uint64_t other = vgpu_handle_make(VGPU_KIND_CONTEXT, 1, 9);

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	CHECK_EQ(retain(s), CUDA_SUCCESS);
	CHECK_EQ(status_of(s, SEND(s, cuDevicePrimaryCtxRetain, REPLY, .pctx = other)),
		 CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(info(s), CUDA_SUCCESS);
	end(s);
}

/* Every call, with lengths around the right one, full of ones and of zeros. */
TEST(lengths_that_lie)
{
	static _Alignas(8) uint8_t record[8192];
	struct session *s = begin();
	unsigned answers = 0, asked = 0;

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	for (unsigned op = 0; op < VGPU_OPCODES; op++) {
		const struct vgpu_serve_entry *e = &vgpu_serve_table[op];
		const size_t lengths[] = { 24, e->fixed - 8, e->fixed, e->fixed + 8, 8192 };

		/* A chunk that is not there ends the session: see below. */
		if (!e->serve || op == VGPU_OP_vgpu_memcpy_up || op == VGPU_OP_vgpu_image_put ||
		    op == VGPU_OP_cuDevicePrimaryCtxReset_v2 ||
		    op == VGPU_OP_cuDevicePrimaryCtxRelease_v2)
			continue;
		for (unsigned i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
			size_t length = lengths[i / 2];

			if (length < 24)
				continue;
			memset(record, i % 2 ? 0xff : 0, sizeof(record));
			((struct vgpu_request *)record)->ctx = CTX;
			asked++;
			answers += status_of(s, send_raw(s, op, REPLY, record, length)) >= 0;
		}
	}
	CHECK(asked > 500);
	CHECK_EQ(answers, asked);
	CHECK_EQ(info(s), CUDA_SUCCESS);
	end(s);
}

TEST(bulk_bytes_that_are_not_there)
{
	struct session *s = begin();

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	SEND(s, vgpu_memcpy_up, 0, .q.ctx = CTX, .data = { .pos = 4096, .length = 64 });
	pthread_join(s->dispatcher, NULL);
	CHECK_EQ(s->result, -EPROTO);
	CHECK(vgpu_channel_fault(s->w->channel));
}

/* ---- up ---- */

struct wanted {
	struct vgpu_channel	*ch;
	size_t			length;
};

static bool bytes_room(void *arg)
{
	struct wanted *w = arg;

	return vgpu_bytes_room(w->ch, w->length);
}

static bool put(struct session *s, size_t length, uint64_t *pos, int ms)
{
	struct wanted w = { s->app, length };
	void *at;

	if (vgpu_channel_wait(s->app, bytes_room, &w, ms))
		return false;
	at = vgpu_bytes_reserve(s->app, length, pos);
	if (at)
		memset(at, 7, length);
	if (at)
		vgpu_bytes_publish(s->app, *pos, length);
	return at;
}

static bool up(struct session *s, uint64_t ctx, size_t length, int ms)
{
	uint64_t pos;

	if (!put(s, length, &pos, ms))
		return false;
	return SEND(s, vgpu_memcpy_up, 0, .q.ctx = ctx, .dst = (uintptr_t)fake_memory,
		    .data = { .pos = pos, .length = length });
}

TEST(a_place_in_up_is_kept_until_it_is_copied)
{
	struct session *s = begin();
	int n = 0;

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	fake.busy = true;
	while (n < 100 && up(s, CTX, 64u << 10, 100))
		n++;
	CHECK(n >= 3 && n <= 4);
	/* Now the device has copied, and nobody sends: the reclaimer notices. */
	fake.busy = false;
	for (int i = 0; i < 100; i++)
		REQUIRE(up(s, CTX, 1u + 700 * i, WAIT_MS));
	CHECK_EQ(info(s), CUDA_SUCCESS);
	CHECK_EQ(fake.copied, n + 100);
	end(s);
}

TEST(a_refused_copy_gives_its_place_back)
{
	struct session *s = begin();

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	for (int i = 0; i < 50; i++)
		REQUIRE(up(s, 0, 64u << 10, WAIT_MS));
	fake.copy_status = CUDA_ERROR_INVALID_VALUE;
	for (int i = 0; i < 50; i++)
		REQUIRE(up(s, CTX, 64u << 10, WAIT_MS));
	CHECK_EQ(info(s), CUDA_SUCCESS);
	/* None of them recovered from by itself: each is told. */
	CHECK_EQ(s->errors, 100);
	CHECK_EQ(s->last_error.status, CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(s->last_error.ctx, CTX);
	end(s);
}

TEST(a_driver_that_cannot_lock_up_copies_from_a_mirror)
{
	struct session *s = begin();

	fake.register_status = CUDA_ERROR_NOT_SUPPORTED;
	CHECK_EQ(retain(s), CUDA_SUCCESS);
	CHECK(s->w->rings.mirror);
	memset(fake_memory, 0, 64u << 10);
	for (int i = 0; i < 50; i++)
		REQUIRE(up(s, CTX, 64u << 10, WAIT_MS));
	CHECK_EQ(info(s), CUDA_SUCCESS);
	CHECK_EQ(fake.copied, 50);
	CHECK_EQ(fake_memory[0], 7);
	CHECK_EQ(fake_memory[(64u << 10) - 1], 7);
	CHECK_EQ(reset(s), CUDA_SUCCESS);
	CHECK(!s->w->rings.mirror);
	end(s);
}

/* More of them would fit into up than chunks that are where chunks may be. */
TEST(a_chunk_begins_where_chunks_may)
{
	struct session *s = begin();
	uint64_t pos;

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	REQUIRE(put(s, 256, &pos, WAIT_MS));
	for (int i = 1; i < 64; i++)
		SEND(s, vgpu_memcpy_up, 0, .q.ctx = CTX, .dst = (uintptr_t)fake_memory,
		     .data = { .pos = pos + i, .length = 1 });
	CHECK_EQ(info(s), CUDA_SUCCESS);
	CHECK_EQ(s->errors, 63);
	CHECK_EQ(fake.copied, 0);
	SEND(s, vgpu_memcpy_up, 0, .q.ctx = CTX, .dst = (uintptr_t)fake_memory,
	     .data = { .pos = pos, .length = 256 });
	CHECK_EQ(info(s), CUDA_SUCCESS);
	CHECK_EQ(fake.copied, 1);
	end(s);
}

/* ---- errors ---- */

TEST(a_fault_is_told_once_until_the_reset)
{
	struct session *s = begin();

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	fake.memset_status = CUDA_ERROR_ILLEGAL_ADDRESS;
	for (int i = 0; i < 10; i++)
		SEND(s, cuMemsetD8Async, 0, .q.ctx = CTX, .N = 1);
	CHECK_EQ(info(s), CUDA_SUCCESS);
	CHECK_EQ(s->errors, 1);
	CHECK_EQ(s->last_error.opcode, VGPU_OP_cuMemsetD8Async);
	CHECK_EQ(s->last_error.status, CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(reset(s), CUDA_SUCCESS);
	CHECK_EQ(retain(s), CUDA_SUCCESS);
	SEND(s, cuMemsetD8Async, 0, .q.ctx = CTX, .N = 1);
	CHECK_EQ(info(s), CUDA_SUCCESS);
	CHECK_EQ(s->errors, 2);
	/* Who waits for the status gets it, and no notice. */
	CHECK_EQ(status_of(s, SEND(s, cuMemsetD8Async, REPLY, .q.ctx = CTX, .N = 1)),
		 CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(s->errors, 2);
	end(s);
}

/* In whichever order. */
static void both_succeed(struct session *s, uint64_t a, uint64_t b)
{
	struct vgpu_completion *c = (void *)s->got;
	int answers = 0;

	while (answers < 2 && next(s, WAIT_MS)) {
		if (c->r.opcode >= 0xf000 || (c->seq != a && c->seq != b))
			continue;
		CHECK_EQ(c->status, CUDA_SUCCESS);
		answers++;
	}
	CHECK_EQ(answers, 2);
}

/* The client waits for no answer to a destroy, and gives the number's slot to another. */
TEST(a_stream_ends_whatever_its_context_says)
{
	uint64_t one = vgpu_handle_make(VGPU_KIND_STREAM, 1, 5);
	uint64_t two = vgpu_handle_make(VGPU_KIND_STREAM, 2, 5);
	struct session *s = begin();

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	SEND(s, cuStreamCreateWithPriority, 0, .q.ctx = CTX, .phStream = one);
	CHECK_EQ(info(s), CUDA_SUCCESS);
	/* A context that is not, and a capture mode that there is not. */
	SEND(s, cuStreamDestroy_v2, 0x6, .hStream = one);
	SEND(s, cuStreamCreateWithPriority, 0, .q.ctx = CTX, .phStream = two);
	CHECK_EQ(status_of(s, SEND(s, cuStreamQuery, REPLY, .q.ctx = CTX, .hStream = two)),
		 CUDA_SUCCESS);
	CHECK_EQ(s->errors, 0);
	CHECK_EQ(fake.destroyed, 1);
	end(s);
}

/* A stream of one context, waited for in another: not ended under the one who waits. */
TEST(who_waits_holds_the_context_of_what_is_waited_for)
{
	uint64_t other = vgpu_handle_make(VGPU_KIND_CONTEXT, 1, 6);
	uint64_t stream = vgpu_handle_make(VGPU_KIND_STREAM, 1, 7), waits, ends;
	struct session *s = begin();

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	CHECK_EQ(status_of(s, SEND(s, cuCtxCreate_v2, REPLY, .pctx = other)), CUDA_SUCCESS);
	SEND(s, cuStreamCreateWithPriority, 0, .q.ctx = CTX, .phStream = stream);
	CHECK_EQ(status_of(s, SEND(s, cuMemGetInfo_v2, REPLY, .q.ctx = other)), CUDA_SUCCESS);
	fake.busy = true;
	waits = SEND(s, cuStreamSynchronize, REPLY, .q.ctx = other, .hStream = stream);
	ends = SEND(s, cuDevicePrimaryCtxReset_v2, REPLY, .dev = 0);
	usleep(20000);
	pthread_mutex_lock(&s->w->life);
	CHECK_EQ(s->w->contexts->wire, other);
	CHECK_EQ(s->w->contexts->pins, 0);
	pthread_mutex_unlock(&s->w->life);
	fake.busy = false;
	both_succeed(s, waits, ends);
	CHECK_EQ(fake.waited_ended, 0);
	end(s);
}

/* ---- images ---- */

static const char ptx[] = ".version 8.0\n.target sm_75\n.address_size 64\n"
			  ".visible .entry kernel(.param .u64 a) { ret; }\n";

static void image(struct session *s, const uint8_t *hash, uint64_t offset, const void *bytes,
		  size_t length, size_t total)
{
	struct vgpu_vgpu_image_put_in in = {
		.hash_len = VGPU_HASH_BYTES, .total = total, .offset = offset,
		.data.length = length,
	};
	uint8_t record[sizeof(in) + VGPU_HASH_BYTES];
	struct wanted w = { s->app, length };

	CHECK_EQ(vgpu_channel_wait(s->app, bytes_room, &w, WAIT_MS), 0);
	memcpy(vgpu_bytes_reserve(s->app, length, &in.data.pos), bytes, length);
	vgpu_bytes_publish(s->app, in.data.pos, length);
	memcpy(record, &in, sizeof(in));
	memcpy(record + sizeof(in), hash, VGPU_HASH_BYTES);
	send_raw(s, VGPU_OP_vgpu_image_put, 0, record, sizeof(record));
}

static int load(struct session *s, const uint8_t *hash, size_t length)
{
	struct vgpu_cuLibraryLoadData_in in = {
		.library = vgpu_handle_make(VGPU_KIND_LIBRARY, 1, 2), .length = length,
		.hash_len = VGPU_HASH_BYTES,
	};
	uint8_t record[sizeof(in) + VGPU_HASH_BYTES];

	memcpy(record, &in, sizeof(in));
	memcpy(record + sizeof(in), hash, VGPU_HASH_BYTES);
	return status_of(s, send_raw(s, VGPU_OP_cuLibraryLoadData, REPLY, record, sizeof(record)));
}

TEST(an_image_is_what_its_hash_says)
{
	struct session *s = begin();
	struct vgpu_cuLibraryLoadData_out *out = (void *)s->got;
	uint8_t hash[VGPU_HASH_BYTES];
	char wrong[sizeof(ptx)];

	vgpu_hash(ptx, sizeof(ptx), hash);
	CHECK_EQ(load(s, hash, sizeof(ptx)), VGPU_STATUS_NEED_IMAGE);
	memcpy(wrong, ptx, sizeof(ptx));
	wrong[20]++;
	image(s, hash, 0, wrong, sizeof(wrong), sizeof(wrong));
	CHECK_EQ(load(s, hash, sizeof(ptx)), VGPU_STATUS_NEED_IMAGE);
	CHECK_EQ(s->last_error.status, CUDA_ERROR_INVALID_IMAGE);
	/* Pieces in order; one twice does no harm, one too far is refused. */
	image(s, hash, 50, ptx + 50, 10, sizeof(ptx));
	image(s, hash, 0, ptx, 50, sizeof(ptx));
	image(s, hash, 0, ptx, 50, sizeof(ptx));
	image(s, hash, 51, ptx + 51, sizeof(ptx) - 51, sizeof(ptx));
	image(s, hash, 50, ptx + 50, 10, sizeof(ptx) + 1);
	CHECK_EQ(load(s, hash, sizeof(ptx)), VGPU_STATUS_NEED_IMAGE);
	CHECK_EQ(s->errors, 4);
	image(s, hash, 50, ptx + 50, sizeof(ptx) - 50, sizeof(ptx));
	CHECK_EQ(load(s, hash, sizeof(ptx) - 1), VGPU_STATUS_NEED_IMAGE);
	CHECK_EQ(load(s, hash, sizeof(ptx)), CUDA_SUCCESS);
	CHECK_EQ(fake.loaded, 1);
	CHECK_EQ(out->info_log_len, strlen("it went well"));
	CHECK_EQ(out->error_log_len, 0);
	end(s);
}

TEST(an_image_that_is_none)
{
	/* A wrapper: it holds a pointer, and that is the client's. */
	static const char text[64] = "\xb1\x43\x62\x46\x01";
	struct session *s = begin();
	uint8_t hash[VGPU_HASH_BYTES];

	vgpu_hash(text, sizeof(text), hash);
	image(s, hash, 0, text, sizeof(text), sizeof(text));
	CHECK_EQ(load(s, hash, sizeof(text)), CUDA_ERROR_INVALID_IMAGE);
	CHECK_EQ(fake.loaded, 0);
	end(s);
}

/* ---- launches ---- */

static uint64_t kernel(struct session *s)
{
	uint64_t handle = vgpu_handle_make(VGPU_KIND_KERNEL, 1, 3);
	struct vgpu_cuLibraryGetKernel_in in = {
		.pKernel = handle, .library = vgpu_handle_make(VGPU_KIND_LIBRARY, 1, 2),
		.name_len = 7,
	};
	uint8_t record[sizeof(in) + 8] = {}, hash[VGPU_HASH_BYTES];

	vgpu_hash(ptx, sizeof(ptx), hash);
	image(s, hash, 0, ptx, sizeof(ptx), sizeof(ptx));
	CHECK_EQ(load(s, hash, sizeof(ptx)), CUDA_SUCCESS);
	memcpy(record, &in, sizeof(in));
	strcpy((char *)record + sizeof(in), "kernel");
	CHECK_EQ(status_of(s, send_raw(s, VGPU_OP_cuLibraryGetKernel, REPLY, record,
				       sizeof(record))), CUDA_SUCCESS);
	return handle;
}

static uint64_t launch(struct session *s, uint64_t function, size_t params, unsigned attribute,
		       unsigned flags)
{
	struct vgpu_cuLaunchKernelEx_in in = {
		.q.ctx = CTX, .function = function, .gridX = 1, .gridY = 1, .gridZ = 1,
		.blockX = 1, .blockY = 1, .blockZ = 1, .params_len = params,
		.attributes_len = attribute ? sizeof(CUlaunchAttribute) : 0,
	};
	uint8_t record[sizeof(in) + sizeof(CUlaunchAttribute) + 64] = {};

	memcpy(record, &in, sizeof(in));
	memcpy(record + sizeof(in), &attribute, sizeof(attribute));
	return send_raw(s, VGPU_OP_cuLaunchKernelEx, flags, record,
			sizeof(in) + in.attributes_len + vgpu_pad8(params));
}

TEST(launches_are_checked)
{
	struct session *s = begin();
	uint64_t k;

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	k = kernel(s);
	CHECK_EQ(status_of(s, launch(s, k, 12, 0, REPLY)), CUDA_SUCCESS);
	CHECK_EQ(status_of(s, launch(s, k, 11, 0, REPLY)), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(status_of(s, launch(s, k, 16, 0, REPLY)), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(status_of(s, launch(s, k + 1, 12, 0, REPLY)), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(status_of(s, launch(s, k, 12, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT, REPLY)),
		 CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(status_of(s, launch(s, k, 12, 999, REPLY)), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(fake.launched, 1);
	end(s);
}

/* ---- waiting ---- */

TEST(who_waits_does_not_hold_up_others)
{
	struct session *s = begin();
	uint64_t waits, ends;

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	fake.busy = true;
	waits = SEND(s, cuStreamSynchronize, REPLY, .q.ctx = CTX);
	CHECK_EQ(info(s), CUDA_SUCCESS);
	/* The context is not ended under the one who waits. */
	ends = SEND(s, cuDevicePrimaryCtxReset_v2, REPLY, .dev = 0);
	CHECK_EQ(info(s), CUDA_ERROR_INVALID_CONTEXT);
	usleep(20000);
	CHECK_EQ(fake.ended, 0);
	fake.busy = false;
	both_succeed(s, waits, ends);
	CHECK_EQ(fake.ended, 1);
	CHECK_EQ(fake.waited_ended, 0);
	end(s);
}

/* The driver's queue is full behind a host function, and "done" comes behind the launch. */
TEST(a_full_queue_behind_a_host_function)
{
	struct session *s = begin();
	uint64_t k, last = 0;

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	k = kernel(s);
	fake.launch_waits = true;
	SEND(s, cuLaunchHostFunc, 0, .q.ctx = CTX, .token = 5);
	while (!s->hostfns)
		REQUIRE(next(s, WAIT_MS));
	CHECK_EQ(s->last_hostfn.token, 5);
	for (int i = 0; i < 10; i++)
		last = launch(s, k, 12, 0, i == 9 ? REPLY : 0);
	usleep(20000);
	CHECK_EQ(fake.launched, 0);
	SEND(s, vgpu_hostfn_done, 0, .token = 5);
	CHECK_EQ(status_of(s, last), CUDA_SUCCESS);
	CHECK_EQ(fake.launched, 10);
	CHECK_EQ(s->errors, 0);
	end(s);
}

TEST(a_host_function_that_nobody_runs)
{
	struct session *s = begin();

	CHECK_EQ(status_of(s, SEND(s, vgpu_hostfn_done, REPLY, .token = 77)),
		 CUDA_ERROR_INVALID_VALUE);
	end(s);
}

/* ---- down and output ---- */

TEST(bytes_come_before_the_completion)
{
	struct session *s = begin();
	struct vgpu_notice_data *n = (void *)s->got;
	size_t length = 1000003, got = 0;
	uint8_t *memory = fake_memory;
	uint64_t seq;

	for (size_t i = 0; i < length; i++)
		memory[i] = i * 31;
	CHECK_EQ(retain(s), CUDA_SUCCESS);
	seq = SEND(s, vgpu_memcpy_down, REPLY, .q.ctx = CTX, .src = (uintptr_t)memory,
		   .length = length, .transfer = 9);
	while (got < length) {
		const uint8_t *bytes;

		REQUIRE(next(s, WAIT_MS));
		REQUIRE(n->r.opcode == VGPU_NOTICE_DATA);
		CHECK_EQ(n->transfer, 9);
		CHECK_EQ(n->offset, got);
		bytes = vgpu_bytes_at(s->app, n->chunk.pos, n->chunk.length);
		REQUIRE(bytes);
		CHECK(!memcmp(bytes, memory + got, n->chunk.length));
		got += n->chunk.length;
		vgpu_bytes_release(s->app, n->chunk.pos, n->chunk.length);
	}
	CHECK_EQ(status_of(s, seq), CUDA_SUCCESS);
	CHECK_EQ(got, length);
	end(s);
}

TEST(what_a_kernel_prints_comes_before_the_completion)
{
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), lost = 0;
	struct session *s = begin();
	uint64_t k;

	CHECK_EQ(retain(s), CUDA_SUCCESS);
	k = kernel(s);
	fake.prints = "hello\n";
	CHECK_EQ(vgpu_output_start(s->w), 0);
	CHECK_EQ(status_of(s, launch(s, k, 12, 0, REPLY)), CUDA_SUCCESS);
	for (int i = 0; i < 20; i++) {
		memset(s->text, 0, sizeof(s->text));
		fake.busy = i % 2;
		launch(s, k, 12, 0, 0);
		status_of(s, ({ uint64_t seq = SEND(s, cuStreamSynchronize, REPLY, .q.ctx = CTX);
				usleep(2000); fake.busy = false; seq; }));
		lost += strcmp(s->text, "hello\n") != 0;
	}
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	CHECK_EQ(lost, 0);
	fake.prints = NULL;
	end(s);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
