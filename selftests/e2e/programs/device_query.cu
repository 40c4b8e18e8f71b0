// SPDX-License-Identifier: MIT
// What the devices say of themselves, and that the answers fit together.
#include "check.h"
#include <string.h>

static void query(int device)
{
	cudaDeviceProp p;
	int threads, major, minor, by_bus = -1;
	char bus[32];
	size_t free_bytes, total;

	CHECK(cudaGetDeviceProperties(&p, device));
	printf("device %d: %s, compute capability %d.%d, %d multiprocessors, %zu MiB\n", device,
	       p.name, p.major, p.minor, p.multiProcessorCount, p.totalGlobalMem >> 20);
	EXPECT(strlen(p.name) > 0);
	EXPECT(p.warpSize == 32);
	EXPECT(p.multiProcessorCount > 0);
	EXPECT(p.maxThreadsPerBlock >= 512);
	EXPECT(p.sharedMemPerBlock >= 48 << 10);
	EXPECT(p.sharedMemPerBlockOptin >= p.sharedMemPerBlock);
	EXPECT(p.totalConstMem == 64 << 10);

	CHECK(cudaDeviceGetAttribute(&threads, cudaDevAttrMaxThreadsPerBlock, device));
	CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
	CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
	EXPECT(threads == p.maxThreadsPerBlock && major == p.major && minor == p.minor);

	CHECK(cudaDeviceGetPCIBusId(bus, sizeof(bus), device));
	CHECK(cudaDeviceGetByPCIBusId(&by_bus, bus));
	printf("  PCI %s, %d threads a block, %zu bytes of shared memory (%zu on demand)\n", bus,
	       threads, p.sharedMemPerBlock, p.sharedMemPerBlockOptin);
	EXPECT(by_bus == device);

	CHECK(cudaSetDevice(device));
	CHECK(cudaMemGetInfo(&free_bytes, &total));
	printf("  %zu of %zu MiB are free\n", free_bytes >> 20, total >> 20);
	EXPECT(free_bytes > 0 && free_bytes <= total && total == p.totalGlobalMem);
}

int main(void)
{
	int n = 0, driver = 0, runtime = 0, current = -1;
	int dummy;

	CHECK(cudaDriverGetVersion(&driver));
	CHECK(cudaRuntimeGetVersion(&runtime));
	printf("driver %d, runtime %d\n", driver, runtime);
	EXPECT(driver >= runtime);
	CHECK(cudaGetDeviceCount(&n));
	EXPECT(n > 0);
	for (int i = 0; i < n; i++)
		query(i);
	CHECK(cudaGetDevice(&current));
	EXPECT(current == n - 1);
	EXPECT_ERROR(cudaSetDevice(n), cudaErrorInvalidDevice);
	EXPECT_ERROR(cudaDeviceGetAttribute(&dummy, cudaDevAttrWarpSize, n),
		     cudaErrorInvalidDevice);
	return pass();
}
