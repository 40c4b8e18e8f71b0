// SPDX-License-Identifier: MIT
/* Modules, libraries, functions, launches and what they refuse. */
#include "api_test.h"

static const char file_name[] = "/tmp/softgpu-api-test.ptx";

TEST(module)
{
	CUfunction functions[8] = { NULL }, again;
	struct fixture f;
	CUdeviceptr p;
	unsigned count;
	const char *name;
	CUmodule owner;
	size_t size;

	REQUIRE(fixture_open(&f));
	OK(cuModuleGetFunctionCount(&count, f.module));
	CHECK_EQ(count, 4);
	OK(cuModuleEnumerateFunctions(functions, 8, f.module));
	CHECK(functions[3] && !functions[4]);
	OK(cuModuleGetFunction(&again, f.module, "fill"));
	CHECK(again == f.fill);
	CHECK_EQ(cuModuleGetFunction(&again, f.module, "nothing"), CUDA_ERROR_NOT_FOUND);
	OK(cuFuncGetName(&name, f.fill));
	CHECK(!strcmp(name, "fill"));
	OK(cuFuncGetModule(&owner, f.fill));
	CHECK(owner == f.module);
	OK(cuModuleGetGlobal_v2(&p, &size, f.module, "counter"));
	CHECK_EQ(size, 4);
	OK(cuMemsetD32_v2(p, 3, 1));
	CHECK_EQ(cuMemsetD32_v2(p, 3, 1000), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuModuleGetGlobal_v2(&p, &size, f.module, "nothing"), CUDA_ERROR_NOT_FOUND);
	OK(cuModuleUnload(f.module));
	CHECK_EQ(cuModuleUnload(f.module), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(launch_fill(&f, NULL, p, 1, 1), CUDA_ERROR_INVALID_HANDLE);
	fixture_close(&f);
}

TEST(module_unload_during_kernel)
{
	struct fixture f;

	REQUIRE(fixture_open(&f));
	OK(launch_spin(&f, NULL));
	OK(cuModuleUnload(f.module));
	let_go(&f);
	OK(cuCtxSynchronize());
	fixture_close(&f);
}

TEST(bad_images)
{
	static const unsigned char elf[64] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
	char log[256] = "x";
	CUjit_option options[] = { CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
				   CU_JIT_WALL_TIME };
	void *values[] = { log, (void *)sizeof(log), NULL };
	struct fixture f;
	CUmodule m;

	REQUIRE(fixture_open(&f));
	CHECK(cuModuleLoadData(&m, "this is not PTX") != CUDA_SUCCESS);
	CHECK(cuModuleLoadData(&m, elf) != CUDA_SUCCESS);
	CHECK_EQ(cuModuleLoadData(&m, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuModuleLoadDataEx(&m, "//\n.versio 6.4\n.target sm_75\n", 3, options, values),
		 CUDA_ERROR_INVALID_PTX);
	CHECK(strlen(log) > 1);
	CHECK_EQ((size_t)values[1], strlen(log));
	CHECK_EQ(cuModuleLoadDataEx(&m, kernels, 1, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuModuleLoad(&m, "/nowhere/at/all"), CUDA_ERROR_FILE_NOT_FOUND);
	CHECK(cuModuleLoad(&m, "/proc/self/exe") != CUDA_SUCCESS);
	fixture_close(&f);
}

TEST(module_from_file)
{
	FILE *file = fopen(file_name, "w");
	struct fixture f;
	CUfunction fill;
	CUmodule m;

	REQUIRE(file && fixture_open(&f));
	fputs(kernels, file);
	fclose(file);
	OK(cuModuleLoad(&m, file_name));
	OK(cuModuleGetFunction(&fill, m, "fill"));
	unlink(file_name);
	fixture_close(&f);
}

TEST(function_attributes)
{
	size_t offset, size, dynamic;
	int value, grid, block;
	struct fixture f;

	REQUIRE(fixture_open(&f));
	OK(cuFuncGetParamInfo(f.fill, 1, &offset, &size));
	CHECK_EQ(offset, 8);
	CHECK_EQ(size, 4);
	CHECK_EQ(cuFuncGetParamInfo(f.fill, 3, &offset, &size), CUDA_ERROR_INVALID_VALUE);
	OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f.fill));
	CHECK_EQ(value, 1024);
	OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_PTX_VERSION, f.fill));
	CHECK_EQ(value, 75);
	CHECK_EQ(cuFuncGetAttribute(&value, 99, f.fill), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuFuncSetAttribute(f.fill, CU_FUNC_ATTRIBUTE_NUM_REGS, 1),
		 CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuFuncSetAttribute(f.fill, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
				    65537), CUDA_ERROR_INVALID_VALUE);
	OK(cuFuncSetCacheConfig(f.fill, CU_FUNC_CACHE_PREFER_L1));
	OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, f.fill, 256, 0));
	CHECK_EQ(value, 4);
	OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, f.fill, NULL, 0, 0));
	CHECK(block >= 32 && grid > 0);
	OK(cuOccupancyAvailableDynamicSMemPerBlock(&dynamic, f.fill, 2, 256));
	CHECK_EQ(dynamic, 32768);
	fixture_close(&f);
}

