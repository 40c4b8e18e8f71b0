// SPDX-License-Identifier: MIT
// Variables in the device's and in constant memory: initial values, pointers to
// each other, copies to and from them, and their addresses.
#include "check.h"
#include <string.h>

struct item {
	char kind;
	short weight;
	double price;
	const char *name;
};

__constant__ float weights[5] = { 0.5f, -1, 2, 1e-3f, 4 };
__constant__ int changed = 1;
__device__ int counter = 40;
__device__ int table[2][3] = { { 1, 2, 3 }, { 4, 5 } };
__device__ int *into_table = &table[1][1];
__device__ const char text[] = "device text";
__device__ item items[2] = { { 'a', -7, 2.5, text }, { 'b', 300, 1e300, text + 7 } };
__device__ unsigned char large[1 << 20];
static __device__ long long hidden = -5;

__global__ void use(double *out, int n)
{
	out[0] = weights[0] + weights[1] + weights[2] + weights[4];
	out[1] = changed;
	out[2] = counter++;
	out[3] = *into_table + table[0][2];
	out[4] = items[0].kind + items[0].weight + items[0].price;
	out[5] = items[1].weight;
	out[6] = items[0].name[1] + items[1].name[0];
	out[7] = hidden--;
	for (int i = threadIdx.x; i < n; i += blockDim.x)
		large[i] = i * 7;
}

int main(void)
{
	double out[8], *d;
	int value = 1234, *address;
	static unsigned char copy[1 << 20];
	size_t size;

	CHECK(cudaMalloc(&d, sizeof(out)));
	use<<<1, 1>>>(d, 100);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
	EXPECT(out[0] == 5.5 && out[1] == 1 && out[2] == 40 && out[3] == 8);
	EXPECT(out[4] == 'a' - 7 + 2.5 && out[5] == 300 && out[6] == 'e' + 't' && out[7] == -5);
	printf("initial values are right\n");

	CHECK(cudaMemcpyToSymbol(changed, &value, sizeof(value)));
	CHECK(cudaMemcpyToSymbol(weights, &out[7], sizeof(float), sizeof(float)));
	CHECK(cudaMemcpyFromSymbol(&value, counter, sizeof(value)));
	EXPECT(value == 41);
	value = 77;
	CHECK(cudaGetSymbolAddress((void **)&address, table));
	CHECK(cudaMemcpy(address + 4, &value, sizeof(value), cudaMemcpyHostToDevice));
	CHECK(cudaGetSymbolSize(&size, items));
	EXPECT(size == sizeof(items));
	CHECK(cudaGetSymbolSize(&size, large));
	EXPECT(size == 1 << 20);
	EXPECT_ERROR(cudaMemcpyToSymbol(counter, out, sizeof(out)), cudaErrorInvalidValue);
	(void)cudaGetLastError();

	use<<<1, 1>>>(d, sizeof(large));
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
	EXPECT(out[1] == 1234 && out[2] == 41 && out[3] == 80 && out[7] == -6);
	CHECK(cudaMemcpyFromSymbol(copy, large, sizeof(copy)));
	for (size_t i = 0; i < sizeof(copy); i++)
		EXPECT(copy[i] == (unsigned char)(i * 7));
	printf("copies to and from variables are right\n");
	CHECK(cudaFree(d));
	return pass();
}
