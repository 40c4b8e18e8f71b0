/* SPDX-License-Identifier: MIT */
/*
 * Measures whatever libcuda.so.1 the loader finds: run it with LD_LIBRARY_PATH
 * at vgpu's and at the driver underneath. Prints lines "metric size value".
 *
 *	probe calls		launches and the round trip of a trivial synchronous call
 *	probe async		bursts of asynchronous calls until all of them are done, beside
 *				the round trip: how much of the way is in them
 *	probe loop		does what lines of its input say, "WHAT TIMES BYTES": call, launch,
 *				h2d, d2h, pageable; prints how long each took
 *	probe copies [LARGEST]	host to device and back, pageable, page-locked, registered,
 *				up to so many bytes (4096 times a power of 4)
 */
#include <cuda.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "stats.h"

#define BURST		1000
#define BURSTS		60
#define SUSTAINED	200000
#define ROUNDS		50000

/* Four parameters like a vector addition's; returns at once. */
static const char ptx[] =
	".version 6.4\n.target sm_50\n.address_size 64\n"
	".visible .entry nothing(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n)\n"
	"{\n\tret;\n}\n";

static CUfunction nothing;
static CUdeviceptr device;

static void must(CUresult r, const char *what)
{
	const char *name = "?";

	if (!r)
		return;
	cuGetErrorName(r, &name);
	fprintf(stderr, "probe: %s: %s\n", what, name);
	exit(1);
}

static void setup(void)
{
	CUcontext ctx;
	CUmodule module;
	CUdevice dev;

	must(cuInit(0), "cuInit");
	must(cuDeviceGet(&dev, 0), "cuDeviceGet");
	must(cuDevicePrimaryCtxRetain(&ctx, dev), "cuDevicePrimaryCtxRetain");
	must(cuCtxSetCurrent(ctx), "cuCtxSetCurrent");
	must(cuModuleLoadData(&module, ptx), "cuModuleLoadData");
	must(cuModuleGetFunction(&nothing, module, "nothing"), "cuModuleGetFunction");
}

static void launch(void)
{
	CUdeviceptr a = device, b = device, c = device;
	unsigned n = 1;
	void *params[] = { &a, &b, &c, &n };

	must(cuLaunchKernel(nothing, 1, 1, 1, 32, 1, 1, 0, NULL, params, NULL), "cuLaunchKernel");
}

static void launches(void)
{
	static uint64_t cpu[BURSTS];
	uint64_t t;

	for (int i = 0; i < BURSTS; i++) {
		uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		for (int k = 0; k < BURST; k++)
			launch();
		cpu[i] = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
		must(cuCtxSynchronize(), "cuCtxSynchronize");
	}
	printf("launch_cpu 0 %.1f\n", (double)percentile(cpu, BURSTS, 50) / BURST);
	t = clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < SUSTAINED; i++)
		launch();
	must(cuCtxSynchronize(), "cuCtxSynchronize");
	t = clock_ns(CLOCK_MONOTONIC) - t;
	printf("launches 0 %.0f\n", SUSTAINED * 1e9 / t);
}

static void round_trips(void)
{
	static uint64_t took[ROUNDS];
	size_t free, total;

	for (int i = -1000; i < ROUNDS; i++) {
		uint64_t t = clock_ns(CLOCK_MONOTONIC);

		must(cuMemGetInfo(&free, &total), "cuMemGetInfo");
		if (i >= 0)
			took[i] = clock_ns(CLOCK_MONOTONIC) - t;
	}
	printf("round_trip_p50 0 %lu\n", percentile(took, ROUNDS, 50));
	printf("round_trip_p99 0 %lu\n", percentile(took, ROUNDS, 99));
}

static void calls(void)
{
	launches();
	round_trips();
}

/* ---- bursts of asynchronous calls ---- */

#define PIECE		(64u << 10)
#define PIECES		100
#define TIMES		11

static void many_launches(void *host)
{
	for (int i = 0; i < BURST; i++)
		launch();
}

static void many_h2d(void *host)
{
	for (int i = 0; i < PIECES; i++)
		must(cuMemcpyHtoDAsync(device, host, PIECE, NULL), "cuMemcpyHtoDAsync");
}

static void many_d2h(void *host)
{
	for (int i = 0; i < PIECES; i++)
		must(cuMemcpyDtoHAsync(host, device, PIECE, NULL), "cuMemcpyDtoHAsync");
}

/*
 * As a training step does it: a copy, kernels, an event that a second stream waits
 * for, which copies to another place.
 */
