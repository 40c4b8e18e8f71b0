// SPDX-License-Identifier: MIT
// The driver API without the runtime: contexts, modules of every kind, launches
// with both kinds of parameters. Links no kernel of its own.
#include "check.h"
#include <cuda.h>
#include <stddef.h>
#include <string.h>
#include <string>
#include <vector>

struct mixed {
	char a;
	short b;
	double c[3];
};

// As the compiler lays out the kernel's parameters.
struct packed {
	CUdeviceptr out;
	char a;
	mixed m;
	long long b;
	float c;
};

static const mixed m = { 1, -200, { 0.5, 1.5, 1000 } };

static void check_result(CUdeviceptr out, int n, int what)
{
	std::vector<int> host(n);

	CHECK(cuMemcpyDtoH(host.data(), out, n * sizeof(int)));
	for (int i = 0; i < n; i++)
		EXPECT(host[i] == i + what);
}

static void launch(CUmodule module)
{
	const int n = 640, expected = 2 + 1 - 200 + 1002 + 40000 + 7 + 10;
	char a = 2;
	mixed by_pointer = m;
	long long b = 40000;
	float c = 7.9f;
	CUdeviceptr out, calls;
	CUfunction f;
	size_t size;
	int value;

	CHECK(cuModuleGetFunction(&f, module, "combine"));
	CHECK(cuMemAlloc(&out, n * sizeof(int)));
	void *pointers[] = { &out, &a, &by_pointer, &b, &c };
	CHECK(cuLaunchKernel(f, n / 64, 1, 1, 64, 1, 1, 0, NULL, pointers, NULL));
	check_result(out, n, expected);

	packed p = { out, 3, m, b, c };
	size = offsetof(packed, c) + sizeof(float);
	void *extra[] = { CU_LAUNCH_PARAM_BUFFER_POINTER, &p, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
			  CU_LAUNCH_PARAM_END };
	CHECK(cuMemsetD32(out, 0, n));
	CHECK(cuLaunchKernel(f, n / 64, 1, 1, 64, 1, 1, 0, NULL, NULL, extra));
	check_result(out, n, expected + 1);
	EXPECT_ERROR(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, pointers, extra),
		     CUDA_ERROR_INVALID_VALUE);

	CHECK(cuModuleGetGlobal(&calls, &size, module, "calls"));
	EXPECT(size == sizeof(int));
	CHECK(cuMemcpyDtoH(&value, calls, sizeof(value)));
	EXPECT(value == 5);

	CHECK(cuModuleGetFunction(&f, module, "with_shared"));
	void *one[] = { &out };
	CHECK(cuLaunchKernel(f, 1, 1, 1, 96, 1, 1, 96 * sizeof(int), NULL, one, NULL));
	std::vector<int> host(96);
	CHECK(cuMemcpyDtoH(host.data(), out, 96 * sizeof(int)));
	for (int i = 0; i < 96; i++)
		EXPECT(host[i] == 95 - i);
	CHECK(cuMemFree(out));
}

static std::string read_file(const std::string &path)
{
	FILE *f = fopen(path.c_str(), "rb");
	std::string all;
	int byte;

	if (!f)
		printf("no %s\n", path.c_str());
	EXPECT(f);
	while ((byte = getc(f)) != EOF)
		all += (char)byte;
	fclose(f);
	return all;
}

static void modules(const std::string &folder)
{
	std::string ptx = folder + "/driver_api_kernels.ptx",
		    fatbin = folder + "/driver_api_kernels.fatbin";
	CUmodule module;

	CHECK(cuModuleLoad(&module, ptx.c_str()));
	launch(module);
	CHECK(cuModuleUnload(module));
	CHECK(cuModuleLoadData(&module, read_file(ptx).c_str()));
	launch(module);
	CHECK(cuModuleUnload(module));
	CHECK(cuModuleLoadFatBinary(&module, read_file(fatbin).data()));
	launch(module);
	CHECK(cuModuleUnload(module));
	EXPECT_ERROR(cuModuleLoad(&module, "/no/such/file"), CUDA_ERROR_FILE_NOT_FOUND);
	CUresult refused = cuModuleLoadData(&module, "nothing that could be loaded");
	EXPECT(refused == CUDA_ERROR_INVALID_IMAGE || refused == CUDA_ERROR_INVALID_PTX);
	printf("modules from PTX file, PTX text and fat binary: right\n");
}

static void contexts(CUdevice dev)
{
	CUcontext a, b, now;
	CUdeviceptr p;
	unsigned version;

	CHECK(cuCtxCreate(&a, NULL, 0, dev));
	CHECK(cuCtxCreate(&b, NULL, CU_CTX_SCHED_BLOCKING_SYNC, dev));
	CHECK(cuCtxGetCurrent(&now));
	EXPECT(now == b);
	CHECK(cuCtxGetApiVersion(b, &version));
	CHECK(cuCtxPopCurrent(&now));
	EXPECT(now == b);
	CHECK(cuMemAlloc(&p, 1 << 16));
	CHECK(cuMemsetD8(p, 1, 1 << 16));
	CHECK(cuCtxSynchronize());
	CHECK(cuCtxPushCurrent(b));
	CHECK(cuCtxDestroy(b));
	CHECK(cuCtxDestroy(a));
	CHECK(cuCtxGetCurrent(&now));
	EXPECT(!now);
	EXPECT_ERROR(cuMemAlloc(&p, 16), CUDA_ERROR_INVALID_CONTEXT);
	printf("stack of contexts: right\n");
}

int main(int argc, char **argv)
{
	std::string self = argv[0], folder = argc > 1 ? argv[1] : self.substr(0, self.rfind('/'));
	int count, version, threads;
	CUdevice dev, wrong;
	CUcontext context;
	char name[100];
	size_t total;

	EXPECT_ERROR(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
	EXPECT_ERROR(cuInit(1), CUDA_ERROR_INVALID_VALUE);
	CHECK(cuInit(0));
	CHECK(cuDriverGetVersion(&version));
	CHECK(cuDeviceGetCount(&count));
	EXPECT(count > 0);
	EXPECT_ERROR(cuDeviceGet(&wrong, count), CUDA_ERROR_INVALID_DEVICE);
	CHECK(cuDeviceGet(&dev, 0));
	CHECK(cuDeviceGetName(name, sizeof(name), dev));
	CHECK(cuDeviceTotalMem(&total, dev));
	CHECK(cuDeviceGetAttribute(&threads, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, dev));
	printf("driver %d, %s, %zu MiB, %d threads a block\n", version, name, total >> 20, threads);

	CHECK(cuDevicePrimaryCtxRetain(&context, dev));
	CHECK(cuCtxSetCurrent(context));
	modules(folder);
	CHECK(cuCtxSetCurrent(NULL));
	CHECK(cuDevicePrimaryCtxRelease(dev));
	contexts(dev);
	return pass();
}
