// SPDX-License-Identifier: MIT
/*
 * The private tables: which there are, what their slots answer, and the
 * integrity check with the hash below it.
 */
#include "cudafront/internal.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define NDEVICES 2

static CUcontext current;
static unsigned loads;

static int device_count(void)
{
	return NDEVICES;
}

static CUresult device_uuid(CUuuid *uuid, CUdevice dev)
{
	memset(uuid, 0x40 + dev, sizeof(*uuid));
	return CUDA_SUCCESS;
}

static CUresult device_attribute(int *value, CUdevice_attribute attr, CUdevice dev)
{
	*value = attr * 100 + dev;
	return CUDA_SUCCESS;
}

static CUresult primary_context(CUcontext *ctx, CUdevice dev)
{
	*ctx = (CUcontext)(uintptr_t)(0x100 + dev);
	return dev < NDEVICES ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

static CUcontext current_context(void)
{
	return current;
}

static bool context_alive(CUcontext ctx)
{
	return true;
}

static CUresult context_id(CUcontext ctx, unsigned long long *id)
{
	*id = (uintptr_t)ctx + 1;
	return CUDA_SUCCESS;
}

static CUresult module_load(CUmodule *mod, const void *image)
{
	loads++;
	*mod = (CUmodule)image;
	return CUDA_SUCCESS;
}

static int module_functions(CUmodule mod, void (*cb)(void *user, CUfunction f, uint64_t extra),
			    void *user)
{
	if (!mod)
		return -CUDA_ERROR_INVALID_HANDLE;
	cb(user, (CUfunction)0x10, 0);
	cb(user, (CUfunction)0x20, 0);
	return 2;
}

static const struct cudafront_ops ops = {
	.driver_version = 13000,
	.device_count = device_count,
	.device_uuid = device_uuid,
	.device_attribute = device_attribute,
	.primary_context = primary_context,
	.current_context = current_context,
	.context_alive = context_alive,
	.context_id = context_id,
	.module_load = module_load,
	.module_functions = module_functions,
};

/* A table by its id in the usual notation; NULL: refused, as it has to be. */
static const uintptr_t *table(const char *text)
{
	const void *found = &ops;
	CUuuid id;

	for (int i = 0; i < 16; i++) {
		unsigned byte;

		text += *text == '-';
		sscanf(text, "%2x", &byte);
		id.bytes[i] = (char)byte;
		text += 2;
	}
	CHECK_EQ(cudafront_export_table(&found, &id),
		 found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
	return found;
}

#define CUDART_INTERFACE      "6bd5fb6c-5bf4-e74a-8987-d93912fd9df9"
#define RUNTIME_CALLBACK      "a094798c-2e74-2e74-93f2-0800200c0a66"
#define TOOLS_TLS	      "42d85a81-23f6-cb47-8298-f6e78a3aecdc"
#define CONTEXT_LOCAL_STORAGE "c693336e-1121-df11-a8c3-68f355d89593"
#define CONTEXT_CHECKS	      "263e8860-7cd2-6143-92f6-bbd5006dfa7e"
#define INTEGRITY_CHECK	      "d4082055-bde6-704b-8d34-ba123c66e1f2"
#define TOOLS_CONTEXT	      "21318c60-9714-3248-8ca6-41ff7324c8f2"
#define TOOLS_MODULE	      "6e163fbe-b958-444d-835c-e182aff1991e"
#define CUBLASLT	      "1734dc26-800d-4745-8726-c0f1e7dd8bca"

static const struct {
	const char *id;
	unsigned    words;
} sized[] = {
	{ CUDART_INTERFACE, 13 }, { RUNTIME_CALLBACK, 7 }, { TOOLS_TLS, 4 },
	{ CONTEXT_CHECKS, 4 },	  { INTEGRITY_CHECK, 3 },  { TOOLS_CONTEXT, 95 },
	{ TOOLS_MODULE, 64 },	  { CUBLASLT, 64 },
};

TEST(tables_say_their_size_and_have_no_holes)
{
	for (unsigned i = 0; i < sizeof(sized) / sizeof(sized[0]); i++) {
		const uintptr_t *t = table(sized[i].id);

		REQUIRE(t);
		CHECK_EQ(t[0], sized[i].words * 8);
		for (unsigned k = 1; k < sized[i].words; k++)
			CHECK(t[k]);
		CHECK(table(sized[i].id) == t);
	}
}

TEST(unknown_tables_are_refused)
{
	const void *found = &ops;

	CHECK(!table("f8cff951-2146-8b4e-b9e2-fb469e7c0dd9"));
	CHECK(!table("da9151d3-3ae6-cc41-a5c0-4f26d533e328"));
	CHECK(!table("6bd5fb6c-5bf4-e74a-8987-d93912fd9df8"));
	CHECK_EQ(cudafront_export_table(&found, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK(!found);
	CHECK_EQ(cudafront_export_table(NULL, NULL), CUDA_ERROR_INVALID_VALUE);
}

TEST(other_slots_are_not_supported)
{
	const uintptr_t *t = table(CUBLASLT), *c = table(TOOLS_CONTEXT);

	for (int k = 1; k < 64; k++)
		CHECK_EQ(((CUresult(*)(void))t[k])(), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(((CUresult(*)(void))c[1])(), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(((CUresult(*)(void))c[94])(), CUDA_ERROR_NOT_SUPPORTED);
}

/* In a child, since the environment is read once. */
static void call_traced(int output)
{
	const uintptr_t *t = table(TOOLS_MODULE);

	setenv("CUDAFRONT_TRACE", "1", 1);
	cudafront_init(&ops);
	dup2(output, STDERR_FILENO);
	((CUresult(*)(void))t[1])();
	((CUresult(*)(void))t[1])();
	((CUresult(*)(void))t[63])();
	_exit(0);
}

TEST(a_refusal_is_told_once)
{
	char text[512] = "";
	int ends[2], n = 0;
	pid_t pid;

	REQUIRE(!pipe(ends));
	pid = fork();
	if (!pid)
		call_traced(ends[1]);
	close(ends[1]);
	for (ssize_t r; (r = read(ends[0], text + n, sizeof(text) - 1 - n)) > 0;)
		n += r;
	close(ends[0]);
	waitpid(pid, NULL, 0);
	CHECK(!strcmp(text, "cudafront: slot 1 of table TOOLS_MODULE is not supported\n"
			    "cudafront: slot 63 of table TOOLS_MODULE is not supported\n"));
}

TEST(cudart_interface)
{
	const uintptr_t *t = table(CUDART_INTERFACE);
	CUcontext ctx = NULL;
	CUmodule mod = NULL;

	CHECK_EQ(((CUresult(*)(CUcontext *, CUdevice))t[2])(&ctx, 1), CUDA_SUCCESS);
	CHECK(ctx == (CUcontext)0x101);
	CHECK_EQ(((CUresult(*)(CUcontext *, CUdevice))t[2])(&ctx, 2), CUDA_ERROR_INVALID_DEVICE);
	loads = 0;
	CHECK_EQ(((CUresult(*)(CUmodule *, const void *))t[1])(&mod, "a"), CUDA_SUCCESS);
	CHECK_EQ(((CUresult(*)(CUmodule *, const void *, void *, void *, unsigned))t[6])(
			 &mod, "b", NULL, NULL, 0),
		 CUDA_SUCCESS);
	((void (*)(size_t))t[7])(4096);
	CHECK_EQ(((CUresult(*)(const void *, CUmodule *, void *, void *, unsigned))t[8])(
			 "c", &mod, NULL, NULL, 0),
		 CUDA_SUCCESS);
	CHECK(!strcmp((char *)mod, "c"));
	CHECK_EQ(loads, 3);
	CHECK_EQ(((CUresult(*)(void))t[12])(), CUDA_SUCCESS);
}

static void check_callbacks(unsigned slot, size_t least)
{
	const uintptr_t *t = table(RUNTIME_CALLBACK);
	uint32_t *array = NULL;
	size_t count = 0;

	((void (*)(uint32_t **, size_t *))t[slot])(&array, &count);
	CHECK(count >= least);
	for (size_t i = 0; i < count; i++)
		CHECK_EQ(array[i], 0);
}

TEST(no_tool_wants_callbacks)
{
	check_callbacks(2, 1024);
	check_callbacks(6, 14);
}

TEST(contexts)
{
	const uintptr_t *tls = table(TOOLS_TLS), *checks = table(CONTEXT_CHECKS);
	const uintptr_t *tools = table(TOOLS_CONTEXT);
	CUresult (*id_of)(CUcontext, uint64_t *) = (void *)tools[4];
	CUcontext ctx = NULL;
	uint32_t flags = 7;
	uint64_t id = 0, word = 7;
	void *object = NULL;

	current = (CUcontext)0x55;
	CHECK_EQ(((CUresult(*)(CUcontext *))tls[2])(&ctx), CUDA_SUCCESS);
	CHECK(ctx == current);
	CHECK_EQ(((CUresult(*)(CUcontext, uint32_t *, void *))checks[2])(ctx, &flags, NULL), 0);
	CHECK_EQ(flags, 0);
	CHECK_EQ(((uint32_t(*)(void))checks[3])(), 0);
	CHECK_EQ(id_of(NULL, &id), CUDA_SUCCESS);
	CHECK_EQ(id, 0x56);
	CHECK_EQ(id_of((CUcontext)0x60, &id), CUDA_SUCCESS);
	CHECK_EQ(id, 0x61);
	CHECK_EQ(((CUresult(*)(CUcontext, CUstream, void **))tools[51])(ctx, NULL, &object), 0);
	CHECK(object);
	CHECK_EQ(((CUresult(*)(CUcontext, void *, uint64_t *))tools[39])(ctx, object, &word), 0);
	CHECK_EQ(word, 0);
	current = NULL;
	CHECK_EQ(id_of(NULL, &id), CUDA_ERROR_INVALID_CONTEXT);
}

static void add_function(void *user, CUfunction f, uint64_t extra)
{
	*(uintptr_t *)user += (uintptr_t)f;
}

TEST(functions_of_a_module)
{
	typedef uint32_t list(CUcontext, CUmodule, void (*)(void *, CUfunction, uint64_t), void *);
	list *functions = (list *)table(TOOLS_MODULE)[7];
	uintptr_t sum = 0;

	CHECK_EQ(functions(NULL, (CUmodule)1, add_function, &sum), 2);
	CHECK_EQ(sum, 0x30);
	CHECK_EQ(functions(NULL, NULL, add_function, &sum), 0);
}

TEST(local_storage_has_no_size_word)
{
	const uintptr_t *t = table(CONTEXT_LOCAL_STORAGE);

	REQUIRE(t);
	CHECK(t[0] == (uintptr_t)cudafront_cls_put);
	CHECK(t[1] == (uintptr_t)cudafront_cls_delete);
	CHECK(t[2] == (uintptr_t)cudafront_cls_get);
	CHECK(!t[3]);
}

/* ---- integrity ---- */

static bool md2_is(const char *text, const char *expected)
{
	struct cudafront_md2 md2;
	uint8_t digest[MD2_BLOCK];
	char hex[2 * MD2_BLOCK + 1];

	cudafront_md2_init(&md2);
	cudafront_md2_update(&md2, text, strlen(text));
	cudafront_md2_final(&md2, digest);
	for (int i = 0; i < MD2_BLOCK; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
	return !strcmp(hex, expected);
}

/* The suite of RFC 1319, A.5. */
TEST(md2)
{
	CHECK(md2_is("", "8350e5a3e24c153df2275c9f80692773"));
	CHECK(md2_is("a", "32ec01ec4a6dac72c0ab96fb34c0b5d1"));
	CHECK(md2_is("abc", "da853b0d3f88d99b30283a69e6ded6bb"));
	CHECK(md2_is("message digest", "ab4f496bfb2a530b219ff33031fe06b0"));
	CHECK(md2_is("abcdefghijklmnopqrstuvwxyz", "4e8ddff3650292ab5a4108c3aa47940b"));
	CHECK(md2_is("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
		     "da33def2a42df13975352846c30338cd"));
	CHECK(md2_is("1234567890123456789012345678901234567890"
		     "1234567890123456789012345678901234567890",
		     "d5976f79d83d3a0dc9806c3c66f3efd8"));
}

typedef CUresult check_function(uint32_t version, uint64_t seconds, uint64_t answer[2]);

static check_function *check(void)
{
	return (check_function *)table(INTEGRITY_CHECK)[1];
}

TEST(two_answers_are_fixed)
{
	static const uint32_t version[] = { 13000, 12040, 11080 };

	for (int i = 0; i < 3; i++) {
		uint64_t answer[2];

		CHECK_EQ(check()(version[i], 1700000000 + i, answer), CUDA_SUCCESS);
		CHECK_EQ(answer[0], 0x3341181C03CB675C);
		CHECK_EQ(answer[1], 0x8ED383AA1F4CD1E8);
		CHECK_EQ(check()(version[i] + 1, 1700000000 + i, answer), CUDA_SUCCESS);
		CHECK_EQ(answer[0], 0x1841181C03CB675C);
		CHECK_EQ(answer[1], 0x8ED383AA1F4CD1E8);
	}
	CHECK_EQ(check()(13000, 0, NULL), CUDA_ERROR_INVALID_VALUE);
}

/* HMAC as RFC 2104 writes it down, over a whole message. */
static void hmac(const void *message, size_t length, uint8_t digest[MD2_BLOCK])
{
	static const uint8_t key[MD2_BLOCK] = { 0x14, 0x6A, 0xDD, 0xAE, 0x53, 0xA9, 0xA7, 0x52,
						0xAA, 0x08, 0x41, 0x36, 0x0B, 0xF5, 0x5A, 0x9F };
	uint8_t pad[2][MD2_BLOCK];
	struct cudafront_md2 md2;

	for (int i = 0; i < MD2_BLOCK; i++) {
		pad[0][i] = key[i] ^ 0x36;
		pad[1][i] = key[i] ^ 0x5c;
	}
	cudafront_md2_init(&md2);
	cudafront_md2_update(&md2, pad[0], MD2_BLOCK);
	cudafront_md2_update(&md2, message, length);
	cudafront_md2_final(&md2, digest);
	cudafront_md2_init(&md2);
	cudafront_md2_update(&md2, pad[1], MD2_BLOCK);
	cudafront_md2_update(&md2, digest, MD2_BLOCK);
	cudafront_md2_final(&md2, digest);
}

static size_t append(uint8_t *message, size_t at, uint64_t value, size_t size)
{
	memcpy(message + at, &value, size);
	return at + size;
}

static size_t build_message(uint8_t *message, uint32_t version, uint64_t seconds)
{
	const uintptr_t *integrity = table(INTEGRITY_CHECK);
	size_t n = 0;

	n = append(message, n, 13000, 4);
	n = append(message, n, version, 4);
	n = append(message, n, getpid(), 4);
	n = append(message, n, pthread_self(), 4);
	n = append(message, n, (uintptr_t)table(CUDART_INTERFACE), 8);
	n = append(message, n, (uintptr_t)integrity, 8);
	n = append(message, n, integrity[1], 8);
	n = append(message, n, seconds, 8);
	for (int dev = 0; dev < NDEVICES; dev++) {
		memset(message + n, 0x40 + dev, 16);
		n += 16;
		n = append(message, n, 5000 + dev, 4);
		n = append(message, n, 3300 + dev, 4);
		n = append(message, n, 3400 + dev, 4);
	}
	return n;
}

static void *check_third_answer(void *unused)
{
	uint8_t message[256], expected[MD2_BLOCK];
	uint64_t answer[2];

	CHECK_EQ(check()(13002, 1700000000, answer), CUDA_SUCCESS);
	hmac(message, build_message(message, 13002, 1700000000), expected);
	CHECK(!memcmp(answer, expected, sizeof(answer)));
	return NULL;
}

TEST(the_third_answer_covers_thread_and_devices)
{
	pthread_t thread;

	check_third_answer(NULL);
	pthread_create(&thread, NULL, check_third_answer, NULL);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	cudafront_init(&ops);
	return test_main(argc, argv);
}
