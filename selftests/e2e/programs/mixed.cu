// SPDX-License-Identifier: MIT
// A bit of everything in an order of chance: copies of all kinds of host memory
// both ways, kernels, memsets, events across streams, host functions; from two
// threads with two streams each. What the device should hold is known at every
// step. A host buffer is written over the moment the program may do so, and must
// keep what was written: bytes that come late, twice or not at all are seen.
//	mixed [ROUNDS [SEED]]
#include "check.h"
#include <algorithm>
#include <atomic>
#include <random>
#include <string.h>
#include <thread>
#include <unistd.h>
#include <vector>

enum { PAGEABLE, LOCKED, REGISTERED, KINDS };

static const size_t WORDS = 150000;
static std::atomic<long> operations(0);

__global__ void change(unsigned *p, size_t n, unsigned a, unsigned b)
{
	size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;

	if (i < n)
		p[i] = p[i] * a + b;
}

static unsigned pattern(unsigned stamp, size_t i)
{
	return (stamp ^ (unsigned)i) * 2654435761u;
}

// Host memory that holds a pattern whenever it is not in use.
struct buffer {
	unsigned *p, stamp;
	cudaEvent_t used;	// the device has done with it

	void rest()
	{
		stamp++;
		for (size_t i = 0; i < WORDS; i++)
			p[i] = pattern(stamp, i);
	}

	bool rests(size_t from, size_t to) const
	{
		for (size_t i = from; i < to; i++)
			if (p[i] != pattern(stamp, i))
				return false;
		return true;
	}
};

// A part of a buffer and of the device's memory that an operation is about.
struct range {
	size_t at, n;

	size_t bytes() const { return n * sizeof(unsigned); }
};

struct turn {
	unsigned *p;
	size_t n;
};

static void CUDART_CB turn_around(void *arg)
{
	turn *t = (turn *)arg;

	for (size_t i = 0; i < t->n; i++)
		t->p[i] = t->p[i] * 3 + 1;
	delete t;
}

struct worker {
	cudaStream_t s;
	unsigned *d;
	std::vector<unsigned> model;	// what d holds when all before is done
	buffer host[KINDS];
	std::mt19937 random;

	unsigned below(unsigned n) { return (unsigned)(random() % n); }

	// Small ones are as likely as large ones.
	range some()
	{
		size_t n = std::min<size_t>(WORDS, 1 + below(2u << below(18)));

		return { below((unsigned)(WORDS - n + 1)), n };
	}

	buffer &pick(int kind)
	{
		buffer &b = host[kind];

		CHECK(cudaEventSynchronize(b.used));
		return b;
	}

	void make(unsigned seed);
	void end();
	void upload();
	void download();
	void there_and_back();
	void compute();
	void set();
	void move();
	void allocate();
	void wait(cudaEvent_t e);
	void step();
};

void worker::make(unsigned seed)
{
	void *pages;

	random.seed(seed);
	CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
	CHECK(cudaMalloc(&d, WORDS * sizeof(*d)));
	CHECK(cudaMemsetAsync(d, 0, WORDS * sizeof(*d), s));
	model.assign(WORDS, 0);
	host[PAGEABLE].p = (unsigned *)malloc(WORDS * sizeof(*d));
	CHECK(cudaMallocHost(&host[LOCKED].p, WORDS * sizeof(*d)));
	EXPECT(!posix_memalign(&pages, sysconf(_SC_PAGESIZE), WORDS * sizeof(*d)));
	CHECK(cudaHostRegister(pages, WORDS * sizeof(*d), cudaHostRegisterDefault));
	host[REGISTERED].p = (unsigned *)pages;
	for (buffer &b : host) {
		CHECK(cudaEventCreateWithFlags(&b.used, cudaEventDisableTiming));
		b.stamp = seed;
		b.rest();
	}
}

void worker::end()
{
	for (buffer &b : host) {
		CHECK(cudaEventSynchronize(b.used));
		CHECK(cudaEventDestroy(b.used));
	}
	CHECK(cudaStreamDestroy(s));
	CHECK(cudaHostUnregister(host[REGISTERED].p));
	CHECK(cudaFreeHost(host[LOCKED].p));
	free(host[PAGEABLE].p);
	free(host[REGISTERED].p);
	CHECK(cudaFree(d));
}

// Pageable memory may be used again when the call returns, other kinds later.
void worker::upload()
{
	int kind = below(KINDS);
	buffer &b = pick(kind);
	range r = some();

	b.rest();
	for (size_t i = r.at; i < r.at + r.n; i++)
		model[i] = b.p[i] = random();
	CHECK(cudaMemcpyAsync(d + r.at, b.p + r.at, r.bytes(), cudaMemcpyHostToDevice, s));
	if (kind == PAGEABLE)
		b.rest();
	else
		CHECK(cudaEventRecord(b.used, s));
}

void worker::wait(cudaEvent_t e)
{
	cudaError_t result;

	CHECK(cudaEventRecord(e, s));
	switch (below(3)) {
	case 0:
		CHECK(cudaStreamSynchronize(s));
		break;
	case 1:
		CHECK(cudaEventSynchronize(e));
		break;
	default:
		while ((result = cudaEventQuery(e)) == cudaErrorNotReady)
			usleep(50);
		CHECK(result);
	}
}

