// SPDX-License-Identifier: MIT
// Names and texts of errors, from the runtime and from the driver, and the
// errors that common mistakes give.
#include "check.h"
#include <cuda.h>
#include <string.h>

static void names(void)
{
	const char *name, *text;

	CHECK(cuGetErrorName(CUDA_ERROR_OUT_OF_MEMORY, &name));
	EXPECT(!strcmp(name, "CUDA_ERROR_OUT_OF_MEMORY"));
	CHECK(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
	EXPECT(!strcmp(text, "out of memory"));
	CHECK(cuGetErrorName(CUDA_SUCCESS, &name));
	EXPECT(!strcmp(name, "CUDA_SUCCESS"));
	EXPECT_ERROR(cuGetErrorName((CUresult)12345, &name), CUDA_ERROR_INVALID_VALUE);
	EXPECT(!strcmp(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress"));
	EXPECT(!strcmp(cudaGetErrorString(cudaErrorAssert), "device-side assert triggered"));
}

static void mistakes(void)
{
	cudaStream_t s;
	cudaEvent_t e;
	void *p, *q;
	int value;

	CHECK(cudaMalloc(&p, 1000));
	EXPECT_ERROR(cudaMemcpy(p, NULL, 10, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
	EXPECT_ERROR(cudaMemcpy(p, p, 10, (cudaMemcpyKind)77), cudaErrorInvalidMemcpyDirection);
	EXPECT_ERROR(cudaPeekAtLastError(), cudaErrorInvalidMemcpyDirection);
	EXPECT_ERROR(cudaGetLastError(), cudaErrorInvalidMemcpyDirection);
	EXPECT_ERROR(cudaSetDevice(-1), cudaErrorInvalidDevice);
	EXPECT_ERROR(cudaStreamCreateWithFlags(&s, 0x1000), cudaErrorInvalidValue);
	EXPECT_ERROR(cudaEventCreateWithFlags(&e, 0x1000), cudaErrorInvalidValue);
	EXPECT_ERROR(cudaDeviceGetAttribute(&value, (cudaDeviceAttr)100000, 0),
		     cudaErrorInvalidValue);
	EXPECT_ERROR(cudaMalloc(&q, ~(size_t)0), cudaErrorMemoryAllocation);
	EXPECT_ERROR(cudaFreeHost(&value), cudaErrorInvalidValue);
	(void)cudaGetLastError();
	CHECK(cudaFree(p));
	CHECK(cudaGetLastError());
}

int main(void)
{
	names();
	mistakes();
	printf("names, texts and errors are as they should be\n");
	return pass();
}
