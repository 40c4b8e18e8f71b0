// SPDX-License-Identifier: MIT
// Copies and sets of rectangles and boxes, with pitches on both sides.
#include "check.h"
#include <string.h>
#include <vector>

typedef std::vector<unsigned char> bytes;

static void rectangles(size_t width, size_t height)
{
	bytes in(width * height), out(2 * width * height, 0xcc);
	unsigned char *d, *e;
	size_t pitch, pitch2;

	for (size_t i = 0; i < in.size(); i++)
		in[i] = (unsigned char)(i * 31 + i / 256);
	CHECK(cudaMallocPitch(&d, &pitch, width, height));
	CHECK(cudaMallocPitch(&e, &pitch2, 2 * width, height));
	EXPECT(pitch >= width && pitch2 >= 2 * width);
	CHECK(cudaMemset2D(d, pitch, 0x33, width, height));
	CHECK(cudaMemcpy2D(d + 3, pitch, in.data() + 3, width, width - 3, height,
			   cudaMemcpyHostToDevice));
	CHECK(cudaMemcpy2DAsync(e + width, pitch2, d, pitch, width, height,
				cudaMemcpyDeviceToDevice));
	CHECK(cudaMemcpy2D(out.data(), 2 * width, e + width, pitch2, width, height,
			   cudaMemcpyDeviceToHost));
	for (size_t y = 0; y < height; y++) {
		for (size_t x = 0; x < 2 * width; x++) {
			int expected = x >= width ? 0xcc : x < 3 ? 0x33 : in[y * width + x];

			EXPECT(out[y * 2 * width + x] == expected);
		}
	}
	EXPECT_ERROR(cudaMemcpy2D(d, width - 1, in.data(), width, width, height,
				  cudaMemcpyHostToDevice),
		     cudaErrorInvalidPitchValue);
	(void)cudaGetLastError();
	CHECK(cudaFree(d));
	CHECK(cudaFree(e));
	printf("%zu x %zu with a pitch of %zu\n", width, height, pitch);
}

static void boxes(size_t w, size_t h, size_t depth)
{
	bytes in(w * h * depth), out(w * h * depth);
	cudaExtent extent = make_cudaExtent(w, h, depth);
	cudaMemcpy3DParms up = {}, down = {};
	cudaPitchedPtr d;

	for (size_t i = 0; i < in.size(); i++)
		in[i] = (unsigned char)(i * 13 + i / 251);
	CHECK(cudaMalloc3D(&d, extent));
	CHECK(cudaMemset3D(d, 1, extent));
	up.srcPtr = make_cudaPitchedPtr(in.data(), w, w, h);
	up.dstPtr = d;
	up.extent = extent;
	up.kind = cudaMemcpyHostToDevice;
	CHECK(cudaMemcpy3D(&up));
	down.srcPtr = d;
	down.dstPtr = make_cudaPitchedPtr(out.data(), w, w, h);
	down.srcPos = make_cudaPos(1, 2, 3);
	down.dstPos = make_cudaPos(1, 2, 3);
	down.extent = make_cudaExtent(w - 1, h - 2, depth - 3);
	down.kind = cudaMemcpyDeviceToHost;
	CHECK(cudaMemcpy3DAsync(&down));
	CHECK(cudaDeviceSynchronize());
	for (size_t z = 0; z < depth; z++) {
		for (size_t y = 0; y < h; y++) {
			for (size_t x = 0; x < w; x++) {
				size_t i = (z * h + y) * w + x;

				EXPECT(out[i] == (x >= 1 && y >= 2 && z >= 3 ? in[i] : 0));
			}
		}
	}
	CHECK(cudaFree(d.ptr));
	printf("%zu x %zu x %zu box\n", w, h, depth);
}

int main(void)
{
	rectangles(1001, 77);
	rectangles(5, 2000);
	boxes(33, 21, 9);
	return pass();
}
