/* SPDX-License-Identifier: MIT */
/*
 * libcuda before a worker that dies or lies: an error in due time, never a
 * hang or a crash. Each case is a process with a session of its own; its fake
 * worker is a thread of the parent.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "libcuda/api.h"
#include "libcuda/code.h"
#include "libcuda/hostfn.h"
#include "test.h"

static char path[108];
static int listener;

/* ---- the fake worker ---- */

static void good_answer(struct vgpu_answer *a)
{
	*a = (struct vgpu_answer){
		.magic = VGPU_HELLO_MAGIC, .version = VGPU_HELLO_VERSION, .ndevices = 1,
		.driver_version = 13000,
	};
}

static struct vgpu_channel *accept_one(struct vgpu_answer *a, size_t length)
{
	static struct vgpu_hello hello;
	size_t hello_length = sizeof(hello);
	struct vgpu_channel *ch;

	if (vgpu_channel_accept(&ch, accept(listener, NULL, NULL), &hello, &hello_length, 5000))
		return NULL;
	if (vgpu_hello_check(&hello, hello_length))
		printf("# the hello is not good: %s\n", vgpu_hello_check(&hello, hello_length));
	vgpu_channel_answer(ch, a, length);
	return ch;
}

static bool pending(void *ch)
{
	return vgpu_record_pending(ch);
}

static _Alignas(8) uint8_t last_call[256 << 10];

static uint16_t call_next(struct vgpu_channel *ch, uint64_t *seq)
{
	struct vgpu_record *r = (struct vgpu_record *)last_call;

	if (vgpu_channel_wait(ch, pending, ch, 5000) ||
	    vgpu_record_receive(ch, last_call, sizeof(last_call)) <= 0)
		return 0;
	*seq = r->seq;
	return r->opcode;
}

static void reply(struct vgpu_channel *ch, uint16_t opcode, uint64_t seq, CUresult status,
		  size_t more)
{
	struct vgpu_completion *c = vgpu_record_reserve(ch, sizeof(*c) + more);

	memset((char *)c + sizeof(c->r), 0, sizeof(*c) + more - sizeof(c->r));
	c->seq = seq;
	c->status = status;
	vgpu_record_commit(ch, opcode, 0);
}

static void reply_info(struct vgpu_channel *ch, uint64_t seq)
{
	struct vgpu_vgpu_device_info_out *out = vgpu_record_reserve(ch, sizeof(*out));

	memset((char *)out + sizeof(out->c.r), 0, sizeof(*out) - sizeof(out->c.r));
	out->c.seq = seq;
	out->info.attributes[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID] = 0x1a;
	vgpu_record_commit(ch, VGPU_OP_vgpu_device_info, 0);
}

/* Serves until a context is there; then the case goes on. */
static struct vgpu_channel *serve_start(void)
{
	struct vgpu_answer a;
	struct vgpu_channel *ch;
	uint64_t seq = 0;

	good_answer(&a);
	ch = accept_one(&a, sizeof(a));
	if (!ch)
		return NULL;
	if (call_next(ch, &seq) == VGPU_OP_vgpu_device_info)
		reply_info(ch, seq);
	if (call_next(ch, &seq) == VGPU_OP_cuDevicePrimaryCtxRetain)
		reply(ch, VGPU_OP_cuDevicePrimaryCtxRetain, seq, 0, 0);
	return ch;
}

/* ---- the app ---- */

static CUresult context(void)
{
	CUcontext ctx;
	CUresult r = cuInit(0);

	if (!r)
		r = cuDevicePrimaryCtxRetain(&ctx, 0);
	if (!r)
		r = cuCtxSetCurrent(ctx);
	return r;
}

static int app_info(void)
{
	size_t free, total;
	CUresult r = context();

	if (r)
		return 100;
	r = cuMemGetInfo_v2(&free, &total);
	/* And again: a lost channel stays lost. */
	return cuMemGetInfo_v2(&free, &total) == r ? (int)r & 0xff : 101;
}

static int app_init(void)
{
	return cuInit(0);
}

