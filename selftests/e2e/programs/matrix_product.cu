// SPDX-License-Identifier: MIT
// Product of two square matrices by tiles in shared memory. Small integers as
// floats, so that the result is exact.
#include "check.h"
#include <vector>

constexpr int TILE = 16;

__global__ void multiply(const float *a, const float *b, float *c, int n)
{
	__shared__ float ta[TILE][TILE], tb[TILE][TILE];
	int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
	float sum = 0;

	for (int t = 0; t < n; t += TILE) {
		int ax = t + threadIdx.x, by = t + threadIdx.y;

		ta[threadIdx.y][threadIdx.x] = y < n && ax < n ? a[y * n + ax] : 0;
		tb[threadIdx.y][threadIdx.x] = by < n && x < n ? b[by * n + x] : 0;
		__syncthreads();
		for (int k = 0; k < TILE; k++)
			sum += ta[threadIdx.y][k] * tb[k][threadIdx.x];
		__syncthreads();
	}
	if (x < n && y < n)
		c[y * n + x] = sum;
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 203);
	size_t bytes = sizeof(float) * n * n;
	std::vector<float> a(n * n), b(n * n), c(n * n);
	dim3 block(TILE, TILE), grid((n + TILE - 1) / TILE, (n + TILE - 1) / TILE);
	float *da, *db, *dc;

	for (int i = 0; i < n * n; i++) {
		a[i] = i % 7 - 3;
		b[i] = i % 5 - 2;
	}
	CHECK(cudaMalloc(&da, bytes));
	CHECK(cudaMalloc(&db, bytes));
	CHECK(cudaMalloc(&dc, bytes));
	CHECK(cudaMemcpy(da, a.data(), bytes, cudaMemcpyHostToDevice));
	CHECK(cudaMemcpy(db, b.data(), bytes, cudaMemcpyHostToDevice));
	multiply<<<grid, block>>>(da, db, dc, n);
	CHECK(cudaGetLastError());
	CHECK(cudaDeviceSynchronize());
	CHECK(cudaMemcpy(c.data(), dc, bytes, cudaMemcpyDeviceToHost));
	for (int y = 0; y < n; y++) {
		for (int x = 0; x < n; x++) {
			float sum = 0;

			for (int k = 0; k < n; k++)
				sum += a[y * n + k] * b[k * n + x];
			EXPECT(c[y * n + x] == sum);
		}
	}
	CHECK(cudaFree(da));
	CHECK(cudaFree(db));
	CHECK(cudaFree(dc));
	printf("product of %d x %d matrices is exact\n", n, n);
	return pass();
}