static CUresult go(CUfunction f, unsigned gx, unsigned gy, unsigned bx, unsigned bz,
		   unsigned shared)
{
	CUdeviceptr p = 0;
	unsigned zero = 0;
	void *params[] = { &p, &zero, &zero };

	return cuLaunchKernel(f, gx, gy, 1, bx, 1, bz, shared, NULL, params, NULL);
}

TEST(refused_launches_are_not_sticky)
{
	void *params[] = { &(CUdeviceptr){ 0 }, &(unsigned){ 0 }, NULL };
	CUfunction limited;
	struct fixture f;

	REQUIRE(fixture_open(&f));
	OK(cuModuleGetFunction(&limited, f.module, "limited"));
	CHECK_EQ(go(f.fill, 0, 1, 1, 1, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(go(f.fill, 1, 65536, 1, 1, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(go(f.fill, 1, 1, 0, 1, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(go(f.fill, 1, 1, 1025, 1, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(go(f.fill, 1, 1, 1, 65, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(go(f.fill, 1, 1, 64, 32, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(go(f.fill, 1, 1, 1, 1, 49153), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(go(NULL, 1, 1, 1, 1, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(go((CUfunction)f.module, 1, 1, 1, 1, 0), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(cuLaunchCooperativeKernel(f.fill, 100000, 1, 1, 256, 1, 1, 0, NULL, params),
		 CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	CHECK_EQ(cuLaunchKernel(f.fill, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL),
		 CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuLaunchKernel(f.fill, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL),
		 CUDA_ERROR_INVALID_VALUE);
	OK(go(limited, 1, 1, 64, 1, 0));
	CHECK_EQ(go(limited, 1, 1, 65, 1, 0), CUDA_ERROR_INVALID_VALUE);
	OK(go(f.fill, 1, 1, 32, 1, 49152));
	OK(cuFuncSetAttribute(f.fill, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 65536));
	OK(go(f.fill, 1, 1, 32, 1, 65536));
	OK(cuCtxSynchronize());
	fixture_close(&f);
}

TEST(parameters_as_a_buffer)
{
	struct {
		CUdeviceptr p;
		unsigned value, n;
	} args = { .value = 77, .n = 1 };
	size_t size = sizeof(args);
	void *extra[] = { CU_LAUNCH_PARAM_BUFFER_POINTER, &args, CU_LAUNCH_PARAM_BUFFER_SIZE,
			  &size, CU_LAUNCH_PARAM_END };
	CUlaunchAttribute attrs[] = {
		{ .id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value.cooperative = 1 },
		{ .id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, .value.clusterDim = { 1, 1, 1 } },
	};
	CUlaunchConfig config = { 1, 1, 1, 1, 1, 1, 0, NULL, attrs, 2 };
	struct fixture f;
	unsigned got;

	REQUIRE(fixture_open(&f));
	OK(cuMemAlloc_v2(&args.p, 64));
	OK(cuLaunchKernelEx(&config, f.fill, NULL, extra));
	OK(cuMemcpyDtoH_v2(&got, args.p, 4));
	CHECK_EQ(got, 77);
	size = 8;
	CHECK_EQ(cuLaunchKernelEx(&config, f.fill, NULL, extra), CUDA_ERROR_INVALID_VALUE);
	size = 16;
	attrs[1].value.clusterDim.x = 2;
	CHECK_EQ(cuLaunchKernelEx(&config, f.fill, NULL, extra), CUDA_ERROR_INVALID_CLUSTER_SIZE);
	config.attrs = NULL;
	CHECK_EQ(cuLaunchKernelEx(&config, f.fill, NULL, extra), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuLaunchKernelEx(NULL, f.fill, NULL, extra), CUDA_ERROR_INVALID_VALUE);
	fixture_close(&f);
}

TEST(library_belongs_to_no_context)
{
	CUdeviceptr p, q, counter[2];
	CUkernel fill, kernels_of[8];
	struct fixture f;
	CUcontext other;
	unsigned n = 0, got;
	CUfunction func;
	CUlibrary lib;
	CUmodule m;
	int value;

	REQUIRE(fixture_open(&f));
	OK(cuLibraryLoadData(&lib, kernels, NULL, NULL, 0, NULL, NULL, 0));
	OK(cuLibraryGetKernelCount(&n, lib));
	CHECK_EQ(n, 4);
	OK(cuLibraryEnumerateKernels(kernels_of, 8, lib));
	OK(cuLibraryGetKernel(&fill, lib, "fill"));
	CHECK_EQ(cuLibraryGetKernel(&fill, lib, "nothing"), CUDA_ERROR_NOT_FOUND);
	OK(cuMemAlloc_v2(&p, 64));
	f.fill = (CUfunction)fill;
	OK(launch_fill(&f, NULL, p, 4, 1));
	OK(cuLibraryGetGlobal(&counter[0], NULL, lib, "counter"));
	OK(cuLibraryGetModule(&m, lib));
	CHECK_EQ(cuModuleUnload(m), CUDA_ERROR_NOT_PERMITTED);
	OK(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 60000, fill, 0));
	OK(go(f.fill, 1, 1, 1, 1, 60000));
	OK(cuCtxCreate_v2(&other, 0, 0));
	OK(cuMemAlloc_v2(&q, 64));
	OK(launch_fill(&f, NULL, q, 5, 1));
	OK(cuLibraryGetGlobal(&counter[1], NULL, lib, "counter"));
	CHECK(counter[0] != counter[1]);
	OK(cuKernelGetFunction(&func, fill));
	OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, func));
	CHECK_EQ(value, 60000);
	OK(cuMemcpyDtoH_v2(&got, q, 4));
	CHECK_EQ(got, 5);
	OK(cuCtxDestroy_v2(other));
	CHECK_EQ(cuFuncGetAttribute(&value, 0, func), CUDA_ERROR_INVALID_HANDLE);
	OK(cuMemcpyDtoH_v2(&got, p, 4));
	CHECK_EQ(got, 4);
	OK(cuLibraryUnload(lib));
	CHECK_EQ(cuLibraryUnload(lib), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(launch_fill(&f, NULL, p, 4, 1), CUDA_ERROR_INVALID_HANDLE);
	fixture_close(&f);
}

TEST(link_of_one)
{
	struct fixture f;
	CUlinkState link;
	CUmodule m;
	void *image;
	size_t size;

	REQUIRE(fixture_open(&f));
	OK(cuLinkCreate_v2(0, NULL, NULL, &link));
	CHECK_EQ(cuLinkComplete(link, &image, &size), CUDA_ERROR_NO_BINARY_FOR_GPU);
	CHECK(cuLinkAddData_v2(link, CU_JIT_INPUT_PTX, (void *)"?", 2, "x", 0, NULL, NULL));
	OK(cuLinkAddData_v2(link, CU_JIT_INPUT_PTX, (void *)kernels, sizeof(kernels), "x", 0, NULL,
			    NULL));
	OK(cuLinkComplete(link, &image, &size));
	OK(cuModuleLoadData(&m, image));
	OK(cuLinkDestroy(link));
	CHECK_EQ(cuLinkDestroy(link), CUDA_ERROR_INVALID_HANDLE);
	fixture_close(&f);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
