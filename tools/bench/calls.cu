// SPDX-License-Identifier: MIT
// Times single calls and copies as an application sees them. Prints lines of
// name, value and unit for tools/bench/run.py, which compares them.
#include "../../selftests/e2e/programs/check.h"
#include <algorithm>
#include <chrono>
#include <string.h>
#include <string>
#include <time.h>
#include <vector>

__global__ void nothing(void)
{
}

static double wall(void)
{
	using namespace std::chrono;
	return duration<double>(steady_clock::now().time_since_epoch()).count();
}

// of this thread: what the call costs the application
static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void report(const std::string &name, double value, const char *unit)
{
	printf("%s %.6g %s\n", name.c_str(), value, unit);
	fflush(stdout);
}

static double median(std::vector<double> v)
{
	std::nth_element(v.begin(), v.begin() + v.size() / 2, v.end());
	return v[v.size() / 2];
}

// Asynchronous calls in batches small enough to fit every queue.
template <typename F> static void asynchronous(const char *name, F call, cudaStream_t s)
{
	const int batches = 21, calls = 100;
	std::vector<double> cpus, walls;

	for (int b = 0; b < batches; b++) {
		double c = cpu(), w = wall();

		for (int i = 0; i < calls; i++)
			call();
		cpus.push_back((cpu() - c) / calls);
		walls.push_back((wall() - w) / calls);
		CHECK(cudaStreamSynchronize(s));
	}
	report(std::string(name) + "/cpu", median(cpus) * 1e9, "ns");
	report(std::string(name) + "/wall", median(walls) * 1e9, "ns");
}

template <typename F> static void synchronous(const char *name, F call)
{
	std::vector<double> walls;

	for (int i = 0; i < 500; i++) {
		double w = wall();

		call();
		walls.push_back(wall() - w);
	}
	report(name, median(walls) * 1e6, "us");
}

static void calls(cudaStream_t s)
{
	size_t free_bytes, total;
	cudaEvent_t e;
	void *p, *q;

	CHECK(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
	CHECK(cudaMalloc(&p, 4096));
	asynchronous("launch", [&] { nothing<<<1, 32, 0, s>>>(); }, s);
	asynchronous("memset", [&] { CHECK(cudaMemsetAsync(p, 0, 4096, s)); }, s);
	asynchronous("event-record", [&] { CHECK(cudaEventRecord(e, s)); }, s);
	synchronous("mem-get-info", [&] { CHECK(cudaMemGetInfo(&free_bytes, &total)); });
	synchronous("malloc+free", [&] {
		CHECK(cudaMalloc(&q, 65536));
		CHECK(cudaFree(q));
	});
	synchronous("launch+synchronize", [&] {
		nothing<<<1, 32, 0, s>>>();
		CHECK(cudaStreamSynchronize(s));
	});
	CHECK(cudaFree(p));
	CHECK(cudaEventDestroy(e));
}

static void copies(const char *kind, void *host, void *dev, size_t largest, cudaStream_t s)
{
	for (size_t n = 4096; n <= largest; n *= 16) {
		std::string size = n < 1 << 20 ? std::to_string(n >> 10) + "K" :
						 std::to_string(n >> 20) + "M";
		int rounds = std::max<int>(5, std::min<size_t>(200, (64 << 20) / n));
		std::vector<double> up, down;

		for (int r = 0; r < rounds; r++) {
			double a = wall(), b;

			CHECK(cudaMemcpyAsync(dev, host, n, cudaMemcpyHostToDevice, s));
			CHECK(cudaStreamSynchronize(s));
			b = wall();
			CHECK(cudaMemcpyAsync(host, dev, n, cudaMemcpyDeviceToHost, s));
			CHECK(cudaStreamSynchronize(s));
			up.push_back(b - a);
			down.push_back(wall() - b);
		}
		report(std::string("h2d/") + kind + "/" + size, n / median(up) * 1e-9, "GB/s");
		report(std::string("d2h/") + kind + "/" + size, n / median(down) * 1e-9, "GB/s");
	}
}

static void host_memcpy(size_t n)
{
	std::vector<char> a(n, 1), b(n, 2);
	std::vector<double> walls;

	for (int r = 0; r < 9; r++) {
		double w = wall();

		memcpy(a.data(), b.data(), n);
		walls.push_back(wall() - w);
	}
	report("memcpy", n / median(walls) * 1e-9, "GB/s");
}

int main(int argc, char **argv)
{
	size_t largest = argument(argc, argv, 1, 256 << 20);
	void *dev, *pinned, *pageable = malloc(largest);
	double start = wall();
	cudaStream_t s;

	nothing<<<1, 32>>>();
	CHECK(cudaGetLastError());
	CHECK(cudaDeviceSynchronize());
	report("first-kernel", (wall() - start) * 1e3, "ms");
	CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
	calls(s);
	host_memcpy(largest);
	CHECK(cudaMalloc(&dev, largest));
	CHECK(cudaMallocHost(&pinned, largest));
	memset(pinned, 1, largest);
	memset(pageable, 1, largest);
	copies("pageable", pageable, dev, largest, s);
	copies("pinned", pinned, dev, largest, s);
	CHECK(cudaHostRegister(pageable, largest, cudaHostRegisterDefault));
	copies("registered", pageable, dev, largest, s);
	CHECK(cudaHostUnregister(pageable));
	return pass();
}