static int app_alloc(void)
{
	CUdeviceptr p;
	CUresult r = context();

	return r ? 100 : (int)cuMemAlloc_v2(&p, 4096) & 0xff;
}

/* Runs @app in a child against @worker here; its exit code, or -1 for a hang or signal. */
static int run(int (*app)(void), void (*worker)(void))
{
	int status;
	pid_t child = fork();

	if (!child) {
		alarm(10);
		setenv("VGPU_DEVICES", "none", 1);
		setenv("VGPU_SOCKET", path, 1);
		close(listener);
		_exit(app());
	}
	worker();
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Serves what every app() begins with, and hangs up a moment later. */
static void start_only(void)
{
	struct vgpu_channel *ch = serve_start();

	REQUIRE(ch);
	usleep(200000);
	vgpu_channel_close(ch);
}

/* ---- cases ---- */

static int app_pci(void)
{
	CUdevice dev = 7;

	if (context())
		return 100;
	if (cuDeviceGetByPCIBusId(&dev, "0000:1a:00.0") || dev)
		return 101;
	dev = 7;
	if (cuDeviceGetByPCIBusId(&dev, "1a:00.0") || dev)
		return 102;
	return cuDeviceGetByPCIBusId(&dev, "1b:00.0") != CUDA_ERROR_INVALID_DEVICE;
}

TEST(a_device_is_found_without_its_domain)
{
	CHECK_EQ(run(app_pci, start_only), 0);
}

static void no_worker(void)
{
	close(accept(listener, NULL, NULL));
}

TEST(hang_up_instead_of_an_answer)
{
	CHECK_EQ(run(app_init, no_worker), CUDA_ERROR_NO_DEVICE);
}

/* A fork child of a process that found no GPU finds none, either. */
static int app_init_fork(void)
{
	CUresult r = cuInit(0);
	int status;
	pid_t child = fork();

	if (!child)
		_exit(cuInit(0));
	waitpid(child, &status, 0);
	return WEXITSTATUS(status) == (int)r ? (int)r : 1;
}

TEST(no_device_for_a_fork_child)
{
	CHECK_EQ(run(app_init_fork, no_worker), CUDA_ERROR_NO_DEVICE);
}

static int app_fork(void)
{
	int status;
	pid_t child;

	if (context())
		return 100;
	child = fork();
	if (!child)
		_exit(cuInit(0));
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

TEST(no_session_for_a_fork_child)
{
	CHECK_EQ(run(app_fork, start_only), CUDA_ERROR_NOT_INITIALIZED);
}

/*
 * A child of the child, too, has no channel to give up: its descriptors' numbers
 * are those of other files by now.
 */
static int app_fork_twice(void)
{
	int files[16], status;

	if (context())
		return 100;
	if (!fork()) {
		for (int i = 0; i < 16; i++)
			files[i] = dup(STDERR_FILENO);
		if (!fork()) {
			for (int i = 0; i < 16; i++)
				if (fcntl(files[i], F_GETFD))
					_exit(101);
			_exit(cuInit(0));
		}
		wait(&status);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 102);
	}
	wait(&status);
	return WEXITSTATUS(status);
}

TEST(nothing_is_taken_from_a_child_of_a_child)
{
	CHECK_EQ(run(app_fork_twice, start_only), CUDA_ERROR_NOT_INITIALIZED);
}

static int app_hostmem(void)
{
	void *p;

	if (context())
		return 100;
	usleep(500000);		/* the worker has hung up by now */
	return cuMemHostAlloc(&p, 4096, 0);
}

TEST(no_page_locked_memory_of_a_lost_channel)
{
	CHECK_EQ(run(app_hostmem, start_only), CUDA_ERROR_DEVICE_UNAVAILABLE);
}

static void short_answer(void)
{
	struct vgpu_answer a;

	good_answer(&a);
	vgpu_channel_close(accept_one(&a, sizeof(a) - 8));
}

TEST(answer_of_wrong_length)
{
	CHECK_EQ(run(app_init, short_answer), CUDA_ERROR_SYSTEM_DRIVER_MISMATCH & 0xff);
}

static void refusal(void)
{
	struct vgpu_answer a;

	good_answer(&a);
	a.status = CUDA_ERROR_SYSTEM_NOT_READY & 0xff;
	strcpy(a.text, "(a test refuses)");
	vgpu_channel_close(accept_one(&a, sizeof(a)));
}

TEST(refusal_is_passed_on)
{
	CHECK_EQ(run(app_init, refusal), CUDA_ERROR_SYSTEM_NOT_READY & 0xff);
}

static void death_in_a_call(void)
{
	struct vgpu_channel *ch = serve_start();
	uint64_t seq = 0;

	REQUIRE(ch);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_cuMemGetInfo_v2);
	usleep(200000);		/* the app sleeps by now */
	vgpu_channel_close(ch);
}

