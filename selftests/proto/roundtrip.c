/* SPDX-License-Identifier: MIT */
/*
 * Calls from generated stub to generated decoder and back: what a stub sends is
 * what the hook or driver sees, what that answers is what the stub returns, and
 * nothing but a whole, valid record gets through. Each record is an allocation
 * of its exact length, so that a sanitizer sees a byte too many.
 */
#include <stdlib.h>
#include "fake.h"
#include "gen/client.h"
#include "libcuda/submit.h"
#include "proto/marshal.h"
#include "server/worker.h"
#include "test.h"

#define CTX	   (vgpu_handle_make(VGPU_KIND_CONTEXT, 1, 0))
#define STREAM	   (vgpu_handle_make(VGPU_KIND_STREAM, 1, 7))
#define EVENT(n)   (vgpu_handle_make(VGPU_KIND_EVENT, 1, n))
#define SESSION	   ((struct vgpu_session *)0)
#define NOT_SERVED CUDA_ERROR_NOT_FOUND /* no decoder accepted the record */

static struct vgpu_worker worker = { .driver = &fake_driver };
static struct vgpu_reply reply;
static struct vgpu_request *record; /* the last that a stub built */
static size_t record_len;
static unsigned record_flags;
static size_t reply_cut; /* bytes that are missing at the end of replies */
static bool channel_lost;

static CUresult serve(const struct vgpu_request *q, size_t length)
{
	const struct vgpu_serve_entry *entry = &vgpu_serve_table[q->r.opcode];

	fake_name = NULL;
	reply.length = 0;
	return entry->serve ? entry->serve(&worker, q, length, &reply) : NOT_SERVED;
}

/* ---- what userspace/libcuda has in full ---- */

void *vgpu_submit_begin(struct vgpu_session *s, size_t length)
{
	if (channel_lost)
		return NULL;
	free(record);
	record_len = length;
	record = malloc(length);
	memset(record, 0xa5, length);
	return record;
}

static CUresult submit(uint64_t ctx, uint16_t opcode, unsigned flags)
{
	record->r = (struct vgpu_record){ .length = record_len, .opcode = opcode, .flags = flags };
	record->ctx = ctx;
	record_flags = flags;
	return serve(record, record_len);
}

CUresult vgpu_submit_end(struct vgpu_session *s, uint64_t ctx, uint16_t opcode, unsigned flags)
{
	submit(ctx, opcode, flags);
	return CUDA_SUCCESS;
}

CUresult vgpu_submit_wait(struct vgpu_session *s, uint64_t ctx, uint16_t opcode, unsigned flags,
			  void *to, size_t room, size_t *length)
{
	CUresult r = submit(ctx, opcode, flags);
	size_t n = reply.length ? reply.length : sizeof(struct vgpu_completion);

	n = n > reply_cut ? n - reply_cut : 0;
	*length = n < room ? n : room;
	memcpy(to, reply.length ? reply.bytes : (uint8_t[sizeof(struct vgpu_completion)]){ 0 },
	       *length);
	return r;
}

CUresult vgpu_submit_broken(struct vgpu_session *s)
{
	return vgpu_submit_lost(s);
}

CUresult vgpu_submit_lost(struct vgpu_session *s)
{
	return CUDA_ERROR_DEVICE_UNAVAILABLE;
}

/* ---- helpers ---- */

static uint64_t expected; /* what the hook must have seen */

static void expect(void)
{
	uint64_t seen = fake_seen;

	fake_begin(fake_name);
	expected = fake_seen;
	fake_seen = seen;
}

static void expect_bytes(const void *bytes, size_t length)
{
	uint64_t seen = fake_seen;

	fake_seen = expected;
	fake_see(bytes, length);
	expected = fake_seen;
	fake_seen = seen;
}

static void expect_number(uint64_t n)
{
	expect_bytes(&n, sizeof(n));
}

static bool called(const char *name)
{
	return fake_name && !strcmp(fake_name, name);
}

