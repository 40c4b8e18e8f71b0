// SPDX-License-Identifier: MIT
/* Devices, contexts, handles that are not, faults that stick. */
#include "api_test.h"

TEST(before_init)
{
	CUdeviceptr p;
	int n;

	OK(cuDriverGetVersion(&n));
	CHECK(n >= 13000);
	CHECK_EQ(cuDeviceGetCount(&n), CUDA_ERROR_NOT_INITIALIZED);
	CHECK_EQ(cuMemAlloc_v2(&p, 1), CUDA_ERROR_NOT_INITIALIZED);
	CHECK_EQ(cuInit(1), CUDA_ERROR_INVALID_VALUE);
	OK(cuInit(0));
	OK(cuInit(0));
	CHECK_EQ(cuMemAlloc_v2(&p, 1), CUDA_ERROR_INVALID_CONTEXT);
}

TEST(devices)
{
	char name[64], bus[32];
	int n, value, major;
	CUuuid a, b;
	CUdevice dev;
	size_t bytes;

	REQUIRE(cuInit(0) == CUDA_SUCCESS);
	OK(cuDeviceGetCount(&n));
	REQUIRE(n >= 1);
	OK(cuDeviceGet(&dev, 0));
	CHECK_EQ(cuDeviceGet(&dev, n), CUDA_ERROR_INVALID_DEVICE);
	CHECK_EQ(cuDeviceGet(&dev, -1), CUDA_ERROR_INVALID_DEVICE);
	OK(cuDeviceGetName(name, sizeof(name), 0));
	OK(cuDeviceGetName(name, 5, 0));
	CHECK_EQ(strlen(name), 4);
	OK(cuDeviceTotalMem_v2(&bytes, 0));
	CHECK(bytes >= 1 << 20);
	OK(cuDeviceGetUuid(&a, 0));
	OK(cuDeviceGetUuid_v2(&b, 0));
	CHECK(!memcmp(&a, &b, sizeof(a)));
	OK(cuDeviceGetPCIBusId(bus, sizeof(bus), 0));
	OK(cuDeviceGetByPCIBusId(&dev, bus));
	CHECK_EQ(dev, 0);
	CHECK_EQ(cuDeviceGetByPCIBusId(&dev, "0000:ff:1f.0"), CUDA_ERROR_INVALID_DEVICE);
	CHECK_EQ(cuDeviceGetByPCIBusId(&dev, "nonsense"), CUDA_ERROR_INVALID_VALUE);
	OK(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
	CHECK_EQ(major, 7);
	for (int i = 1; i <= 147; i++)
		OK(cuDeviceGetAttribute(&value, i, 0));
	CHECK_EQ(cuDeviceGetAttribute(&value, 0, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuDeviceGetAttribute(&value, 10000, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuDeviceGetAttribute(&value, 1, n), CUDA_ERROR_INVALID_DEVICE);
}

TEST(primary_context)
{
	CUcontext a, b, current;
	unsigned version, flags;
	CUdeviceptr p;
	CUstream s;
	int active;

	REQUIRE(cuInit(0) == CUDA_SUCCESS);
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(active, 0);
	CHECK_EQ(cuDevicePrimaryCtxRelease_v2(0), CUDA_ERROR_INVALID_CONTEXT);
	OK(cuDevicePrimaryCtxRetain(&a, 0));
	OK(cuDevicePrimaryCtxRetain(&b, 0));
	CHECK(a == b);
	CHECK_EQ(cuCtxDestroy_v2(a), CUDA_ERROR_INVALID_CONTEXT);
	OK(cuCtxSetCurrent(a));
	OK(cuMemAlloc_v2(&p, 64));
	OK(cuStreamCreate(&s, 0));
	OK(cuDevicePrimaryCtxRelease(0));
	OK(cuMemsetD8_v2(p, 0, 64));
	OK(cuDevicePrimaryCtxRelease(0));
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK_EQ(active, 0);
	CHECK_EQ(cuMemAlloc_v2(&p, 64), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	CHECK_EQ(cuCtxGetApiVersion(a, &version), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	OK(cuCtxGetCurrent(&current));
	CHECK(current == a);
	OK(cuDevicePrimaryCtxRetain(&b, 0));	/* the same handle, another life */
	CHECK(a == b);
	CHECK_EQ(cuStreamQuery(s), CUDA_ERROR_INVALID_HANDLE);
	OK(cuMemAlloc_v2(&p, 64));
	OK(cuDevicePrimaryCtxReset_v2(0));
	CHECK_EQ(cuMemFree_v2(p), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	OK(cuCtxSetCurrent(NULL));
}

TEST(stack_of_contexts)
{
	CUcontext a, b, c;

	REQUIRE(cuInit(0) == CUDA_SUCCESS);
	CHECK_EQ(cuCtxPopCurrent_v2(&c), CUDA_ERROR_INVALID_CONTEXT);
	OK(cuCtxCreate_v2(&a, 0, 0));
	OK(cuCtxCreate_v2(&b, CU_CTX_SCHED_BLOCKING_SYNC, 0));
	CHECK(a != b);
	OK(cuCtxPopCurrent_v2(&c));
	CHECK(c == b);
	OK(cuCtxGetCurrent(&c));
	CHECK(c == a);
	OK(cuCtxPushCurrent_v2(b));
	OK(cuCtxDestroy_v2(b));		/* and popped */
	OK(cuCtxGetCurrent(&c));
	CHECK(c == a);
	CHECK_EQ(cuCtxPushCurrent_v2(b), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(cuCtxSetCurrent(b), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(cuCtxDestroy_v2(b), CUDA_ERROR_INVALID_CONTEXT);
	OK(cuCtxDestroy_v2(a));
	OK(cuCtxGetCurrent(&c));
	CHECK(!c);
	CHECK_EQ(cuCtxCreate_v2(&a, 0x100, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuCtxCreate_v2(&a, 3, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuCtxCreate_v2(&a, 0, 1000), CUDA_ERROR_INVALID_DEVICE);
}

TEST(made_up_handles)
{
	static const uintptr_t values[] = {
		3, 7, 8, 16, 4096, 0xdeadbeef, 0x7ffffe000008, 0x7fffffffffff, UINTPTR_MAX,
	};
	unsigned version;
	struct fixture f;
	int n;

	REQUIRE(fixture_open(&f));
	for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
		void *h = (void *)values[i];

		CHECK_EQ(cuStreamQuery(h), CUDA_ERROR_INVALID_HANDLE);
		CHECK_EQ(cuStreamDestroy_v2(h), CUDA_ERROR_INVALID_HANDLE);
		CHECK_EQ(cuEventQuery(h), CUDA_ERROR_INVALID_HANDLE);
		CHECK_EQ(cuEventRecord(h, NULL), CUDA_ERROR_INVALID_HANDLE);
		CHECK_EQ(cuModuleUnload(h), CUDA_ERROR_INVALID_HANDLE);
		CHECK_EQ(cuLibraryUnload(h), CUDA_ERROR_INVALID_HANDLE);
		CHECK_EQ(cuFuncGetAttribute(&n, 0, h), CUDA_ERROR_INVALID_HANDLE);
		CHECK_EQ(cuCtxGetApiVersion(h, &version), CUDA_ERROR_INVALID_CONTEXT);
		CHECK_EQ(cuCtxSetCurrent(h), CUDA_ERROR_INVALID_CONTEXT);
		CHECK_EQ(cuStreamQuery((CUstream)f.module), CUDA_ERROR_INVALID_HANDLE);
	}
	fixture_close(&f);
}

TEST(faults_stick_to_their_context)
{
	struct fixture f;
	CUcontext other;
	unsigned version;
	CUdeviceptr p, q;
	CUstream s;
	int calls = 0;

	REQUIRE(fixture_open(&f));
	OK(cuStreamCreate(&s, 0));
	OK(cuMemAlloc_v2(&p, 64));
	OK(cuLaunchKernel(f.stray, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(cuMemAlloc_v2(&q, 64), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(cuStreamQuery(s), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(launch_fill(&f, s, p, 1, 1), CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(cuMemcpyDtoH_v2(&calls, p, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
	OK(cuCtxGetApiVersion(f.ctx, &version));
	OK(cuCtxCreate_v2(&other, 0, 0));	/* another is not hurt */
	OK(cuMemAlloc_v2(&q, 64));
	OK(cuMemsetD8_v2(q, 1, 64));
	OK(cuCtxDestroy_v2(other));
	fixture_close(&f);
}

TEST(reset_cures_a_primary_context)
{
	CUfunction stray;
	CUcontext ctx;
	CUmodule m;
	CUdeviceptr p;

	REQUIRE(cuInit(0) == CUDA_SUCCESS);
	OK(cuDevicePrimaryCtxRetain(&ctx, 0));
	OK(cuCtxSetCurrent(ctx));
	OK(cuModuleLoadData(&m, kernels));
	OK(cuModuleGetFunction(&stray, m, "stray"));
	OK(cuLaunchKernel(stray, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	OK(cuDevicePrimaryCtxReset(0));
	OK(cuDevicePrimaryCtxRetain(&ctx, 0));
	OK(cuMemAlloc_v2(&p, 64));
	OK(cuCtxSynchronize());
	OK(cuDevicePrimaryCtxRelease(0));
	OK(cuCtxSetCurrent(NULL));
}

TEST(limits_and_configs)
{
	CUfunc_cache cache;
	struct fixture f;
	unsigned flags;
	size_t value;

	REQUIRE(fixture_open(&f));
	OK(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
	OK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
	OK(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
	CHECK_EQ(value, 4096);
	CHECK_EQ(cuCtxGetLimit(&value, 77), CUDA_ERROR_UNSUPPORTED_LIMIT);
	CHECK_EQ(cuCtxSetLimit(CU_LIMIT_PERSISTING_L2_CACHE_SIZE, 1),
		 CUDA_ERROR_UNSUPPORTED_LIMIT);
	OK(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_SHARED));
	OK(cuCtxGetCacheConfig(&cache));
	CHECK_EQ(cache, CU_FUNC_CACHE_PREFER_SHARED);
	CHECK_EQ(cuCtxSetCacheConfig(9), CUDA_ERROR_INVALID_VALUE);
	OK(cuCtxSetFlags(CU_CTX_SCHED_SPIN));
	OK(cuCtxGetFlags(&flags));
	CHECK_EQ(flags, CU_CTX_SCHED_SPIN);
	fixture_close(&f);
}

static void *destroy(void *arg)
{
	OK(cuCtxDestroy_v2(arg));
	return NULL;
}

TEST(destroyed_by_another_thread)
{
	struct fixture f;
	CUdeviceptr p;
	pthread_t t;

	REQUIRE(fixture_open(&f));
	pthread_create(&t, NULL, destroy, f.ctx);
	pthread_join(t, NULL);
	CHECK_EQ(cuMemAlloc_v2(&p, 1), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	OK(cuCtxPopCurrent_v2(NULL));
	CHECK_EQ(cuMemAlloc_v2(&p, 1), CUDA_ERROR_INVALID_CONTEXT);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
