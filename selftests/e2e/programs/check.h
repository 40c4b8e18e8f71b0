/* SPDX-License-Identifier: MIT */
/*
 * What the test programs share: stop at the first thing that is not as it
 * should be. A program prints PASS last and exits with 0; 1: it failed; 4: the
 * machine lacks what it needs.
 */
#ifndef E2E_CHECK_H
#define E2E_CHECK_H

#include <cuda_runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Not exit(): other threads may be inside the runtime, and it does not survive
 * its own destructors being run beneath them.
 */
#define STOP()								\
	do {								\
		fflush(stdout);						\
		_exit(1);						\
	} while (0)

#define EXPECT(cond)							\
	do {								\
		if (!(cond)) {						\
			printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
			STOP();						\
		}							\
	} while (0)

#define EXPECT_ERROR(call, wanted)					\
	do {								\
		int got_ = (int)(call);					\
		if (got_ != (int)(wanted)) {				\
			printf("%s:%d: %s: %d (%s), not %d\n", __FILE__, __LINE__, #call, got_, \
			       cudaGetErrorName((cudaError_t)got_), (int)(wanted)); \
			STOP();						\
		}							\
	} while (0)

/* For the runtime's calls and, their success being 0 as well, the driver's. */
#define CHECK(call) EXPECT_ERROR(call, 0)

static inline int pass(void)
{
	printf("PASS\n");
	return fflush(stdout) ? 1 : 0;
}

static inline int skip(const char *reason)
{
	printf("SKIP %s\n", reason);
	return fflush(stdout) ? 1 : 4;
}

/* The index-th argument as a number, or what it is without one. */
static inline long long argument(int argc, char **argv, int index, long long otherwise)
{
	return argc > index ? atoll(argv[index]) : otherwise;
}

#endif /* E2E_CHECK_H */