static CUresult serve_copy(size_t length)
{
	struct vgpu_request *q = malloc(length);
	CUresult r;

	memcpy(q, record, length);
	r = serve(q, length);
	free(q);
	return r;
}

/* The last record, cut at each word and with a word more: none may get through. */
static void refuse_lengths(void)
{
	struct vgpu_request *longer = calloc(1, record_len + 8);

	for (size_t n = sizeof(struct vgpu_request); n < record_len; n += 8) {
		CHECK(serve_copy(n) != CUDA_SUCCESS);
		CHECK(!fake_name);
	}
	memcpy(longer, record, record_len);
	CHECK(serve(longer, record_len + 8) != CUDA_SUCCESS);
	CHECK(!fake_name);
	free(longer);
}

/* ---- tests ---- */

TEST(scalars_and_a_handle)
{
	CHECK_EQ(vgpu_call_cuMemsetD2D16Async(SESSION, CTX, 0, 0x7f0000001000, 512, 0xbeef, 3, 4,
					      STREAM),
		 CUDA_SUCCESS);
	REQUIRE(called("cuMemsetD2D16Async"));
	expect();
	expect_number(0x7f0000001000);
	expect_number(512);
	expect_number(0xbeef);
	expect_number(3);
	expect_number(4);
	expect_number(STREAM);
	CHECK(fake_seen == expected);
	CHECK_EQ(record_flags, 0);
	CHECK_EQ(record->ctx, CTX);
	refuse_lengths();
}

TEST(null_stream_is_the_legacy_stream)
{
	CHECK_EQ(vgpu_call_cuEventRecord(SESSION, CTX, 0, EVENT(1), 0), CUDA_SUCCESS);
	REQUIRE(called("cuEventRecord"));
	expect();
	expect_number(EVENT(1));
	expect_number((uintptr_t)CU_STREAM_LEGACY);
	CHECK(fake_seen == expected);
}

TEST(out_scalars)
{
	size_t free_bytes = 0, total = 0;

	CHECK_EQ(vgpu_call_cuMemGetInfo_v2(SESSION, CTX, 0, &free_bytes, &total), CUDA_SUCCESS);
	CHECK(called("cuMemGetInfo_v2"));
	CHECK_EQ(free_bytes, 0x0807060504030201);
	CHECK_EQ(total, 0x0807060504030201);
	CHECK_EQ(vgpu_call_cuMemGetInfo_v2(SESSION, CTX, 0, NULL, NULL), CUDA_SUCCESS);
	CHECK_EQ(record_flags, VGPU_CALL_REPLY);
	refuse_lengths();
}

TEST(failure_leaves_outs_alone)
{
	float ms = 42;

	fake_status = CUDA_ERROR_NOT_READY;
	CHECK_EQ(vgpu_call_cuEventElapsedTime(SESSION, CTX, 0, &ms, EVENT(1), EVENT(2)),
		 CUDA_ERROR_NOT_READY);
	fake_status = CUDA_SUCCESS;
	CHECK(called("cuEventElapsedTime"));
	CHECK(ms == 42);
}

TEST(string_and_made_handle)
{
	uint64_t module = vgpu_handle_make(VGPU_KIND_MODULE, 1, 1);
	uint64_t function = vgpu_handle_make(VGPU_KIND_FUNCTION, 1, 2);

	CHECK_EQ(vgpu_call_cuModuleGetFunction(SESSION, CTX, 0, function, module, "saxpy"),
		 CUDA_SUCCESS);
	REQUIRE(called("cuModuleGetFunction"));
	expect();
	expect_number(function);
	expect_number(module);
	expect_bytes("saxpy", 6);
	CHECK(fake_seen == expected);
	refuse_lengths();
}

