// SPDX-License-Identifier: MIT
/*
 * The private tables of functions that NVIDIA's runtimes and libraries ask a
 * driver for by id. Only slots that are known to be called do something; any
 * other returns CUDA_ERROR_NOT_SUPPORTED and, with CUDAFRONT_TRACE set in the
 * environment, says once that it was called.
 */
#include "internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cudafront_ops *cudafront_ops;

/* ---- what the slots do ---- */

static CUresult cudart_module_load(CUmodule *mod, const void *wrapper)
{
	return cudafront_ops->module_load(mod, wrapper);
}

static CUresult cudart_primary_context(CUcontext *ctx, CUdevice dev)
{
	return cudafront_ops->primary_context(ctx, dev);
}

static CUresult cudart_module_load_wrapper(CUmodule *mod, const void *wrapper, void *unused1,
					   void *unused2, unsigned unused3)
{
	return cudafront_ops->module_load(mod, wrapper);
}

static void cudart_nothing(size_t unused)
{
}

static CUresult cudart_module_load_fatbin(const void *fatbin, CUmodule *mod, void *unused1,
					  void *unused2, unsigned unused3)
{
	return cudafront_ops->module_load(mod, fatbin);
}

static CUresult cudart_load_compilers(void)
{
	return CUDA_SUCCESS;
}

/*
 * Which calls and domains of the runtime a tool wants to see: none. Runtimes
 * index these without a look at the count, 13.0 up to 522 and 13.
 */
static uint32_t wanted_calls[2048], wanted_domains[64];

static void callback_calls(uint32_t **array, size_t *count)
{
	*array = wanted_calls;
	*count = sizeof(wanted_calls) / sizeof(wanted_calls[0]);
}

static void callback_domains(uint32_t **array, size_t *count)
{
	*array = wanted_domains;
	*count = sizeof(wanted_domains) / sizeof(wanted_domains[0]);
}

static CUresult tls_current_context(CUcontext *ctx)
{
	*ctx = cudafront_ops->current_context();
	return CUDA_SUCCESS;
}

/* Asked before many calls; whether @ctx lives is left to the call that follows. */
static CUresult checks_context(CUcontext ctx, uint32_t *flags, const void **detail)
{
	*flags = 0;
	return CUDA_SUCCESS;
}

static uint32_t checks_flags(void)
{
	return 0;
}

static CUresult context_id(CUcontext ctx, uint64_t *id)
{
	unsigned long long value;
	CUresult r;

	if (!ctx)
		ctx = cudafront_ops->current_context();
	if (!ctx)
		return CUDA_ERROR_INVALID_CONTEXT;
	r = cudafront_ops->context_id(ctx, &value);
	if (!r)
		*id = value;
	return r;
}

/* cuBLAS asks for some object of a stream and then for a word of that object. */
static uint64_t stream_object;

static CUresult context_stream_object(CUcontext ctx, CUstream stream, void **object)
{
	*object = &stream_object;
	return CUDA_SUCCESS;
}

static CUresult context_stream_word(CUcontext ctx, void *object, uint64_t *word)
{
	*word = 0;
	return CUDA_SUCCESS;
}

/* Returns a number of functions, not a CUresult. */
static uint32_t module_functions(CUcontext ctx, CUmodule mod,
				 void (*cb)(void *user, CUfunction f, uint64_t extra), void *user)
{
	int n = cudafront_ops->module_functions(mod, cb, user);

	return n < 0 ? 0 : n;
}

/* ---- tables ---- */

/*
 * All tables lie behind each other in one array of words, so that a slot has a
 * number of its own, by which its refusal knows what was called.
 */
