// SPDX-License-Identifier: MIT
/*
 * cuGetProcAddress() over a small table with every shape that the real one has.
 */
#include "cudafront/cudafront.h"
#include "test.h"

static char first, second, second_pt, third, third_pt, lone, young, young_pt;

const struct cudafront_proc cudafront_procs[] = {
	{ "cuAlone", 2000, 0, &lone, NULL },
	{ "cuMemcpy", 2000, 0, &first, NULL },
	{ "cuMemcpy", 3020, 7000, &second, &second_pt },
	{ "cuMemcpy", 12000, 12000, &third, &third_pt },
	{ "cuYoung", 11010, 11010, &young, &young_pt },
};
const unsigned cudafront_nprocs = sizeof(cudafront_procs) / sizeof(cudafront_procs[0]);

#define PER_THREAD CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM
#define LEGACY	   CU_GET_PROC_ADDRESS_LEGACY_STREAM

static const struct cudafront_ops ops = { .driver_version = 13000 };

static void *look(const char *name, int version, cuuint64_t flags)
{
	CUdriverProcAddressQueryResult status = (CUdriverProcAddressQueryResult)-1;
	void *found = &found;
	CUresult r;

	cudafront_init(&ops);
	r = cudafront_proc_address(name, &found, version, flags, &status);
	CHECK_EQ(r, found ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND);
	CHECK_EQ(!found, status != CU_GET_PROC_ADDRESS_SUCCESS);
	return found;
}

TEST(newest_variant_of_a_version)
{
	CHECK(look("cuMemcpy", 2000, 0) == &first);
	CHECK(look("cuMemcpy", 3010, 0) == &first);
	CHECK(look("cuMemcpy", 3020, 0) == &second);
	CHECK(look("cuMemcpy", 11080, 0) == &second);
	CHECK(look("cuMemcpy", 12000, 0) == &third);
	CHECK(look("cuMemcpy", 13000, 0) == &third);
	CHECK(look("cuAlone", 13000, 0) == &lone);
	CHECK(look("cuYoung", 11010, 0) == &young);
}

TEST(twins_with_a_default_stream_for_each_thread)
{
	CHECK(look("cuMemcpy", 7000, PER_THREAD) == &second_pt);
	CHECK(look("cuMemcpy", 13000, PER_THREAD) == &third_pt);
	CHECK(look("cuYoung", 12000, PER_THREAD) == &young_pt);
	CHECK(look("cuMemcpy", 13000, LEGACY) == &third);
	/* Without a twin of that version it is the plain one. */
	CHECK(look("cuMemcpy", 6050, PER_THREAD) == &second);
	CHECK(look("cuMemcpy", 2000, PER_THREAD) == &first);
	CHECK(look("cuAlone", 13000, PER_THREAD) == &lone);
}

static int status_of(const char *name, int version)
{
	CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
	void *found = &found;

	CHECK_EQ(cudafront_proc_address(name, &found, version, 0, &status), CUDA_ERROR_NOT_FOUND);
	CHECK(!found);
	return status;
}

TEST(what_is_not_there)
{
	cudafront_init(&ops);
	CHECK_EQ(status_of("", 0), CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	CHECK_EQ(status_of("cuMemcp", 13000), CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	CHECK_EQ(status_of("cuMemcpy2", 13000), CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	CHECK_EQ(status_of("cuZ", 13000), CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	CHECK_EQ(status_of("cuMemcpy", 1999), CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
	CHECK_EQ(status_of("cuYoung", 11000), CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
	CHECK_EQ(status_of("cuYoung", 0), CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
	CHECK_EQ(status_of("cuAlone", -1), CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
}

TEST(arguments_that_are_refused)
{
	void *found = &found;

	cudafront_init(&ops);
	CHECK_EQ(cudafront_proc_address(NULL, &found, 2000, 0, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK(!found);
	CHECK_EQ(cudafront_proc_address("cuAlone", NULL, 2000, 0, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cudafront_proc_address("cuAlone", &found, 13010, 0, NULL),
		 CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cudafront_proc_address("cuAlone", &found, 2000, 4, NULL),
		 CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cudafront_proc_address("cuAlone", &found, 2000, 1ULL << 32, NULL),
		 CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cudafront_proc_address("cuAlone", &found, 2000, LEGACY | PER_THREAD, NULL),
		 CUDA_ERROR_INVALID_VALUE);
}

TEST(status_may_be_absent)
{
	void *found = NULL;

	cudafront_init(&ops);
	CHECK_EQ(cudafront_proc_address("cuAlone", &found, 2000, 0, NULL), CUDA_SUCCESS);
	CHECK(found == &lone);
	CHECK_EQ(cudafront_proc_address("cuNone", &found, 2000, 0, NULL), CUDA_ERROR_NOT_FOUND);
	CHECK(!found);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