TEST(death_while_a_call_waits)
{
	CHECK_EQ(run(app_info, death_in_a_call), CUDA_ERROR_DEVICE_UNAVAILABLE);
}

static void lie(void (*how)(struct vgpu_channel *ch, uint64_t seq))
{
	struct vgpu_channel *ch = serve_start();
	uint64_t seq = 0;

	REQUIRE(ch);
	CHECK(call_next(ch, &seq));
	how(ch, seq);
	usleep(300000);
	vgpu_channel_close(ch);
}

static void wrong_seq(struct vgpu_channel *ch, uint64_t seq)
{
	reply(ch, VGPU_OP_cuMemGetInfo_v2, seq + 1, 0, 16);
}

static void lie_seq(void)
{
	lie(wrong_seq);
}

TEST(completion_of_no_call)
{
	CHECK_EQ(run(app_info, lie_seq), CUDA_ERROR_DEVICE_UNAVAILABLE);
}

static void wrong_call(struct vgpu_channel *ch, uint64_t seq)
{
	reply(ch, VGPU_OP_cuCtxSynchronize, seq, 0, 16);
	usleep(1200000);	/* to be found out before the worker hangs up */
}

static void lie_call(void)
{
	lie(wrong_call);
}

static int app_info_soon(void)
{
	alarm(1);
	return app_info();
}

TEST(completion_of_another_call)
{
	CHECK_EQ(run(app_info_soon, lie_call), CUDA_ERROR_DEVICE_UNAVAILABLE);
}

static void too_short(struct vgpu_channel *ch, uint64_t seq)
{
	reply(ch, VGPU_OP_cuMemGetInfo_v2, seq, 0, 8);
}

static void lie_short(void)
{
	lie(too_short);
}

TEST(completion_without_its_results)
{
	int r = run(app_info, lie_short);

	CHECK(r > 0 && r != 101);
}

static void bytes_of_nothing(struct vgpu_channel *ch, uint64_t seq)
{
	struct vgpu_notice_data *n = vgpu_record_reserve(ch, sizeof(*n));

	n->transfer = 1;
	n->offset = 0;
	n->chunk = (struct vgpu_chunk){ .pos = 12345, .length = 4096 };
	vgpu_record_commit(ch, VGPU_NOTICE_DATA, 0);
}

static void lie_data(void)
{
	lie(bytes_of_nothing);
}

TEST(bytes_that_were_never_published)
{
	CHECK_EQ(run(app_info, lie_data), CUDA_ERROR_DEVICE_UNAVAILABLE);
}

static void unknown_hostfn(struct vgpu_channel *ch, uint64_t seq)
{
	struct vgpu_notice_hostfn *n = vgpu_record_reserve(ch, sizeof(*n));

	memset((char *)n + sizeof(n->r), 0, sizeof(*n) - sizeof(n->r));
	n->token = 99;
	vgpu_record_commit(ch, VGPU_NOTICE_HOSTFN, 0);
}

static void lie_hostfn(void)
{
	lie(unknown_hostfn);
}

TEST(host_function_that_nobody_gave)
{
	CHECK_EQ(run(app_info, lie_hostfn), CUDA_ERROR_DEVICE_UNAVAILABLE);
}