TEST(bad_strings)
{
	uint64_t module = vgpu_handle_make(VGPU_KIND_MODULE, 1, 1);
	static char long_name[VGPU_MAX_cuModuleGetGlobal_v2_name + 1];
	struct vgpu_cuModuleGetGlobal_v2_in *in;
	char *name;

	memset(long_name, 'n', sizeof(long_name) - 1);
	CHECK_EQ(vgpu_call_cuModuleGetGlobal_v2(SESSION, CTX, 0, NULL, NULL, module, long_name),
		 CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(vgpu_call_cuModuleGetGlobal_v2(SESSION, CTX, 0, NULL, NULL, module, ""),
		 CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(vgpu_call_cuModuleGetGlobal_v2(SESSION, CTX, 0, NULL, NULL, module, NULL),
		 CUDA_ERROR_INVALID_VALUE);
	long_name[sizeof(long_name) - 2] = 0;
	CHECK_EQ(vgpu_call_cuModuleGetGlobal_v2(SESSION, CTX, 0, NULL, NULL, module, long_name),
		 CUDA_SUCCESS);

	CHECK_EQ(vgpu_call_cuModuleGetGlobal_v2(SESSION, CTX, 0, NULL, NULL, module, "table"),
		 CUDA_SUCCESS);
	in = (void *)record;
	name = (char *)(in + 1);
	name[5] = 'x'; /* no end */
	CHECK_EQ(serve_copy(record_len), CUDA_ERROR_INVALID_VALUE);
	name[5] = name[2] = 0; /* two ends */
	CHECK_EQ(serve_copy(record_len), CUDA_ERROR_INVALID_VALUE);
	name[2] = 'b';
	name[7] = 1; /* fill that is not zero */
	CHECK_EQ(serve_copy(record_len), CUDA_ERROR_INVALID_VALUE);
	name[7] = 0;
	for (uint32_t length = 0; length < 100; length++) {
		in->name_len = length;
		CHECK_EQ(!serve_copy(record_len), length == 6);
	}
	in->name_len = UINT32_MAX;
	CHECK_EQ(serve_copy(record_len), CUDA_ERROR_INVALID_VALUE);
}

TEST(bytes_both_ways)
{
	uint64_t library = vgpu_handle_make(VGPU_KIND_LIBRARY, 1, 3);
	uint8_t hash[32] = { 1, 2, 3 }, options[11] = { 4, 5, 6 };
	uint8_t info[8], error[100];
	size_t info_len = sizeof(info), error_len = sizeof(error);

	CHECK_EQ(vgpu_call_cuLibraryLoadData(SESSION, 0, 0, library, hash, 32, 1000, options, 11,
					     info, &info_len, error, &error_len),
		 CUDA_SUCCESS);
	REQUIRE(called("cuLibraryLoadData"));
	expect();
	expect_number(library);
	expect_bytes(hash, 32);
	expect_number(1000);
	expect_bytes(options, 11);
	CHECK(fake_seen == expected);
	CHECK_EQ(info_len, 8);
	CHECK_EQ(info[7], 8);
	CHECK_EQ(error_len, FAKE_BYTES);
	CHECK_EQ(error[FAKE_BYTES - 1], FAKE_BYTES);
	refuse_lengths();
}

/* What the JIT said comes back although the call failed. */
TEST(bytes_of_a_failure)
{
	uint8_t hash[32] = { 0 };
	char log[64];
	size_t log_len = sizeof(log);

	fake_status = CUDA_ERROR_INVALID_PTX;
	CHECK_EQ(vgpu_call_cuModuleLoadDataEx(SESSION, CTX, 0, 1, hash, 32, 1, NULL, 0, NULL, NULL,
					      log, &log_len),
		 CUDA_ERROR_INVALID_PTX);
	fake_status = CUDA_SUCCESS;
	CHECK_EQ(log_len, FAKE_BYTES);
	CHECK_EQ(log[0], 1);
}

TEST(bytes_and_scalars_back)
{
	struct vgpu_function_info info = { 0 };
	uint8_t params[VGPU_MAX_vgpu_function_info_params];
	size_t params_len = sizeof(params);

	CHECK_EQ(vgpu_call_vgpu_function_info(SESSION, 0, 0, 5, 1, &info, params, &params_len, NULL,
					      NULL),
		 CUDA_SUCCESS);
	CHECK_EQ(params_len, FAKE_BYTES);
	CHECK_EQ(info.attributes[0], 0x04030201);
}

/* A worker that answers with less than it says. */
TEST(replies_cut_short)
{
	struct vgpu_function_info info = { 0 };
	uint8_t params[64];
	size_t length;

	for (reply_cut = 8; reply_cut < sizeof(info) + 100; reply_cut += 8) {
		length = sizeof(params);
		CHECK_EQ(vgpu_call_vgpu_function_info(SESSION, 0, 0, 5, 1, &info, params, &length,
						      NULL, NULL),
			 CUDA_ERROR_DEVICE_UNAVAILABLE);
		CHECK_EQ(info.nparams, 0);
	}
	reply_cut = 8;
	CHECK_EQ(vgpu_call_cuMemGetInfo_v2(SESSION, CTX, 0, NULL, NULL),
		 CUDA_ERROR_DEVICE_UNAVAILABLE);
	reply_cut = 0;
}

TEST(chunk)
{
	CHECK_EQ(vgpu_call_vgpu_memcpy_up(SESSION, CTX, 0, 4096, 0, 128, VGPU_CHUNK_MAX),
		 CUDA_SUCCESS);
	REQUIRE(called("vgpu_memcpy_up"));
	expect();
	expect_number(4096);
	expect_number(0);
	expect_bytes(&(struct vgpu_chunk){ .pos = 128, .length = VGPU_CHUNK_MAX },
		     sizeof(struct vgpu_chunk));
	CHECK(fake_seen == expected);
	refuse_lengths();
	((struct vgpu_vgpu_memcpy_up_in *)record)->data.reserved = 1;
	CHECK_EQ(serve_copy(record_len), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(vgpu_call_vgpu_memcpy_up(SESSION, CTX, 0, 4096, 0, 128, 0),
		 CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(vgpu_call_vgpu_memcpy_up(SESSION, CTX, 0, 4096, 0, 128, VGPU_CHUNK_MAX + 1),
		 CUDA_ERROR_INVALID_VALUE);
}

TEST(handle_is_put)
{
	uint64_t event = vgpu_handle_make(VGPU_KIND_EVENT, 9, 4);

	fake_puts = 0;
	CHECK_EQ(vgpu_call_cuEventCreate(SESSION, CTX, 0, event, 0), CUDA_SUCCESS);
	CHECK_EQ(fake_puts, 1);
	fake_status = CUDA_ERROR_OUT_OF_MEMORY;
	CHECK_EQ(vgpu_call_cuEventCreate(SESSION, CTX, VGPU_CALL_REPLY, event, 0),
		 CUDA_ERROR_OUT_OF_MEMORY);
	fake_status = CUDA_SUCCESS;
	CHECK_EQ(fake_puts, 1);
	CHECK_EQ(fake_ends, 0);

	/* A number that is refused leaves nothing behind in the driver. */
	CHECK_EQ(vgpu_call_cuEventCreate(SESSION, CTX, VGPU_CALL_REPLY, STREAM, 0),
		 CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(fake_puts, 1);
	CHECK_EQ(fake_ends, 1);
}

TEST(limits_on_both_sides)
{
	CHECK_EQ(vgpu_call_cuEventCreate(SESSION, CTX, 0, EVENT(1), 8), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(vgpu_call_cuMemAlloc_v2(SESSION, CTX, 0, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(vgpu_call_cuCtxSetCacheConfig(SESSION, CTX, 0, 4), CUDA_ERROR_INVALID_VALUE);

	vgpu_call_cuEventCreate(SESSION, CTX, 0, EVENT(1), 7);
	((struct vgpu_cuEventCreate_in *)record)->Flags = 8;
	CHECK_EQ(serve_copy(record_len), CUDA_ERROR_INVALID_VALUE);
	vgpu_call_cuMemAlloc_v2(SESSION, CTX, 0, NULL, 1);
	((struct vgpu_cuMemAlloc_v2_in *)record)->bytesize = 0;
	CHECK_EQ(serve_copy(record_len), CUDA_ERROR_INVALID_VALUE);
	vgpu_call_cuCtxSetCacheConfig(SESSION, CTX, 0, 3);
	((struct vgpu_cuCtxSetCacheConfig_in *)record)->config = 4;
	CHECK_EQ(serve_copy(record_len), CUDA_ERROR_INVALID_VALUE);
	((struct vgpu_cuCtxSetCacheConfig_in *)record)->config = 3;
	((struct vgpu_cuCtxSetCacheConfig_in *)record)->pad0 = 1;
	CHECK_EQ(serve_copy(record_len), CUDA_ERROR_INVALID_VALUE);
}

TEST(handles_and_devices_are_checked)
{
	int yes;

	CHECK_EQ(vgpu_call_cuEventQuery(SESSION, CTX, 0, STREAM), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(vgpu_call_cuEventQuery(SESSION, CTX, 0, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(vgpu_call_cuDeviceCanAccessPeer(SESSION, 0, 0, &yes, 0, FAKE_DEVICES),
		 CUDA_ERROR_INVALID_DEVICE);
	CHECK_EQ(vgpu_call_cuDeviceCanAccessPeer(SESSION, 0, 0, &yes, 0, -1),
		 CUDA_ERROR_INVALID_VALUE);
	CHECK(!fake_name || !called("cuEventQuery"));
}

TEST(lost_channel)
{
	channel_lost = true;
	CHECK_EQ(vgpu_call_cuProfilerStart(SESSION, CTX, 0), CUDA_ERROR_DEVICE_UNAVAILABLE);
	CHECK_EQ(vgpu_call_cuStreamQuery(SESSION, CTX, 0, 0), CUDA_ERROR_DEVICE_UNAVAILABLE);
	channel_lost = false;
}

TEST(opcodes)
{
	for (unsigned n = 0; n < VGPU_OPCODES; n++) {
		bool known = vgpu_call_opcodes[n / 8] >> n % 8 & 1;
		const struct vgpu_serve_entry *entry = &vgpu_serve_table[n];

		CHECK_EQ(known, entry->serve != NULL);
		CHECK(!strcmp(vgpu_opcode_name(n), known ? entry->name : "?"));
	}
	CHECK(!strcmp(vgpu_opcode_name(0x10000), "?"));
}

/* A record of each call, as vapigen makes them for the fuzzer. */
#define CORPUS "selftests/fuzz/corpus/serve"

static bool read_record(const char *name)
{
	char path[512];
	static uint8_t bytes[4096];
	FILE *f;

	snprintf(path, sizeof(path), CORPUS "/%s", name);
	f = fopen(path, "rb");
	if (!f)
		return false;
	record_len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	free(record);
	record = malloc(record_len);
	memcpy(record, bytes, record_len);
	return record_len >= sizeof(*record) && record->r.opcode < VGPU_OPCODES;
}

TEST(every_call)
{
	unsigned calls = 0;

	for (unsigned n = 0; n < VGPU_OPCODES; n++) {
		if (!vgpu_serve_table[n].serve)
			continue;
		REQUIRE(read_record(vgpu_opcode_name(n)));
		CHECK_EQ(record->r.opcode, n);
		CHECK_EQ(serve_copy(record_len), CUDA_SUCCESS);
		CHECK(called(vgpu_opcode_name(n)));
		refuse_lengths();
		calls++;
	}
	CHECK(calls > 70);
}

int main(int argc, char **argv)
{
	int failed = test_main(argc, argv);

	free(record);
	return failed;
}