static void many_steps(void *host)
{
	static CUstream other;
	static CUevent event;

	if (!other) {
		must(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
		must(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
	}
	for (int i = 0; i < PIECES; i++) {
		must(cuMemcpyHtoDAsync(device, host, 4096, NULL), "cuMemcpyHtoDAsync");
		launch();
		launch();
		must(cuEventRecord(event, NULL), "cuEventRecord");
		must(cuStreamWaitEvent(other, event, 0), "cuStreamWaitEvent");
		must(cuMemcpyDtoHAsync((char *)host + PIECE / 2, device, 4096, other),
		     "cuMemcpyDtoHAsync");
	}
}

static void one_call(void *host)
{
	size_t free, total;

	must(cuMemGetInfo(&free, &total), "cuMemGetInfo");
}

static void burst(const char *metric, void (*calls)(void *host), void *host)
{
	uint64_t took[TIMES];

	for (int i = -1; i < TIMES; i++) {
		uint64_t t = clock_ns(CLOCK_MONOTONIC);

		calls(host);
		must(cuCtxSynchronize(), "cuCtxSynchronize");
		if (i >= 0)
			took[i] = clock_ns(CLOCK_MONOTONIC) - t;
	}
	printf("%s 0 %lu\n", metric, percentile(took, TIMES, 50));
}

/* ---- one thing over and over, when told: tools/bench/costs.py looks at it ---- */

#define LOOP_LARGEST	(64u << 20)

static void loop_once(const char *what, size_t size, void *host, void *plain)
{
	if (!strcmp(what, "call"))
		one_call(host);
	else if (!strcmp(what, "launch"))
		launch();
	else if (!strcmp(what, "h2d"))
		must(cuMemcpyHtoDAsync(device, host, size, NULL), "cuMemcpyHtoDAsync");
	else if (!strcmp(what, "d2h"))
		must(cuMemcpyDtoHAsync(host, device, size, NULL), "cuMemcpyDtoHAsync");
	else
		must(cuMemcpyDtoH(plain, device, size), "cuMemcpyDtoH");
}

static void loop(void)
{
	void *host, *plain = malloc(LOOP_LARGEST);
	unsigned int times;
	size_t size;
	char what[16];

	must(cuMemAlloc(&device, LOOP_LARGEST), "cuMemAlloc");
	must(cuMemHostAlloc(&host, LOOP_LARGEST, 0), "cuMemHostAlloc");
	fill_random(host, LOOP_LARGEST);
	while (scanf("%15s %u %zu", what, &times, &size) == 3 && size <= LOOP_LARGEST) {
		uint64_t t = clock_ns(CLOCK_MONOTONIC);

		for (unsigned int i = 0; i < times; i++)
			loop_once(what, size, host, plain);
		must(cuCtxSynchronize(), "cuCtxSynchronize");
		printf("%s %u %lu\n", what, times, clock_ns(CLOCK_MONOTONIC) - t);
	}
	must(cuMemFreeHost(host), "cuMemFreeHost");
	free(plain);
}

static void bursts(void)
{
	void *host;

	must(cuMemAlloc(&device, PIECE), "cuMemAlloc");
	must(cuMemHostAlloc(&host, PIECE, 0), "cuMemHostAlloc");
	fill_random(host, PIECE);
	burst("synchronous_call_and_sync", one_call, host);
	burst("launches_1000_and_sync", many_launches, host);
	burst("h2d_64KiB_x100_and_sync", many_h2d, host);
	burst("d2h_64KiB_x100_and_sync", many_d2h, host);
	burst("steps_100_and_sync", many_steps, host);
	must(cuMemFreeHost(host), "cuMemFreeHost");
}

/* ---- copies ---- */

static double h2d(void *host, size_t size, unsigned n)
{
	uint64_t t = clock_ns(CLOCK_MONOTONIC);

	for (unsigned i = 0; i < n; i++)
		must(cuMemcpyHtoDAsync(device, host, size, NULL), "cuMemcpyHtoDAsync");
	must(cuStreamSynchronize(NULL), "cuStreamSynchronize");
	return (double)size * n / (clock_ns(CLOCK_MONOTONIC) - t);
}

static double d2h(void *host, size_t size, unsigned n)
{
	uint64_t t = clock_ns(CLOCK_MONOTONIC);

	for (unsigned i = 0; i < n; i++)
		must(cuMemcpyDtoHAsync(host, device, size, NULL), "cuMemcpyDtoHAsync");
	must(cuStreamSynchronize(NULL), "cuStreamSynchronize");
	return (double)size * n / (clock_ns(CLOCK_MONOTONIC) - t);
}

static void copies_of(const char *kind, uint8_t *host, size_t largest)
{
	uint8_t *check = malloc(largest);

	fill_random(host, largest);
	memcpy(check, host, largest);
	for (size_t size = COPY_MIN; size <= largest; size *= COPY_STEP) {
		unsigned n = copy_repeats(size, largest);

		h2d(host, size, 1);
		printf("h2d_%s %zu %.3f\n", kind, size,
		       median3(h2d(host, size, n), h2d(host, size, n), h2d(host, size, n)));
		memset(host, 0, size);
		d2h(host, size, 1);
		printf("d2h_%s %zu %.3f\n", kind, size,
		       median3(d2h(host, size, n), d2h(host, size, n), d2h(host, size, n)));
		if (memcmp(host, check, size)) {
			fprintf(stderr, "probe: wrong bytes came back (%s, %zu)\n", kind, size);
			exit(1);
		}
	}
	free(check);
}

static void copies(size_t largest)
{
	uint8_t *plain = malloc(largest);
	void *locked;

	must(cuMemAlloc(&device, largest), "cuMemAlloc");
	copies_of("pageable", plain, largest);
	must(cuMemHostRegister(plain, largest, 0), "cuMemHostRegister");
	copies_of("registered", plain, largest);
	must(cuMemHostUnregister(plain), "cuMemHostUnregister");
	must(cuMemHostAlloc(&locked, largest, 0), "cuMemHostAlloc");
	copies_of("pinned", locked, largest);
	must(cuMemFreeHost(locked), "cuMemFreeHost");
	free(plain);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	size_t largest = argc < 4 && !strcmp(what, "copies") ? copy_largest(argv[2]) : 0;
	static const struct {
		const char	*name;
		void		(*run)(void);
	} parts[] = { { "calls", calls }, { "async", bursts }, { "loop", loop } };

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned int i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if (argc == 2 && !strcmp(what, parts[i].name)) {
			setup();
			parts[i].run();
			return 0;
		}
	}
	if (!largest) {
		fprintf(stderr, "usage: probe calls | async | loop | copies [LARGEST]\n");
		return 2;
	}
	setup();
	copies(largest);
	return 0;
}