// What came is what should have come; else says where it begins to differ.
static void same(const char *kind, const unsigned *got, const unsigned *wanted, range r)
{
	size_t i = 0, last = r.n;

	if (!memcmp(got, wanted, r.bytes()))
		return;
	while (got[i] == wanted[i])
		i++;
	while (got[last - 1] == wanted[last - 1])
		last--;
	printf("%s memory, %zu words from %zu on: wrong from %zu to %zu: %x, not %x\n", kind, r.n,
	       r.at, i, last, got[i], wanted[i]);
	fflush(stdout);
	_exit(1);
}

void worker::download()
{
	static const char *const names[] = { "pageable", "locked", "registered" };
	int kind = below(KINDS);
	buffer &b = pick(kind);
	range r = some();

	b.rest();
	CHECK(cudaMemcpyAsync(b.p + r.at, d + r.at, r.bytes(), cudaMemcpyDeviceToHost, s));
	wait(b.used);
	same(names[kind], b.p + r.at, &model[r.at], r);
	EXPECT(b.rests(0, r.at) && b.rests(r.at + r.n, WORDS));
	// at once, and whoever writes there now is too late
	b.rest();
	if (below(2))
		usleep(below(300));
	EXPECT(b.rests(0, WORDS));
}

// Down, through a host function, up again: all of it in the stream's order.
void worker::there_and_back()
{
	buffer &b = pick(1 + below(KINDS - 1));
	range r = some();

	CHECK(cudaMemcpyAsync(b.p + r.at, d + r.at, r.bytes(), cudaMemcpyDeviceToHost, s));
	CHECK(cudaLaunchHostFunc(s, turn_around, new turn { b.p + r.at, r.n }));
	CHECK(cudaMemcpyAsync(d + r.at, b.p + r.at, r.bytes(), cudaMemcpyHostToDevice, s));
	CHECK(cudaEventRecord(b.used, s));
	for (size_t i = r.at; i < r.at + r.n; i++)
		model[i] = model[i] * 3 + 1;
	operations += 2;
}

void worker::compute()
{
	unsigned a = random() | 1, b = random();
	range r = some();

	change<<<(unsigned)((r.n + 255) / 256), 256, 0, s>>>(d + r.at, r.n, a, b);
	CHECK(cudaGetLastError());
	for (size_t i = r.at; i < r.at + r.n; i++)
		model[i] = model[i] * a + b;
}

void worker::set()
{
	unsigned value = below(256);
	range r = some();

	CHECK(cudaMemsetAsync(d + r.at, (int)value, r.bytes(), s));
	std::fill_n(model.begin() + r.at, r.n, value * 0x01010101u);
}

// A copy within the device, between ranges that do not overlap.
void worker::move()
{
	size_t n = 1 + below(WORDS / 2), to = WORDS - n;

	CHECK(cudaMemcpyAsync(d + to, d, n * sizeof(*d), cudaMemcpyDeviceToDevice, s));
	std::copy_n(model.begin(), n, model.begin() + to);
}

// Other memory, with the same in it.
void worker::allocate()
{
	unsigned *other;

	CHECK(cudaMalloc(&other, WORDS * sizeof(*other)));
	CHECK(cudaMemcpyAsync(other, d, WORDS * sizeof(*d), cudaMemcpyDeviceToDevice, s));
	CHECK(cudaStreamSynchronize(s));
	CHECK(cudaFree(d));
	d = other;
}

void worker::step()
{
	unsigned what = below(64);

	operations++;
	if (what < 16)
		upload();
	else if (what < 32)
		download();
	else if (what < 38)
		there_and_back();
	else if (what < 54)
		compute();
	else if (what < 59)
		set();
	else if (what < 63)
		move();
	else
		allocate();
}

// What one stream has comes into the other's memory, with events for order.
static void exchange(worker &from, worker &to, cudaEvent_t e)
{
	range r = from.some();

	CHECK(cudaEventRecord(e, from.s));
	CHECK(cudaStreamWaitEvent(to.s, e, 0));
	CHECK(cudaMemcpyAsync(to.d + r.at, from.d + r.at, r.bytes(), cudaMemcpyDeviceToDevice,
			      to.s));
	CHECK(cudaEventRecord(e, to.s));
	CHECK(cudaStreamWaitEvent(from.s, e, 0));
	std::copy_n(from.model.begin() + r.at, r.n, to.model.begin() + r.at);
	operations++;
}

static void work(unsigned seed, long rounds)
{
	worker pair[2];
	cudaEvent_t e;

	CHECK(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
	pair[0].make(seed);
	pair[1].make(seed + 1);
	for (long r = 0; r < rounds; r++) {
		pair[0].step();
		pair[1].step();
		if (r % 8 == 7)
			exchange(pair[r / 8 % 2], pair[1 - r / 8 % 2], e);
	}
	for (worker &w : pair) {
		w.download();
		w.end();
	}
	CHECK(cudaEventDestroy(e));
}

int main(int argc, char **argv)
{
	long rounds = (long)argument(argc, argv, 1, 100);
	unsigned seed = (unsigned)argument(argc, argv, 2, 1);
	std::thread other(work, seed + 2, rounds);

	work(seed, rounds);
	other.join();
	printf("seed %u: %ld operations\n", seed, operations.load());
	return pass();
}