enum {
	CUDART_INTERFACE,
	TOOLS_RUNTIME_CALLBACK = CUDART_INTERFACE + 13,
	TOOLS_TLS = TOOLS_RUNTIME_CALLBACK + 7,
	CONTEXT_LOCAL_STORAGE = TOOLS_TLS + 4,
	CONTEXT_CHECKS = CONTEXT_LOCAL_STORAGE + 4,
	INTEGRITY_CHECK = CONTEXT_CHECKS + 4,
	TOOLS_CONTEXT = INTEGRITY_CHECK + 3,
	TOOLS_MODULE = TOOLS_CONTEXT + 95,
	CUBLASLT = TOOLS_MODULE + 64,
	WORDS = CUBLASLT + 64,
};

static const void *words[WORDS];

struct table {
	const char *name;
	const char *id;	   /* 16 bytes */
	unsigned    first; /* in words[] */
	unsigned    count; /* of words */
};

static const struct table tables[] = {
	{ "CUDART_INTERFACE", "\x6b\xd5\xfb\x6c\x5b\xf4\xe7\x4a\x89\x87\xd9\x39\x12\xfd\x9d\xf9",
	  CUDART_INTERFACE, TOOLS_RUNTIME_CALLBACK - CUDART_INTERFACE },
	{ "TOOLS_RUNTIME_CALLBACK",
	  "\xa0\x94\x79\x8c\x2e\x74\x2e\x74\x93\xf2\x08\x00\x20\x0c\x0a\x66",
	  TOOLS_RUNTIME_CALLBACK, TOOLS_TLS - TOOLS_RUNTIME_CALLBACK },
	{ "TOOLS_TLS", "\x42\xd8\x5a\x81\x23\xf6\xcb\x47\x82\x98\xf6\xe7\x8a\x3a\xec\xdc",
	  TOOLS_TLS, CONTEXT_LOCAL_STORAGE - TOOLS_TLS },
	{ "CONTEXT_LOCAL_STORAGE",
	  "\xc6\x93\x33\x6e\x11\x21\xdf\x11\xa8\xc3\x68\xf3\x55\xd8\x95\x93",
	  CONTEXT_LOCAL_STORAGE, CONTEXT_CHECKS - CONTEXT_LOCAL_STORAGE },
	{ "CONTEXT_CHECKS", "\x26\x3e\x88\x60\x7c\xd2\x61\x43\x92\xf6\xbb\xd5\x00\x6d\xfa\x7e",
	  CONTEXT_CHECKS, INTEGRITY_CHECK - CONTEXT_CHECKS },
	{ "INTEGRITY_CHECK", "\xd4\x08\x20\x55\xbd\xe6\x70\x4b\x8d\x34\xba\x12\x3c\x66\xe1\xf2",
	  INTEGRITY_CHECK, TOOLS_CONTEXT - INTEGRITY_CHECK },
	{ "TOOLS_CONTEXT", "\x21\x31\x8c\x60\x97\x14\x32\x48\x8c\xa6\x41\xff\x73\x24\xc8\xf2",
	  TOOLS_CONTEXT, TOOLS_MODULE - TOOLS_CONTEXT },
	{ "TOOLS_MODULE", "\x6e\x16\x3f\xbe\xb9\x58\x44\x4d\x83\x5c\xe1\x82\xaf\xf1\x99\x1e",
	  TOOLS_MODULE, CUBLASLT - TOOLS_MODULE },
	/* cuBLASLt crashes without it where the compute capability is 9.0. */
	{ "1734dc26", "\x17\x34\xdc\x26\x80\x0d\x47\x45\x87\x26\xc0\xf1\xe7\xdd\x8b\xca",
	  CUBLASLT, WORDS - CUBLASLT },
};

#define NTABLES (sizeof(tables) / sizeof(tables[0]))

