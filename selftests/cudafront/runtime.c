// SPDX-License-Identifier: MIT
/*
 * NVIDIA's own runtime on the driver of driver.c: is it content with the
 * tables, the integrity answers and the context-local storage?
 */
#include "test.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The runtime loads libcuda.so.1: give it the one in the folder beside this program. */
static bool load_driver(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);

	if (n < 0)
		return false;
	path[n] = '\0';
	strcpy(strrchr(path, '/'), "/driver/libcuda.so.1");
	if (dlopen(path, RTLD_NOW))
		return true;
	printf("# %s\n", dlerror());
	return false;
}

static cudaError_t lie(void)
{
	int count;

	setenv("DRIVER_LIES", "1", 1);
	return cudaGetDeviceCount(&count);
}

/* First of all: a child must meet a runtime that has not started. */
TEST(the_runtime_does_check)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(lie());
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), cudaErrorSoftwareValidityNotEstablished);
}

TEST(it_starts)
{
	int count = 0;

	CHECK_EQ(cudaGetDeviceCount(&count), cudaSuccess);
	CHECK_EQ(count, 2);
	CHECK_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

static void use(int device)
{
	void *p = NULL;
	int now = -1;

	CHECK_EQ(cudaSetDevice(device), cudaSuccess);
	CHECK_EQ(cudaMalloc(&p, 64), cudaSuccess);
	CHECK_EQ(cudaFree(p), cudaSuccess);
	CHECK_EQ(cudaGetDevice(&now), cudaSuccess);
	CHECK_EQ(now, device);
}

static void *use_both(void *unused)
{
	use(0);
	use(1);
	return NULL;
}

TEST(threads_and_devices)
{
	pthread_t threads[4];

	use_both(NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, use_both, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

TEST(a_reset_device_is_usable_again)
{
	for (int i = 0; i < 3; i++) {
		use(1);
		CHECK_EQ(cudaDeviceReset(), cudaSuccess);
	}
	use(0);
	use(1);
}

TEST(a_function_that_the_driver_lacks)
{
	cudaStream_t stream;

	CHECK_EQ(cudaStreamCreate(&stream), cudaErrorCallRequiresNewerDriver);
	CHECK_EQ(cudaGetLastError(), cudaErrorCallRequiresNewerDriver);
	CHECK_EQ(cudaGetLastError(), cudaSuccess);
}

int main(int argc, char **argv)
{
	return load_driver() ? test_main(argc, argv) : 1;
}