/*
 * A notice is received by whoever is at it; the bell that came with it may have
 * woken the thread of host functions too early.
 */
static void set_flag(void *flag)
{
	*(_Atomic bool *)flag = true;
}

static int app_hostfn(void)
{
	const struct vgpu_notice_hostfn n = { .token = 1 };
	static _Atomic bool called;

	if (context() || cuLaunchHostFunc(NULL, set_flag, &called))
		return 100;
	usleep(200000);		/* the thread sleeps by now */
	if (called || !vgpu_hostfn_due(vgpu_device_get(0)->session, &n))
		return 101;
	for (int i = 0; i < 200 && !called; i++)
		usleep(10000);
	return called ? 0 : 102;
}

static void hostfn_silently(void)
{
	struct vgpu_channel *ch = serve_start();
	uint64_t seq = 0;

	REQUIRE(ch);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_cuLaunchHostFunc);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_vgpu_hostfn_done);
	vgpu_channel_close(ch);
}

TEST(host_function_that_another_thread_received)
{
	CHECK_EQ(run(app_hostfn, hostfn_silently), 0);
}

/* Its context ended, say after a fault: nobody waits for it any more. */
static int app_hostfn_reset(void)
{
	const struct vgpu_notice_hostfn n = { .token = 1 };
	static _Atomic bool called;

	if (context() || cuLaunchHostFunc(NULL, set_flag, &called) ||
	    cuDevicePrimaryCtxReset_v2(0))
		return 100;
	return vgpu_hostfn_due(vgpu_device_get(0)->session, &n) || called;
}

static void reset_one(void)
{
	struct vgpu_channel *ch = serve_start();
	uint64_t seq = 0;

	REQUIRE(ch);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_cuLaunchHostFunc);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_cuDevicePrimaryCtxReset_v2);
	reply(ch, VGPU_OP_cuDevicePrimaryCtxReset_v2, seq, 0, 0);
	usleep(100000);
	vgpu_channel_close(ch);
}

TEST(host_functions_end_with_their_context)
{
	CHECK_EQ(run(app_hostfn_reset, reset_one), 0);
}

/* ---- attributes of a kernel and of a function that was got from it ---- */

#define SHARED	CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES

static uint64_t function_new(enum vgpu_kind kind, uint64_t owner)
{
	static struct vgpu_function known[2];
	static _Atomic(struct vgpu_function *) on[2][VGPU_MAX_DEVICES];
	unsigned n = kind == VGPU_KIND_FUNCTION;
	uint64_t h;
	struct vgpu_object *o = vgpu_object_new(vgpu_device_get(0)->session, kind, 0, &h);

	on[n][0] = &known[n];
	o->code.on = on[n];
	o->code.owner = owner;
	vgpu_object_publish(o, h);
	return h;
}

static int app_attributes(void)
{
	CUfunction f;
	CUkernel k;
	int v;

	if (context())
		return 100;
	k = (CUkernel)(uintptr_t)function_new(VGPU_KIND_KERNEL, 0);
	f = (CUfunction)(uintptr_t)function_new(VGPU_KIND_FUNCTION, (uintptr_t)k);
	if (cuKernelSetAttribute(SHARED, 70000, k, 0) || cuFuncGetAttribute(&v, SHARED, f) ||
	    v != 70000)
		return 101;
	if (cuFuncSetAttribute(f, SHARED, 60000) || cuKernelSetAttribute(SHARED, 50000, k, 0))
		return 102;
	return cuFuncGetAttribute(&v, SHARED, f) || v != 60000;
}

static void attributes(void)
{
	struct vgpu_channel *ch = serve_start();
	uint64_t seq = 0;

	REQUIRE(ch);
	for (int i = 0; i < 3; i++) {
		uint16_t op = call_next(ch, &seq);

		reply(ch, op, seq, 0, 0);
	}
	usleep(100000);
	vgpu_channel_close(ch);
}

TEST(a_function_follows_its_kernel)
{
	CHECK_EQ(run(app_attributes, attributes), 0);
}

