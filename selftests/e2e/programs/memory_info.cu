// SPDX-License-Identifier: MIT
// Memory: what is free, attributes of pointers, sets of every width, sizes that
// are refused.
#include "check.h"
#include <cuda.h>
#include <string.h>
#include <vector>

static void free_memory(void)
{
	size_t before, during, after, total;
	void *p, *huge;

	CHECK(cudaFree(NULL));
	CHECK(cudaMemGetInfo(&before, &total));
	CHECK(cudaMalloc(&p, 96 << 20));
	CHECK(cudaMemGetInfo(&during, &total));
	EXPECT(before - during >= 96 << 20);
	CHECK(cudaFree(p));
	CHECK(cudaMemGetInfo(&after, &total));
	EXPECT(after >= during + (96 << 20));
	EXPECT_ERROR(cudaMalloc(&huge, total + 1), cudaErrorMemoryAllocation);
	EXPECT_ERROR(cudaGetLastError(), cudaErrorMemoryAllocation);
	CHECK(cudaMalloc(&p, 0));
	EXPECT(!p);
	CHECK(cudaFree(NULL));
	printf("%zu of %zu MiB are free\n", after >> 20, total >> 20);
}

static void attributes(void)
{
	cudaPointerAttributes a;
	char *device, *pinned, *pageable = (char *)malloc(100);

	CHECK(cudaMalloc(&device, 10000));
	CHECK(cudaMallocHost(&pinned, 10000));
	CHECK(cudaPointerGetAttributes(&a, device + 77));
	EXPECT(a.type == cudaMemoryTypeDevice && a.device == 0 && a.devicePointer == device + 77);
	CHECK(cudaPointerGetAttributes(&a, pinned + 99));
	EXPECT(a.type == cudaMemoryTypeHost && a.hostPointer == pinned + 99);
	CHECK(cudaPointerGetAttributes(&a, pageable));
	EXPECT(a.type == cudaMemoryTypeUnregistered);
	CHECK(cudaFree(device));
	CHECK(cudaFreeHost(pinned));
	CHECK(cudaPointerGetAttributes(&a, device));
	EXPECT(a.type == cudaMemoryTypeUnregistered);
	free(pageable);
	EXPECT_ERROR(cudaFree((void *)0x1234567), cudaErrorInvalidValue);
	(void)cudaGetLastError();
}

template <typename T> static void check_range(const T *p, size_t n, T value)
{
	std::vector<T> host(n);

	CHECK(cudaMemcpy(host.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
	for (T v : host)
		EXPECT(v == value);
}

static void sets(void)
{
	const size_t n = 100003;
	unsigned char *p;

	CHECK(cudaMalloc(&p, 4 * n));
	CHECK(cudaMemset(p, 0x5a, 4 * n));
	CHECK(cudaMemset(p + 1, 0x17, n));
	check_range<unsigned char>(p, 1, 0x5a);
	check_range<unsigned char>(p + 1, n, 0x17);
	check_range<unsigned char>(p + 1 + n, 3 * n - 1, 0x5a);
	CHECK(cuMemsetD16((CUdeviceptr)p, 0xbeef, n));
	check_range<unsigned short>((unsigned short *)p, n, 0xbeef);
	CHECK(cuMemsetD32Async((CUdeviceptr)p, 0xdeadbeef, n, NULL));
	check_range<unsigned>((unsigned *)p, n, 0xdeadbeef);
	CHECK(cudaMemset(p, 0, 0));
	EXPECT_ERROR(cudaMemset(p, 0, 1ull << 40), cudaErrorInvalidValue);
	(void)cudaGetLastError();
	CHECK(cudaFree(p));
}

int main(void)
{
	free_memory();
	attributes();
	sets();
	return pass();
}
