// SPDX-License-Identifier: MIT
/* Memory, copies, fills and pointers of softgpu. */
#include "api_test.h"

#define N	4096

static unsigned char *bytes_at(CUdeviceptr p)
{
	return (unsigned char *)(uintptr_t)p;
}

TEST(allocations)
{
	size_t before, after, total, size, pitch;
	struct fixture f;
	CUdeviceptr p, base;

	REQUIRE(fixture_open(&f));
	OK(cuMemGetInfo_v2(&before, &total));
	CHECK(before <= total);
	OK(cuMemAlloc_v2(&p, N));
	CHECK_EQ(p % 256, 0);
	OK(cuMemGetInfo_v2(&after, &total));
	CHECK(after < before);
	OK(cuMemGetAddressRange_v2(&base, &size, p + 100));
	CHECK_EQ(base, p);
	CHECK_EQ(size, N);
	CHECK_EQ(cuMemFree_v2(p + 4), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFree_v2(p));
	CHECK_EQ(cuMemFree_v2(p), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFree_v2(0));
	CHECK_EQ(cuMemGetAddressRange_v2(&base, &size, p), CUDA_ERROR_NOT_FOUND);
	CHECK_EQ(cuMemAlloc_v2(&p, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemAlloc_v2(NULL, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemAlloc_v2(&p, total + 1), CUDA_ERROR_OUT_OF_MEMORY);
	CHECK_EQ(cuMemAlloc_v2(&p, SIZE_MAX), CUDA_ERROR_OUT_OF_MEMORY);
	OK(cuMemAllocPitch_v2(&p, &pitch, 100, 10, 4));
	CHECK(pitch >= 100 && pitch % 32 == 0);
	CHECK_EQ(cuMemAllocPitch_v2(&p, &pitch, 100, 10, 3), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemAllocPitch_v2(&p, &pitch, 1 << 30, SIZE_MAX / 2, 4),
		 CUDA_ERROR_INVALID_VALUE);
	fixture_close(&f);
}

TEST(memory_ends_with_its_context)
{
	size_t before, after, total;
	CUcontext outer, inner;
	CUdeviceptr p;
	void *host;

	REQUIRE(cuInit(0) == CUDA_SUCCESS);
	OK(cuCtxCreate_v2(&outer, 0, 0));
	OK(cuMemGetInfo_v2(&before, &total));
	OK(cuCtxCreate_v2(&inner, 0, 0));
	for (int i = 0; i < 20; i++)
		OK(cuMemAlloc_v2(&p, 1 << 20));
	OK(cuMemHostAlloc(&host, N, 0));
	OK(cuCtxDestroy_v2(inner));
	OK(cuMemGetInfo_v2(&after, &total));
	CHECK_EQ(before, after);
	CHECK_EQ(cuMemFree_v2(p), CUDA_ERROR_INVALID_VALUE);
	OK(cuCtxDestroy_v2(outer));
}

TEST(copies_check_their_range)
{
	unsigned char host[N] = { 1 };
	struct fixture f;
	CUdeviceptr p;

	REQUIRE(fixture_open(&f));
	OK(cuMemAlloc_v2(&p, N));
	OK(cuMemcpyHtoD_v2(p, host, N));
	OK(cuMemcpyHtoD_v2(p + N - 1, host, 1));
	CHECK_EQ(cuMemcpyHtoD_v2(p + N - 1, host, 2), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyHtoD_v2(p, host, SIZE_MAX), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyDtoH_v2(host, p + 1, N), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyDtoH_v2(NULL, p, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyHtoD_v2((uintptr_t)host, host, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyDtoD_v2(p, p + N - 1, 2), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyDtoHAsync_v2(host, 12345, 1, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpy(12, 34, 0), CUDA_SUCCESS);
	CHECK_EQ(cuMemsetD8_v2(p, 0, N + 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemsetD32_v2(p, 0, SIZE_MAX / 4 + 2), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemsetD32_v2(p + 2, 0, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemsetD16_v2(p + 1, 0, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemsetD2D32_v2(p, 6, 0, 1, 2), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemsetD2D8_v2(p, 1024, 0, 1024, 5), CUDA_ERROR_INVALID_VALUE);
	fixture_close(&f);
}

TEST(copies_move_bytes)
{
	unsigned char a[N], b[N] = { 0 };
	struct fixture f;
	CUdeviceptr p, q;
	CUstream s;

	REQUIRE(fixture_open(&f));
	for (int i = 0; i < N; i++)
		a[i] = i * 7;
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc_v2(&p, N));
	OK(cuMemAlloc_v2(&q, N));
	OK(cuMemcpyHtoD_v2(p, a, N));
	OK(cuMemcpyDtoDAsync_v2(q, p, N, s));
	OK(cuMemcpyDtoHAsync_v2(b, q, N, s));	/* pageable: done when it returns */
	CHECK(!memcmp(a, b, N));
	OK(cuMemsetD8_v2(p, 0xab, N));
	OK(cuMemcpy((uintptr_t)b, p, N));
	CHECK_EQ(b[N - 1], 0xab);
	OK(cuMemcpyPeer(q, f.ctx, p, f.ctx, N));
	OK(cuCtxSynchronize());
	CHECK_EQ(bytes_at(q)[5], 0xab);
	CHECK_EQ(cuMemcpyPeer(q, NULL, p, f.ctx, N), CUDA_ERROR_INVALID_CONTEXT);
	fixture_close(&f);
}

TEST(pageable_source_is_read_at_once)
{
	unsigned value = 1, got = 0, *pinned;
	struct fixture f;
	CUdeviceptr p;
	CUstream s;

	REQUIRE(fixture_open(&f));
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc_v2(&p, 64));
	OK(cuMemHostAlloc((void **)&pinned, 64, 0));
	*pinned = 1;
	OK(launch_spin(&f, s));
	OK(cuMemcpyHtoDAsync_v2(p, &value, 4, s));
	OK(cuMemcpyHtoDAsync_v2(p + 4, pinned, 4, s));
	value = 2;
	*pinned = 2;		/* used when the stream gets there */
	let_go(&f);
	OK(cuStreamSynchronize(s));
	OK(cuMemcpyDtoH_v2(&got, p, 4));
	CHECK_EQ(got, 1);
	OK(cuMemcpyDtoH_v2(&got, p + 4, 4));
	CHECK_EQ(got, 2);
	fixture_close(&f);
}

TEST(free_waits_for_work)
{
	struct fixture f;
	CUdeviceptr p;
	CUstream s;

	REQUIRE(fixture_open(&f));
	OK(cuMemAlloc_v2(&p, 1 << 20));
	for (int i = 0; i < 16; i++) {
		OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		OK(launch_fill(&f, s, p + (i << 16), i, 1 << 14));
		OK(cuStreamDestroy_v2(s));
	}
	OK(cuMemFree_v2(p));
	OK(cuCtxSynchronize());
	fixture_close(&f);
}

TEST(two_dimensional_copies)
{
	unsigned char a[8 * 16], b[8 * 16] = { 0 };
	CUDA_MEMCPY2D c = {
		.srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = a, .srcPitch = 16,
		.dstMemoryType = CU_MEMORYTYPE_DEVICE, .WidthInBytes = 10, .Height = 8,
	};
	struct fixture f;
	CUdeviceptr p;
	size_t pitch;

	REQUIRE(fixture_open(&f));
	for (unsigned i = 0; i < sizeof(a); i++)
		a[i] = i;
	OK(cuMemAllocPitch_v2(&p, &pitch, 10, 8, 4));
	c.dstDevice = p;
	c.dstPitch = pitch;
	OK(cuMemcpy2D_v2(&c));
	CHECK(!memcmp(bytes_at(p + 3 * pitch), a + 48, 10));
	c = (CUDA_MEMCPY2D){
		.srcMemoryType = CU_MEMORYTYPE_UNIFIED, .srcDevice = p, .srcPitch = pitch,
		.srcXInBytes = 2, .srcY = 1,
		.dstMemoryType = CU_MEMORYTYPE_HOST, .dstHost = b, .dstPitch = 16,
		.WidthInBytes = 4, .Height = 7,
	};
	OK(cuMemcpy2DUnaligned_v2(&c));
	CHECK(!memcmp(b, a + 16 + 2, 4));
	CHECK(!memcmp(b + 6 * 16, a + 7 * 16 + 2, 4));
	c.Height = 1 << 20;
	CHECK_EQ(cuMemcpy2D_v2(&c), CUDA_ERROR_INVALID_VALUE);
	c.Height = 1;
	c.srcPitch = 3;
	CHECK_EQ(cuMemcpy2D_v2(&c), CUDA_ERROR_INVALID_VALUE);
	c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
	CHECK_EQ(cuMemcpy2D_v2(&c), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(cuMemcpy2D_v2(NULL), CUDA_ERROR_INVALID_VALUE);
	fixture_close(&f);
}

TEST(three_dimensional_copies)
{
	unsigned char a[4 * 4 * 4], b[2 * 2 * 2];
	CUDA_MEMCPY3D c = {
		.srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = a, .srcPitch = 4, .srcHeight = 4,
		.srcXInBytes = 1, .srcY = 2, .srcZ = 1,
		.dstMemoryType = CU_MEMORYTYPE_HOST, .dstHost = b, .dstPitch = 2, .dstHeight = 2,
		.WidthInBytes = 2, .Height = 2, .Depth = 2,
	};
	struct fixture f;

	REQUIRE(fixture_open(&f));
	for (unsigned i = 0; i < sizeof(a); i++)
		a[i] = i;
	OK(cuMemcpy3D_v2(&c));
	CHECK_EQ(b[0], 16 + 8 + 1);
	CHECK_EQ(b[7], 32 + 12 + 2);
	fixture_close(&f);
}

TEST(fills)
{
	struct fixture f;
	CUdeviceptr p;
	CUstream s;

	REQUIRE(fixture_open(&f));
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc_v2(&p, N));
	OK(cuMemsetD32Async(p, 0x01020304, N / 4, s));
	OK(cuMemsetD16Async(p + 8, 0xaabb, 1, s));
	OK(cuMemsetD2D8Async(p + 16, 32, 0xff, 2, 3, s));
	OK(cuStreamSynchronize(s));
	CHECK_EQ(*(unsigned *)(void *)bytes_at(p + N - 4), 0x01020304);
	CHECK_EQ(*(unsigned *)(void *)bytes_at(p + 8), 0x0102aabb);
	CHECK_EQ(bytes_at(p)[16 + 64 + 1], 0xff);
	CHECK_EQ(bytes_at(p)[16 + 64 + 2], 0x02);
	fixture_close(&f);
}

TEST(page_locked_memory)
{
	static unsigned char registered[3 * 4096];
	struct fixture f;
	unsigned flags;
	CUdeviceptr p;
	void *host;

	REQUIRE(fixture_open(&f));
	OK(cuMemHostAlloc(&host, 100, CU_MEMHOSTALLOC_PORTABLE));
	OK(cuMemHostGetDevicePointer_v2(&p, host, 0));
	CHECK_EQ(p, (uintptr_t)host);
	OK(cuMemHostGetFlags(&flags, host));
	CHECK(flags & CU_MEMHOSTALLOC_PORTABLE);
	OK(launch_fill(&f, NULL, p, 0x55, 25));
	OK(cuCtxSynchronize());
	CHECK_EQ(((unsigned char *)host)[0], 0x55);
	CHECK_EQ(cuMemHostUnregister(host), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
	OK(cuMemFreeHost(host));
	CHECK_EQ(cuMemFreeHost(host), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemHostGetDevicePointer_v2(&p, host, 0), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemHostRegister_v2(registered, sizeof(registered), 0));
	CHECK_EQ(cuMemHostRegister_v2(registered + 4096, 4096, 0),
		 CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	CHECK_EQ(cuMemHostRegister_v2(registered, 0, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemHostRegister_v2((void *)4096, 4096, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemHostUnregister(registered + 4096), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
	OK(cuMemHostUnregister(registered));
	CHECK_EQ(cuMemHostAlloc(&host, 10, 8), CUDA_ERROR_INVALID_VALUE);
	fixture_close(&f);
}

TEST(pointer_attributes)
{
	CUpointer_attribute attrs[] = {
		CU_POINTER_ATTRIBUTE_CONTEXT, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
		CU_POINTER_ATTRIBUTE_DEVICE_POINTER, CU_POINTER_ATTRIBUTE_HOST_POINTER,
		CU_POINTER_ATTRIBUTE_IS_MANAGED, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
	};
	CUdeviceptr p, device, counter;
	unsigned type, managed;
	struct fixture f;
	CUcontext ctx;
	void *host;
	size_t size;
	int ordinal;
	void *data[] = { &ctx, &type, &device, &host, &managed, &ordinal };

	REQUIRE(fixture_open(&f));
	OK(cuMemAlloc_v2(&p, N));
	OK(cuPointerGetAttributes(6, attrs, data, p + 8));
	CHECK(ctx == f.ctx && type == CU_MEMORYTYPE_DEVICE && device == p + 8 && !host);
	CHECK(!managed && ordinal == 0);
	OK(cuPointerGetAttributes(6, attrs, data, (uintptr_t)&p));
	CHECK(!ctx && type == 0 && !device && !host && ordinal == -2);
	OK(cuPointerGetAttributes(6, attrs, data, (uintptr_t)f.flag));
	CHECK(type == CU_MEMORYTYPE_HOST && host == f.flag);
	CHECK_EQ(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (uintptr_t)&p),
		 CUDA_ERROR_INVALID_VALUE);
	OK(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p + N - 1));
	CHECK_EQ(size, N);
	CHECK_EQ(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, 64),
		 CUDA_ERROR_INVALID_VALUE);
	OK(cuModuleGetGlobal_v2(&counter, NULL, f.module, "counter"));
	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, counter));
	CHECK_EQ(type, CU_MEMORYTYPE_DEVICE);
	CHECK_EQ(cuMemFree_v2(counter), CUDA_ERROR_INVALID_VALUE);
	fixture_close(&f);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
