// SPDX-License-Identifier: MIT
/*
 * Names and descriptions of errors, against cuda.h and against what the
 * runtime says of the codes that it shares with the driver.
 */
#include "cudafront/cudafront.h"
#include "test.h"

#include <cuda_runtime_api.h>

static const struct {
	CUresult    code;
	const char *name;
} results[] = {
#define RESULT(r) { r, #r },
#include "cuda_results.h"
};

#define NRESULTS (sizeof(results) / sizeof(results[0]))

TEST(every_code_of_cuda_h_has_its_name)
{
	CHECK(NRESULTS > 80);
	for (unsigned i = 0; i < NRESULTS; i++) {
		const char *name = NULL;

		CHECK_EQ(cudafront_error_name(results[i].code, &name), CUDA_SUCCESS);
		CHECK(name && !strcmp(name, results[i].name));
	}
}

TEST(codes_that_nobody_knows)
{
	static const int unknown[] = { -1, 9, 35, 99, 103, 722, 998, 1000, 1 << 30 };

	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		const char *text = "";

		CHECK_EQ(cudafront_error_name((CUresult)unknown[i], &text),
			 CUDA_ERROR_INVALID_VALUE);
		CHECK(!text);
		text = "";
		CHECK_EQ(cudafront_error_string((CUresult)unknown[i], &text),
			 CUDA_ERROR_INVALID_VALUE);
		CHECK(!text);
	}
	CHECK_EQ(cudafront_error_name(CUDA_SUCCESS, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cudafront_error_string(CUDA_SUCCESS, NULL), CUDA_ERROR_INVALID_VALUE);
}

TEST(descriptions_are_those_of_the_runtime)
{
	int version = 0, compared = 0;

	cudaRuntimeGetVersion(&version);
	if (version / 1000 != 13)
		SKIP("the texts are those of CUDA 13");
	for (unsigned i = 0; i < NRESULTS; i++) {
		const char *runtime = cudaGetErrorString((cudaError_t)results[i].code);
		const char *text = NULL;

		CHECK_EQ(cudafront_error_string(results[i].code, &text), CUDA_SUCCESS);
		REQUIRE(text);
		if (!strcmp(runtime, "unrecognized error code"))
			continue; /* the runtime has no such code */
		if (strcmp(text, runtime))
			printf("# %d: \"%s\" is \"%s\"\n", results[i].code, text, runtime);
		CHECK(!strcmp(text, runtime));
		compared++;
	}
	CHECK(compared > 90);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