/* A context that is named need not be current. */
static int app_sync_named(void)
{
	CUcontext ctx;

	if (context() || cuCtxPopCurrent_v2(&ctx))
		return 100;
	if (cuCtxSynchronize_v2(NULL) != CUDA_ERROR_INVALID_CONTEXT)
		return 101;
	return cuCtxSynchronize_v2(ctx);
}

static void sync_named(void)
{
	struct vgpu_channel *ch = serve_start();
	uint64_t seq = 0;

	REQUIRE(ch);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_cuCtxSynchronize);
	reply(ch, VGPU_OP_cuCtxSynchronize, seq, 0, 0);
	usleep(100000);
	vgpu_channel_close(ch);
}

TEST(a_context_is_synchronized_by_name)
{
	CHECK_EQ(run(app_sync_named, sync_named), 0);
}

/* What the host may look at when a synchronous call returns is there. */
static int app_host_set(void)
{
	CUdeviceptr dev;
	void *p;

	if (context() || cuMemHostAlloc(&p, 4096, 0) || cuMemHostGetDevicePointer_v2(&dev, p, 0))
		return 100;
	return cuMemsetD8Async(dev, 1, 4096, NULL) || cuMemsetD8_v2(dev, 1, 4096) ||
	       cuMemcpyHtoD_v2(dev, &dev, sizeof(dev));
}

static void host_set(void)
{
	const struct vgpu_cuMemHostAlloc_in *in = (void *)last_call;
	struct vgpu_channel *ch = serve_start();
	struct vgpu_cuMemHostAlloc_out *out;
	uint64_t seq = 0;

	REQUIRE(ch);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_cuMemHostAlloc);
	out = vgpu_record_reserve(ch, sizeof(*out));
	memset((char *)out + sizeof(out->c.r), 0, sizeof(*out) - sizeof(out->c.r));
	out->c.seq = seq;
	out->device = in->address;
	vgpu_record_commit(ch, VGPU_OP_cuMemHostAlloc, 0);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_cuMemsetD8Async);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_cuMemsetD8Async);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_cuStreamSynchronize);
	reply(ch, VGPU_OP_cuStreamSynchronize, seq, 0, 0);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_vgpu_memcpy_up);
	CHECK_EQ(call_next(ch, &seq), VGPU_OP_cuStreamSynchronize);
	reply(ch, VGPU_OP_cuStreamSynchronize, seq, 0, 0);
	usleep(100000);
	vgpu_channel_close(ch);
}

TEST(synchronous_calls_wait_for_host_memory)
{
	CHECK_EQ(run(app_host_set, host_set), 0);
}

/* Device memory always where the app has its own: asked again, given up in the end. */
static void always_clashing(void)
{
	struct vgpu_channel *ch = serve_start();
	uint64_t seq = 0;
	uint16_t op;
	int clashes = 0;

	REQUIRE(ch);
	while ((op = call_next(ch, &seq)) != 0) {
		bool address = op != VGPU_OP_cuMemFree_v2;
		struct vgpu_cuMemAlloc_v2_out *out =
			vgpu_record_reserve(ch, address ? sizeof(*out) : sizeof(out->c));

		clashes += op == VGPU_OP_vgpu_mem_clash;
		memset((char *)out + sizeof(out->c.r), 0, sizeof(out->c) - sizeof(out->c.r));
		out->c.seq = seq;
		if (address)
			out->dptr = (uintptr_t)path & ~4095ull;	/* mapped in the child as well */
		vgpu_record_commit(ch, op, 0);
		if (!address)
			break;
	}
	CHECK(clashes > 3);
	usleep(100000);
	vgpu_channel_close(ch);
}

TEST(addresses_that_always_clash)
{
	CHECK_EQ(run(app_alloc, always_clashing), CUDA_ERROR_OUT_OF_MEMORY);
}

int main(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/vgpu-test-XXXXXX";
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/s", dir);
	strcpy(a.sun_path, path);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(listener, (void *)&a, sizeof(a)) || listen(listener, 4))
		return 1;
	failed = test_main(argc, argv);
	unlink(path);
	rmdir(dir);
	return failed;
}