/* The slots that do something. */
static const struct {
	unsigned    word;
	const void *function;
} functions[] = {
	{ CUDART_INTERFACE + 1, cudart_module_load },
	{ CUDART_INTERFACE + 2, cudart_primary_context },
	{ CUDART_INTERFACE + 6, cudart_module_load_wrapper },
	{ CUDART_INTERFACE + 7, cudart_nothing },
	{ CUDART_INTERFACE + 8, cudart_module_load_fatbin },
	{ CUDART_INTERFACE + 12, cudart_load_compilers },
	{ TOOLS_RUNTIME_CALLBACK + 2, callback_calls },
	{ TOOLS_RUNTIME_CALLBACK + 6, callback_domains },
	{ TOOLS_TLS + 2, tls_current_context },
	/* This table alone begins with a function, not with its size. */
	{ CONTEXT_LOCAL_STORAGE + 0, cudafront_cls_put },
	{ CONTEXT_LOCAL_STORAGE + 1, cudafront_cls_delete },
	{ CONTEXT_LOCAL_STORAGE + 2, cudafront_cls_get },
	{ CONTEXT_LOCAL_STORAGE + 3, NULL },
	{ CONTEXT_CHECKS + 2, checks_context },
	{ CONTEXT_CHECKS + 3, checks_flags },
	{ INTEGRITY_CHECK + 1, cudafront_integrity_check },
	{ TOOLS_CONTEXT + 4, context_id },
	{ TOOLS_CONTEXT + 39, context_stream_word },
	{ TOOLS_CONTEXT + 51, context_stream_object },
	{ TOOLS_MODULE + 7, module_functions },
};

static bool traced;

static CUresult refuse(unsigned word)
{
	static atomic_bool told[WORDS];
	const struct table *t = tables;

	if (!traced || atomic_exchange(&told[word], true))
		return CUDA_ERROR_NOT_SUPPORTED;
	while (word >= t->first + t->count)
		t++;
	fprintf(stderr, "cudafront: slot %u of table %s is not supported\n", word - t->first,
		t->name);
	return CUDA_ERROR_NOT_SUPPORTED;
}

/* refuse_1000() to refuse_1299(): one function for each word. */
#define TEN(x, n)                                                                                  \
	x(n##0) x(n##1) x(n##2) x(n##3) x(n##4) x(n##5) x(n##6) x(n##7) x(n##8) x(n##9)
#define HUNDRED(x, n)                                                                              \
	TEN(x, n##0) TEN(x, n##1) TEN(x, n##2) TEN(x, n##3) TEN(x, n##4)                           \
	TEN(x, n##5) TEN(x, n##6) TEN(x, n##7) TEN(x, n##8) TEN(x, n##9)
#define ALL(x)	     HUNDRED(x, 10) HUNDRED(x, 11) HUNDRED(x, 12)
#define FUNCTION(n)  static CUresult refuse_##n(void) { return refuse(n - 1000); }
#define REFERENCE(n) refuse_##n,

ALL(FUNCTION)
static CUresult (*const refusals[])(void) = { ALL(REFERENCE) };

_Static_assert(WORDS <= sizeof(refusals) / sizeof(refusals[0]), "a refusal for each word");

void cudafront_init(const struct cudafront_ops *ops)
{
	cudafront_ops = ops;
	traced = secure_getenv("CUDAFRONT_TRACE");
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = refusals[i];
	for (unsigned i = 0; i < NTABLES; i++)
		words[tables[i].first] = (void *)(uintptr_t)(tables[i].count * sizeof(words[0]));
	for (unsigned i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		words[functions[i].word] = functions[i].function;
	cudafront_cls_init();
}

CUresult cudafront_export_table(const void **table, const CUuuid *id)
{
	if (!table)
		return CUDA_ERROR_INVALID_VALUE;
	*table = NULL;
	if (!id)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < NTABLES; i++) {
		if (memcmp(tables[i].id, id, sizeof(*id)))
			continue;
		*table = &words[tables[i].first];
		return CUDA_SUCCESS;
	}
	return CUDA_ERROR_INVALID_VALUE;
}

const void *const *cudafront_cudart_interface(void)
{
	return &words[CUDART_INTERFACE];
}

const void *const *cudafront_integrity_table(void)
{
	return &words[INTEGRITY_CHECK];
}
