// SPDX-License-Identifier: MIT
// Kernels compiled by NVRTC while the program runs, loaded and launched by the
// driver API beside the runtime, in the same context.
#include "check.h"
#include <cuda.h>
#include <nvrtc.h>
#include <string.h>
#include <string>
#include <vector>

static const char source[] = R"(
template <typename T> __global__ void scale(T *data, int n, T by)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		data[i] *= by;
}
)";

static std::string compile(std::string *lowered)
{
	int major, minor;
	size_t size;
	nvrtcProgram program;

	CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
	CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0));
	std::string arch = "--gpu-architecture=compute_" + std::to_string(10 * major + minor);
	const char *options[] = { arch.c_str(), "--std=c++14" };

	EXPECT(!nvrtcCreateProgram(&program, source, "scale.cu", 0, NULL, NULL));
	EXPECT(!nvrtcAddNameExpression(program, "scale<double>"));
	if (nvrtcCompileProgram(program, 2, options)) {
		EXPECT(!nvrtcGetProgramLogSize(program, &size));
		std::vector<char> log(size);
		EXPECT(!nvrtcGetProgramLog(program, log.data()));
		printf("NVRTC says: %s\n", log.data());
		exit(1);
	}
	const char *name;
	EXPECT(!nvrtcGetLoweredName(program, "scale<double>", &name));
	*lowered = name;
	EXPECT(!nvrtcGetPTXSize(program, &size));
	std::string ptx(size, 0);
	EXPECT(!nvrtcGetPTX(program, &ptx[0]));
	EXPECT(!nvrtcDestroyProgram(&program));
	printf("%zu bytes of PTX for %s, %s\n", size, arch.c_str(), lowered->c_str());
	return ptx;
}

// A text that is no PTX must be refused with a log.
static void check_refusal(void)
{
	char log[512] = "";
	CUjit_option names[] = { CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES };
	void *values[] = { log, (void *)sizeof(log) };
	CUmodule module;

	EXPECT_ERROR(cuModuleLoadDataEx(&module, ".version 7.0\n.target sm_75\n.address_size 64\n"
					".visible .entry f( { ret; }\n", 2, names, values),
		     CUDA_ERROR_INVALID_PTX);
	EXPECT(strlen(log) > 0);
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 10000);
	std::vector<double> host(n);
	std::string name, ptx = compile(&name);
	double *d, by = 2.5;
	CUmodule module;
	CUfunction f;

	CHECK(cudaMalloc(&d, n * sizeof(*d)));
	for (int i = 0; i < n; i++)
		host[i] = i;
	CHECK(cudaMemcpy(d, host.data(), n * sizeof(*d), cudaMemcpyHostToDevice));
	CHECK(cuModuleLoadDataEx(&module, ptx.c_str(), 0, NULL, NULL));
	CHECK(cuModuleGetFunction(&f, module, name.c_str()));
	EXPECT_ERROR(cuModuleGetFunction(&f, module, "no_such_kernel"), CUDA_ERROR_NOT_FOUND);
	void *arguments[] = { &d, &n, &by };
	CHECK(cuLaunchKernel(f, (n + 127) / 128, 1, 1, 128, 1, 1, 0, NULL, arguments, NULL));
	CHECK(cudaMemcpy(host.data(), d, n * sizeof(*d), cudaMemcpyDeviceToHost));
	for (int i = 0; i < n; i++)
		EXPECT(host[i] == i * 2.5);
	CHECK(cuModuleUnload(module));
	CHECK(cudaFree(d));
	check_refusal();
	return pass();
}
