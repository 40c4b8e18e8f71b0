// SPDX-License-Identifier: MIT
/* Streams and events of softgpu: what waits for what, and what does not. */
#include "api_test.h"

static unsigned word_at(CUdeviceptr p)
{
	return *(volatile unsigned *)(uintptr_t)p;	/* memory is the process' own */
}

static CUdeviceptr new_word(void)
{
	CUdeviceptr p = 0;

	OK(cuMemAlloc_v2(&p, 4096));
	return p;
}

TEST(launch_is_asynchronous)
{
	struct fixture f;
	CUstream s;

	REQUIRE(fixture_open(&f));
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(launch_spin(&f, s));
	CHECK_EQ(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
	let_go(&f);
	OK(cuStreamSynchronize(s));
	OK(cuStreamQuery(s));
	fixture_close(&f);
}

TEST(blocking_streams_and_legacy_wait_for_each_other)
{
	struct fixture f;
	CUdeviceptr p, q;
	CUstream s, t;

	REQUIRE(fixture_open(&f));
	p = new_word();
	q = new_word();
	OK(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
	OK(launch_spin(&f, s));
	OK(launch_fill(&f, NULL, p, 1, 1));	/* after s */
	OK(launch_fill(&f, t, q, 1, 1));	/* after nothing */
	OK(cuStreamSynchronize(t));
	CHECK_EQ(word_at(q), 1);
	CHECK_EQ(word_at(p), 0);
	CHECK_EQ(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
	CHECK_EQ(cuStreamQuery(CU_STREAM_LEGACY), CUDA_ERROR_NOT_READY);
	let_go(&f);
	OK(cuStreamSynchronize(NULL));
	CHECK_EQ(word_at(p), 1);
	OK(launch_spin(&f, NULL));
	OK(launch_fill(&f, s, p, 2, 1));	/* after legacy */
	usleep(2000);
	CHECK_EQ(word_at(p), 1);
	let_go(&f);
	OK(cuCtxSynchronize());
	CHECK_EQ(word_at(p), 2);
	fixture_close(&f);
}

TEST(legacy_query_sees_blocking_streams)
{
	struct fixture f;
	CUstream s;

	REQUIRE(fixture_open(&f));
	OK(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	OK(launch_spin(&f, s));
	CHECK_EQ(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
	let_go(&f);
	OK(cuStreamSynchronize(NULL));
	OK(cuStreamQuery(s));
	fixture_close(&f);
}

static void *other_thread(void *arg)
{
	struct fixture *f = arg;
	CUdeviceptr p;

	OK(cuCtxSetCurrent(f->ctx));
	OK(cuMemAlloc_v2(&p, 64));
	OK(launch_fill(f, CU_STREAM_PER_THREAD, p, 9, 1));
	OK(cuStreamSynchronize_ptsz(NULL));
	CHECK_EQ(word_at(p), 9);
	return NULL;
}

TEST(per_thread_streams)
{
	unsigned long long a, b;
	struct fixture f;
	pthread_t t;

	REQUIRE(fixture_open(&f));
	OK(launch_spin(&f, CU_STREAM_PER_THREAD));
	OK(cuStreamGetId(CU_STREAM_PER_THREAD, &a));
	OK(cuStreamGetId_ptsz(NULL, &b));
	CHECK_EQ(a, b);
	OK(cuStreamGetId(NULL, &b));
	CHECK(a != b);
	pthread_create(&t, NULL, other_thread, &f);
	pthread_join(t, NULL);
	CHECK_EQ(cuStreamQuery_ptsz(NULL), CUDA_ERROR_NOT_READY);
	let_go(&f);
	OK(cuStreamSynchronize_ptsz(NULL));
	fixture_close(&f);
}

TEST(events_order_streams)
{
	struct fixture f;
	CUdeviceptr p;
	CUstream s, t;
	CUevent e;
	float ms;

	REQUIRE(fixture_open(&f));
	p = new_word();
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&e, CU_EVENT_DEFAULT));
	OK(cuEventQuery(e));			/* never recorded: nothing to wait for */
	OK(cuEventSynchronize(e));
	OK(cuStreamWaitEvent(t, e, 0));
	CHECK_EQ(cuEventElapsedTime(&ms, e, e), CUDA_ERROR_INVALID_HANDLE);
	OK(launch_spin(&f, s));
	OK(cuEventRecord(e, s));
	OK(cuStreamWaitEvent(t, e, 0));
	OK(launch_fill(&f, t, p, 5, 1));
	CHECK_EQ(cuEventQuery(e), CUDA_ERROR_NOT_READY);
	CHECK_EQ(cuEventElapsedTime(&ms, e, e), CUDA_ERROR_NOT_READY);
	usleep(2000);
	CHECK_EQ(word_at(p), 0);
	let_go(&f);
	OK(cuStreamSynchronize(t));
	CHECK_EQ(word_at(p), 5);
	OK(cuEventQuery(e));
	OK(cuEventDestroy_v2(e));
	CHECK_EQ(cuEventDestroy_v2(e), CUDA_ERROR_INVALID_HANDLE);
	fixture_close(&f);
}

TEST(events_tell_time)
{
	CUevent start, end, mute;
	struct fixture f;
	float ms = -1;

	REQUIRE(fixture_open(&f));
	OK(cuEventCreate(&start, CU_EVENT_DEFAULT));
	OK(cuEventCreate(&end, CU_EVENT_BLOCKING_SYNC));
	OK(cuEventCreate(&mute, CU_EVENT_DISABLE_TIMING));
	CHECK_EQ(cuEventCreate(&mute, 0x100), CUDA_ERROR_INVALID_VALUE);
	OK(cuEventRecord(start, NULL));
	OK(launch_spin(&f, NULL));
	OK(cuEventRecord(end, NULL));
	OK(cuEventRecord(mute, NULL));
	usleep(20000);
	let_go(&f);
	OK(cuEventSynchronize(end));
	OK(cuEventElapsedTime(&ms, start, end));
	CHECK(ms >= 15 && ms < 2000);
	OK(cuEventElapsedTime_v2(&ms, end, start));
	CHECK(ms <= -15);
	OK(cuEventSynchronize(mute));
	CHECK_EQ(cuEventElapsedTime(&ms, start, mute), CUDA_ERROR_INVALID_HANDLE);
	fixture_close(&f);
}

static void CUDA_CB count(void *user)
{
	CUdeviceptr p;

	CHECK_EQ(cuMemAlloc_v2(&p, 16), CUDA_ERROR_NOT_PERMITTED);
	__atomic_fetch_add((int *)user, 1, __ATOMIC_RELAXED);	/* from several streams */
}

static void CUDA_CB count_status(CUstream stream, CUresult status, void *user)
{
	CHECK_EQ(status, CUDA_SUCCESS);
	__atomic_fetch_add((int *)user, 10, __ATOMIC_RELAXED);
}

TEST(host_functions_run_in_order)
{
	struct fixture f;
	int calls = 0;
	CUstream s;

	REQUIRE(fixture_open(&f));
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(launch_spin(&f, s));
	OK(cuLaunchHostFunc(s, count, &calls));
	OK(cuStreamAddCallback(s, count_status, &calls, 0));
	CHECK_EQ(calls, 0);
	let_go(&f);
	OK(cuStreamSynchronize(s));
	CHECK_EQ(calls, 11);
	CHECK_EQ(cuLaunchHostFunc(s, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuStreamAddCallback(s, count_status, NULL, 1), CUDA_ERROR_INVALID_VALUE);
	fixture_close(&f);
}

TEST(destroyed_stream_finishes_its_work)
{
	struct fixture f;
	CUdeviceptr p;
	CUstream s;

	REQUIRE(fixture_open(&f));
	p = new_word();
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(launch_spin(&f, s));
	OK(launch_fill(&f, s, p, 3, 1));
	OK(cuStreamDestroy_v2(s));
	CHECK_EQ(cuStreamQuery(s), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(cuStreamDestroy_v2(s), CUDA_ERROR_INVALID_HANDLE);
	let_go(&f);
	OK(cuCtxSynchronize());
	CHECK_EQ(word_at(p), 3);
	fixture_close(&f);
}

TEST(stream_questions)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_ACTIVE;
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
	int priority, least, greatest;
	struct fixture f;
	unsigned flags;
	CUcontext ctx;
	CUdevice dev = -1;
	cuuint64_t id;
	CUstream s;

	REQUIRE(fixture_open(&f));
	OK(cuCtxGetStreamPriorityRange(&least, &greatest));
	CHECK(least > greatest);
	OK(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, -1000));
	OK(cuStreamGetPriority(s, &priority));
	CHECK_EQ(priority, greatest);
	OK(cuStreamGetFlags(s, &flags));
	CHECK_EQ(flags, CU_STREAM_NON_BLOCKING);
	OK(cuStreamGetCtx(s, &ctx));
	CHECK(ctx == f.ctx);
	OK(cuStreamGetDevice(s, &dev));
	CHECK_EQ(dev, 0);
	OK(cuStreamIsCapturing(s, &status));
	CHECK_EQ(status, CU_STREAM_CAPTURE_STATUS_NONE);
	OK(cuStreamGetCaptureInfo_v2(NULL, &status, &id, NULL, NULL, NULL));
	OK(cuThreadExchangeStreamCaptureMode(&mode));
	CHECK_EQ(mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
	CHECK_EQ(cuStreamCreate(&s, 2), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuStreamCreate(NULL, 0), CUDA_ERROR_INVALID_VALUE);
	fixture_close(&f);
}

/* Threads that use all kinds of streams at once, and each other's. */
struct storm {
	struct fixture	f;
	CUstream	shared;
	CUdeviceptr	sum;
	_Atomic int	errors;
};

static void *storm_thread(void *arg)
{
	struct storm *w = arg;
	CUstream own, streams[4];
	CUdeviceptr p;
	CUevent e;
	int bad = 0;

	bad += cuCtxSetCurrent(w->f.ctx) != 0;
	bad += cuStreamCreate(&own, CU_STREAM_DEFAULT) != 0;
	bad += cuEventCreate(&e, 0) != 0;
	bad += cuMemAlloc_v2(&p, 4096) != 0;
	streams[0] = own;
	streams[1] = w->shared;
	streams[2] = NULL;
	streams[3] = CU_STREAM_PER_THREAD;
	for (int i = 0; i < 60 && !bad; i++) {
		CUstream s = streams[i % 4];
		unsigned got = 0;

		bad += launch_fill(&w->f, s, p, i, 8) != 0;
		bad += cuEventRecord(e, s) != 0;
		bad += cuStreamWaitEvent(own, e, 0) != 0;
		bad += cuMemcpyDtoHAsync_v2(&got, p, 4, own) != 0;
		bad += cuStreamSynchronize(own) != 0;
		bad += got != (unsigned)i;
	}
	bad += cuMemFree_v2(p) != 0;
	bad += cuEventDestroy_v2(e) != 0;
	bad += cuStreamDestroy_v2(own) != 0;
	atomic_fetch_add(&w->errors, bad);
	return NULL;
}

TEST(many_threads)
{
	struct storm w = { .errors = 0 };
	pthread_t threads[4];

	REQUIRE(fixture_open(&w.f));
	OK(cuStreamCreate(&w.shared, CU_STREAM_DEFAULT));
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, storm_thread, &w);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(w.errors, 0);
	fixture_close(&w.f);
}

TEST(context_ends_with_work_under_way)
{
	struct fixture f;
	CUdeviceptr p;
	CUstream s;
	CUevent e;
	int calls = 0;

	REQUIRE(fixture_open(&f));
	p = new_word();
	OK(cuEventCreate(&e, 0));
	for (int i = 0; i < 8; i++) {
		OK(cuStreamCreate(&s, i & 1));
		OK(launch_fill(&f, s, p, i, 1024));
		OK(cuLaunchHostFunc(s, count, &calls));
		OK(cuEventRecord(e, s));
		OK(cuStreamWaitEvent(NULL, e, 0));
	}
	fixture_close(&f);
	CHECK_EQ(calls, 8);
	CHECK_EQ(cuStreamQuery(s), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(cuEventQuery(e), CUDA_ERROR_INVALID_HANDLE);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
