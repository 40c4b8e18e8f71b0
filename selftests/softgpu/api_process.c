// SPDX-License-Identifier: MIT
/*
 * Processes: several devices, environment, fork, and exit with everything
 * still under way. Each test is a child of its own, which ends by itself: one
 * that hangs is killed by its alarm.
 */
#include <sys/wait.h>

#include "api_test.h"

/* Runs @body in a child; its exit status, or -1 if a signal ended it. */
static int child(void (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		test_failures = 0;
		alarm(20);
		body();
		exit(test_failures != 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void two_devices(void)
{
	CUdeviceptr p, q;
	CUcontext a, b;
	CUuuid u[2];
	unsigned got = 0;
	int n, can;
	size_t total;

	setenv("SOFTGPU_DEVICES", "2", 1);
	setenv("SOFTGPU_MEMORY", "64M", 1);
	OK(cuInit(0));
	OK(cuDeviceGetCount(&n));
	CHECK_EQ(n, 2);
	OK(cuDeviceTotalMem_v2(&total, 1));
	CHECK_EQ(total, 64 << 20);
	OK(cuDeviceGetUuid(&u[0], 0));
	OK(cuDeviceGetUuid(&u[1], 1));
	CHECK(memcmp(&u[0], &u[1], sizeof(u[0])));
	OK(cuDeviceCanAccessPeer(&can, 0, 1));
	CHECK_EQ(can, 1);
	OK(cuCtxCreate_v2(&a, 0, 0));
	OK(cuMemAlloc_v2(&p, 64));
	OK(cuMemsetD32_v2(p, 42, 1));
	OK(cuCtxCreate_v2(&b, 0, 1));
	OK(cuMemAlloc_v2(&q, 64));
	OK(cuCtxEnablePeerAccess(a, 0));
	CHECK_EQ(cuCtxEnablePeerAccess(a, 0), CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
	CHECK_EQ(cuCtxEnablePeerAccess(b, 0), CUDA_ERROR_INVALID_DEVICE);
	OK(cuMemcpyPeer(q, b, p, a, 4));
	OK(cuMemcpyDtoH_v2(&got, q, 4));
	CHECK_EQ(got, 42);
	OK(cuCtxDisablePeerAccess(a));
	CHECK_EQ(cuCtxDisablePeerAccess(a), CUDA_ERROR_PEER_ACCESS_NOT_ENABLED);
}

TEST(several_devices)
{
	CHECK_EQ(child(two_devices), 0);
}

static void visible(void)
{
	int n, bus;

	setenv("SOFTGPU_DEVICES", "3", 1);
	setenv("CUDA_VISIBLE_DEVICES", "2,0", 1);
	OK(cuInit(0));
	OK(cuDeviceGetCount(&n));
	CHECK_EQ(n, 2);
	OK(cuDeviceGetAttribute(&bus, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID, 0));
	CHECK_EQ(bus, 3);
}

static void nothing_visible(void)
{
	setenv("CUDA_VISIBLE_DEVICES", "", 1);
	CHECK_EQ(cuInit(0), CUDA_ERROR_NO_DEVICE);
}

TEST(visible_devices)
{
	CHECK_EQ(child(visible), 0);
	CHECK_EQ(child(nothing_visible), 0);
}

static void in_fork_child(void)
{
	CUdeviceptr p;
	CUcontext ctx;
	int n;

	CHECK_EQ(cuInit(0), CUDA_ERROR_NOT_INITIALIZED);
	CHECK_EQ(cuDeviceGetCount(&n), CUDA_ERROR_NOT_INITIALIZED);
	CHECK_EQ(cuCtxGetCurrent(&ctx), CUDA_ERROR_NOT_INITIALIZED);
	CHECK_EQ(cuMemAlloc_v2(&p, 64), CUDA_ERROR_NOT_INITIALIZED);
	CHECK_EQ(cuCtxSynchronize(), CUDA_ERROR_NOT_INITIALIZED);
	_exit(test_failures != 0);	/* what the parent's threads own looks leaked here */
}

static void forks(void)
{
	struct fixture f;

	REQUIRE(fixture_open(&f));
	OK(launch_spin(&f, NULL));
	CHECK_EQ(child(in_fork_child), 0);
	let_go(&f);
	OK(cuCtxSynchronize());
}

TEST(fork_child_is_not_initialized)
{
	CHECK_EQ(child(forks), 0);
}

static struct fixture late;

/* As NVIDIA's runtime: a handler that is older than cuInit() releases. */
static void release(void)
{
	CUdeviceptr p;

	if (cuMemAlloc_v2(&p, 64) || cuDevicePrimaryCtxRelease(0))
		_exit(2);
}

static void start(void)
{
	atexit(release);
	OK(cuInit(0));
	OK(cuDevicePrimaryCtxRetain(&late.ctx, 0));
	OK(cuCtxSetCurrent(late.ctx));
	OK(cuModuleLoadData(&late.module, kernels));
	OK(cuModuleGetFunction(&late.spin, late.module, "spin"));
	OK(cuMemHostAlloc((void **)&late.flag, 64, 0));
}

static void endless_and_released(void)
{
	CUstream s;

	start();
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(launch_spin(&late, s));
	OK(launch_spin(&late, NULL));
}

static void endless(void)
{
	REQUIRE(fixture_open(&late));
	OK(launch_spin(&late, NULL));
	OK(launch_spin(&late, CU_STREAM_PER_THREAD));
}

static void *synchronize(void *arg)
{
	cuCtxSetCurrent(late.ctx);
	cuCtxSynchronize();
	return NULL;
}

static void endless_in_thread(void)
{
	pthread_t t;

	endless();
	pthread_create(&t, NULL, synchronize, NULL);
	usleep(20000);
}

static void CUDA_CB never_returns(void *user)
{
	for (;;)
		pause();
}

static void host_function_stuck(void)
{
	start();
	OK(cuLaunchHostFunc(NULL, never_returns, NULL));
}

static void CUDA_CB exits(void *user)
{
	exit(0);
}

static void exit_from_host_function(void)
{
	REQUIRE(fixture_open(&late));
	OK(cuLaunchHostFunc(NULL, exits, NULL));
	cuCtxSynchronize();	/* who gets to run it is open, and so what this returns */
	pause();
}

TEST(exit_with_work_under_way)
{
	CHECK_EQ(child(host_function_stuck), 0);
	CHECK_EQ(child(exit_from_host_function), 0);
	CHECK_EQ(child(endless), 0);
	CHECK_EQ(child(endless_in_thread), 0);
	CHECK_EQ(child(endless_and_released), 0);
}

/* Runs after all handlers; what a call answers there is its business, a crash is not. */
__attribute__((destructor)) static void last(void)
{
	CUdeviceptr p;

	if (late.ctx)
		cuMemAlloc_v2(&p, 64);
}

TEST(calls_from_destructors)
{
	CHECK_EQ(child(start), 0);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
