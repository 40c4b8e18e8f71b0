// SPDX-License-Identifier: MIT
/* Kernels that go wrong, text that is wrong, and the memory of the device. */
#include "engine_test.h"

#include <pthread.h>
#include <unistd.h>

#define PTR(p)		ARG((uintptr_t)(p))
#define SHAPE(...)	((struct run){ __VA_ARGS__ })

static struct sg_module *kernels(void)
{
	static struct sg_module *mod;
	char *text;

	if (mod)
		return mod;
	text = read_file(ENGINE_PTX "/kernels.ptx");
	if (!text || load_text(text, &mod) != CUDA_SUCCESS)
		exit(1);
	free(text);
	return mod;
}

TEST(illegal_addresses)
{
	struct sg_fault fault;
	int *p = dev_alloc(128), host[32] = { 0 };

	CHECK_EQ(run_kernel(kernels(), "store_at", SHAPE(.block = 32), &fault, 2, PTR(p), ARG(5)),
		 CUDA_SUCCESS);
	CHECK_EQ(p[31], 5);
	CHECK_EQ(run_kernel(kernels(), "store_at", SHAPE(.block = 33), &fault, 2, PTR(p), ARG(5)),
		 CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK(strstr(fault.text, "kernel store_at, block (0,0,0), thread (32,0,0)"));
	CHECK(strstr(fault.text, "st.global"));
	CHECK_EQ(run_kernel(kernels(), "store_at", SHAPE(0), &fault, 2, ARG(0), ARG(5)),
		 CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(run_kernel(kernels(), "store_at", SHAPE(0), &fault, 2, ARG(-4ull), ARG(5)),
		 CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(run_kernel(kernels(), "store_at", SHAPE(0), &fault, 2, PTR((char *)p + 2), ARG(5)),
		 CUDA_ERROR_MISALIGNED_ADDRESS);
	CHECK_EQ(run_kernel(kernels(), "store_at", SHAPE(.block = 32), &fault, 2, PTR(host),
			    ARG(5)),
		 CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(sg_host_add(host, sizeof(host)), CUDA_SUCCESS);
	CHECK_EQ(run_kernel(kernels(), "store_at", SHAPE(.block = 32), &fault, 2, PTR(host),
			    ARG(6)),
		 CUDA_SUCCESS);
	CHECK_EQ(host[31], 6);
	CHECK_EQ(sg_host_remove(host), CUDA_SUCCESS);
	CHECK_EQ(run_kernel(kernels(), "store_at", SHAPE(.block = 32), &fault, 2, PTR(host),
			    ARG(5)),
		 CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(run_kernel(kernels(), "shared_at", SHAPE(0), &fault, 2, ARG(3), PTR(p)),
		 CUDA_SUCCESS);
	CHECK_EQ(run_kernel(kernels(), "shared_at", SHAPE(0), &fault, 2, ARG(4), PTR(p)),
		 CUDA_ERROR_ILLEGAL_ADDRESS);
	CHECK_EQ(run_kernel(kernels(), "shared_at", SHAPE(0), &fault, 2, ARG(-1u), PTR(p)),
		 CUDA_ERROR_ILLEGAL_ADDRESS);
	dev_free(p);
}

TEST(other_faults)
{
	struct sg_fault fault;
	int *p = dev_alloc(128);

	CHECK_EQ(run_kernel(kernels(), "trap_it", SHAPE(.block = 64), &fault, 0),
		 CUDA_ERROR_ILLEGAL_INSTRUCTION);
	CHECK_EQ(run_kernel(kernels(), "overflow", SHAPE(.block = 32), &fault, 1, PTR(p)),
		 CUDA_ERROR_HARDWARE_STACK_ERROR);
	CHECK_EQ(run_kernel(kernels(), "half_barrier", SHAPE(.block = 64), &fault, 0),
		 CUDA_ERROR_LAUNCH_TIMEOUT);
	CHECK(strstr(fault.text, "barrier"));
	/* And the engine is as before. */
	CHECK_EQ(run_kernel(kernels(), "store_at", SHAPE(.block = 32), &fault, 2, PTR(p), ARG(5)),
		 CUDA_SUCCESS);
	dev_free(p);
}

static void *stop_later(void *stop)
{
	usleep(50000);
	__atomic_store_n((bool *)stop, true, __ATOMIC_RELAXED);
	return NULL;
}

TEST(stop)
{
	struct sg_fault fault;
	bool stop = false;
	pthread_t thread;
	int *p = dev_alloc(4);

	REQUIRE(!pthread_create(&thread, NULL, stop_later, &stop));
	CHECK_EQ(run_kernel(kernels(), "forever", SHAPE(.grid = 3, .block = 64, .stop = &stop),
			    &fault, 1, PTR(p)), CUDA_ERROR_LAUNCH_TIMEOUT);
	pthread_join(thread, NULL);
	dev_free(p);
}

static void *let_go(void *p)
{
	usleep(20000);
	__atomic_store_n((int *)p, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* A kernel sees what the host writes meanwhile. */
TEST(host_flag)
{
	struct sg_fault fault;
	pthread_t thread;
	int *p = dev_alloc(4);

	REQUIRE(!pthread_create(&thread, NULL, let_go, p));
	CHECK_EQ(run_kernel(kernels(), "forever", SHAPE(.grid = 2, .block = 32), &fault, 1, PTR(p)),
		 CUDA_SUCCESS);
	pthread_join(thread, NULL);
	dev_free(p);
}

#define HEAD ".version 8.0\n.target sm_75\n.address_size 64\n"

TEST(bad_text)
{
	static const struct { const char *text; CUresult want; const char *log; } bad[] = {
		{ "", CUDA_ERROR_INVALID_PTX, "line 1" },
		{ "hello", CUDA_ERROR_INVALID_PTX, "hello" },
		{ ".version 99.0\n.target sm_75\n", CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "version" },
		{ ".version 8.0\n.target sm_90\n", CUDA_ERROR_NO_BINARY_FOR_GPU, "sm_75" },
		{ ".version 8.0\n", CUDA_ERROR_INVALID_PTX, ".target" },
		{ HEAD ".entry k() { add.s32 %r1, %r2, %r3; }", CUDA_ERROR_INVALID_PTX, "line 4" },
		{ HEAD ".entry k() {\n.reg .b32 %r<4>;\n.reg .b64 %d;\nadd.s32 %r1, %d, %r3; }",
		  CUDA_ERROR_INVALID_PTX, "line 7" },
		{ HEAD ".entry k() { bra nowhere; }", CUDA_ERROR_INVALID_PTX, "nowhere" },
		{ HEAD ".entry k() { .reg .b32 %r; .reg .b32 %r; }", CUDA_ERROR_INVALID_PTX,
		  "twice" },
		{ HEAD ".entry k() { ret; ", CUDA_ERROR_INVALID_PTX, "end of the text" },
		{ HEAD ".global .b8 x[2] = {1, 2, 3};", CUDA_ERROR_INVALID_PTX, "room" },
		{ HEAD ".extern .global .b32 x;\n.entry k() { .reg .b64 %d; mov.u64 %d, x; }",
		  CUDA_ERROR_INVALID_PTX, "nowhere defined" },
		{ HEAD ".entry k() { .shared .b8 x[70000]; .reg .b32 %r; mov.u32 %r, x; }",
		  CUDA_ERROR_INVALID_PTX, "shared" },
		{ HEAD ".entry k(.param .b8 x[5000]) { ret; }", CUDA_ERROR_INVALID_PTX, "param" },
		{ HEAD ".entry k() { .reg .b32 %r<99999999>; }", CUDA_ERROR_INVALID_PTX, "regist" },
		{ HEAD ".entry k() { .reg .b32 %r; ld.param.u32 %r, [p]; }", CUDA_ERROR_INVALID_PTX,
		  "p" },
		{ HEAD ".entry k(.param .u32 p) { .reg .b32 %r; ld.param.u32 %r, [p+4]; }",
		  CUDA_ERROR_INVALID_PTX, "outside" },
	};
	struct sg_module *mod;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CUresult res = load_text(bad[i].text, &mod);

		CHECK_EQ(res, bad[i].want);
		if (!strstr(test_log, bad[i].log)) {
			test_failures++;
			printf("# %s: log is '%s'\n", bad[i].text, test_log);
		}
	}
}

TEST(not_supported)
{
	static const char text[] = HEAD
		".visible .entry k(.param .u32 p) {\n.reg .b32 %r<4>; .reg .f32 %f<9>;\n"
		".reg .pred %p;\n"
		"ld.param.u32 %r1, [p]; setp.eq.u32 %p, %r1, 0; @%p ret;\n"
		"tex.2d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [x, {%f5, %f6}];\nret;\n}\n";
	struct sg_module *mod;
	struct sg_fault fault;

	REQUIRE(load_text(text, &mod) == CUDA_SUCCESS);
	CHECK_EQ(run_kernel(mod, "k", SHAPE(0), &fault, 1, ARG(0)), CUDA_SUCCESS);
	CHECK_EQ(run_kernel(mod, "k", SHAPE(0), &fault, 1, ARG(1)), CUDA_ERROR_NOT_SUPPORTED);
	CHECK(strstr(fault.text, "tex.2d.v4.f32.f32"));
	sg_module_unload(mod);
}

/* Registers as parameters, scopes of {}, brx.idx, and vectors. */
TEST(old_style)
{
	static const char text[] = HEAD
		".func (.reg .u32 %out) sum(.reg .u32 %a, .reg .u32 %b)\n"
		"{ add.u32 %out, %a, %b; ret; }\n"
		".visible .entry k(.param .u64 p, .param .u32 i)\n{\n"
		".reg .b32 %r<9>; .reg .b64 %d<3>; .reg .b32 x;\n"
		"ld.param.u64 %d1, [p]; ld.param.u32 %r1, [i]; mov.u32 x, 1;\n"
		"{ .reg .b32 x; mov.u32 x, 50; call (%r2), sum, (x, %r1); }\n"
		"t: .branchtargets A, B, C;\nbrx.idx %r1, t;\n"
		"A: add.u32 %r2, %r2, 100; bra E;\nB: add.u32 %r2, %r2, 200; bra E;\n"
		"C: add.u32 %r2, %r2, 300;\nE: st.global.v2.u32 [%d1], {%r2, x};\n}\n";
	struct sg_fault fault;
	struct sg_module *mod;
	unsigned *out = dev_alloc(8);

	CHECK_EQ(load_text(text, &mod), CUDA_SUCCESS);
	REQUIRE(mod);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(run_kernel(mod, "k", SHAPE(0), &fault, 2, PTR(out), ARG(i)), CUDA_SUCCESS);
		CHECK_EQ(out[0], 150 + 101 * i);
		CHECK_EQ(out[1], 1);
	}
	CHECK_EQ(run_kernel(mod, "k", SHAPE(0), &fault, 2, PTR(out), ARG(3)),
		 CUDA_ERROR_ILLEGAL_INSTRUCTION);
	sg_module_unload(mod);
	dev_free(out);
}

TEST(memory)
{
	size_t left, total, size, before;
	struct sg_device *dev;
	CUdeviceptr p, base;

	sg_mem_info(device(), &before, &total);
	CHECK_EQ(total, DEVICE_BYTES);
	CHECK_EQ(sg_mem_alloc(device(), 0, &p), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(sg_mem_alloc(device(), DEVICE_BYTES + 1, &p), CUDA_ERROR_OUT_OF_MEMORY);
	CHECK_EQ(sg_mem_alloc(device(), -1ul, &p), CUDA_ERROR_OUT_OF_MEMORY);
	CHECK_EQ(sg_mem_alloc(device(), 1000, &p), CUDA_SUCCESS);
	CHECK_EQ(p % 512, 0);
	sg_mem_info(device(), &left, &total);
	CHECK_EQ(before - left, 1024);
	CHECK(sg_mem_find(p + 999, &dev, &base, &size));
	CHECK_EQ(base, p);
	CHECK_EQ(size, 1000);
	CHECK(dev == device());
	CHECK(!sg_mem_find(p + 1000, NULL, NULL, NULL));
	CHECK(!sg_mem_find(p - 1, NULL, NULL, NULL));
	CHECK_EQ(sg_mem_free(device(), p + 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(sg_mem_free(device(), p), CUDA_SUCCESS);
	CHECK_EQ(sg_mem_free(device(), p), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(sg_host_remove(&p), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
	CHECK_EQ(sg_host_add(&p, 8), CUDA_SUCCESS);
	CHECK_EQ(sg_host_add(&p, 8), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	CHECK_EQ(sg_host_remove(&p), CUDA_SUCCESS);
	REQUIRE(sg_module_global(kernels(), "counter", &base, NULL));
	CHECK_EQ(sg_mem_free(device(), base), CUDA_ERROR_INVALID_VALUE);
}

TEST(occupancy)
{
	const struct sg_function *f = sg_module_function(kernels(), "histogram");

	CHECK_EQ(sg_function_info(f)->static_shared, 1024);
	CHECK_EQ(sg_occupancy(f, 256, 0), 4);
	CHECK_EQ(sg_occupancy(f, 1024, 0), 1);
	CHECK_EQ(sg_occupancy(f, 32, 0), 16);
	CHECK_EQ(sg_occupancy(f, 256, 63 << 10), 1);
	CHECK_EQ(sg_occupancy(f, 256, 64 << 10), 0);
	CHECK_EQ(sg_occupancy(f, 2048, 0), 0);
}

static void *launch_many(void *bad)
{
	int *p = dev_alloc(4096);

	for (int i = 0; i < 50; i++) {
		struct sg_fault fault;

		if (run_kernel(kernels(), "store_at", SHAPE(.grid = 4, .block = 256), &fault, 2,
			       PTR(p), ARG(i)) != CUDA_SUCCESS || p[100] != i)
			__atomic_add_fetch((int *)bad, 1, __ATOMIC_RELAXED);
	}
	dev_free(p);
	return NULL;
}

TEST(launches_at_once)
{
	pthread_t t[4];
	int bad = 0;

	kernels();
	for (int i = 0; i < 4; i++)
		REQUIRE(!pthread_create(&t[i], NULL, launch_many, &bad));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(bad, 0);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
