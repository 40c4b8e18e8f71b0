// SPDX-License-Identifier: MIT
/*
 * Any bytes as a cubin: its length, its check and the parameters of a kernel.
 */
#include "cudafront/internal.h"

#include <stdlib.h>

#define MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t length = cudafront_elf_length(data, size);
	struct cudafront_param params[MAX] = { 0 };
	bool good = cudafront_elf_check(data, size);
	int n = cudafront_elf_params(data, size, "k", params, MAX);

	require(length <= size);
	require(length || (!good && n < 0));
	/* A parameter takes a record of 16 bytes. */
	require(n < 0 || (size_t)n * 16 <= size);
	return 0;
}
