// SPDX-License-Identifier: MIT
// fork() and CUDA: a child made before the first call works on its own; one
// made after it gets an error and never hangs; the parent notices nothing.
#include "check.h"
#include <sys/wait.h>
#include <unistd.h>

__global__ void set(int *p, int v)
{
	*p = v;
}

static int compute(int v)
{
	int *p, got = 0;

	CHECK(cudaMalloc(&p, sizeof(int)));
	set<<<1, 1>>>(p, v);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(&got, p, sizeof(got), cudaMemcpyDeviceToHost));
	CHECK(cudaFree(p));
	return got;
}

static void child_is_well(pid_t child)
{
	int status;

	EXPECT(child > 0);
	EXPECT(waitpid(child, &status, 0) == child);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
	pid_t child = fork();
	void *p;

	if (!child) {
		EXPECT(compute(11) == 11);
		return 0;
	}
	EXPECT(compute(12) == 12);
	child_is_well(child);

	child = fork();
	if (!child) {
		alarm(10);
		EXPECT_ERROR(cudaMalloc(&p, 16), cudaErrorInitializationError);
		EXPECT_ERROR(cudaDeviceSynchronize(), cudaErrorInitializationError);
		_exit(0);
	}
	child_is_well(child);
	EXPECT(compute(13) == 13);

	// a child that leaves through exit handlers must not harm the parent
	child = fork();
	if (!child) {
		alarm(10);
		exit(0);
	}
	child_is_well(child);
	EXPECT(compute(14) == 14);
	printf("two kinds of children, and the parent goes on\n");
	return pass();
}
