// SPDX-License-Identifier: MIT
/*
 * The question by which NVIDIA's runtime satisfies itself that the driver it
 * talks to is one: HMAC-MD2 (RFC 2104 over RFC 1319) with a fixed key over what
 * both sides know. It only has to agree with what this library itself reported.
 */
#include "internal.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* The permutation of RFC 1319, made from the digits of pi. */
static const uint8_t md2_pi[256] = {
	41,  46,  67,  201, 162, 216, 124, 1,	61,  54,  84,  161, 236, 240, 6,   19,
	98,  167, 5,   243, 192, 199, 115, 140, 152, 147, 43,  217, 188, 76,  130, 202,
	30,  155, 87,  60,  253, 212, 224, 22,	103, 66,  111, 24,  138, 23,  229, 18,
	190, 78,  196, 214, 218, 158, 222, 73,	160, 251, 245, 142, 187, 47,  238, 122,
	169, 104, 121, 145, 21,	 178, 7,   63,	148, 194, 16,  137, 11,	 34,  95,  33,
	128, 127, 93,  154, 90,	 144, 50,  39,	53,  62,  204, 231, 191, 247, 151, 3,
	255, 25,  48,  179, 72,	 165, 181, 209, 215, 94,  146, 42,  172, 86,  170, 198,
	79,  184, 56,  210, 150, 164, 125, 182, 118, 252, 107, 226, 156, 116, 4,   241,
	69,  157, 112, 89,  100, 113, 135, 32,	134, 91,  207, 101, 230, 45,  168, 2,
	27,  96,  37,  173, 174, 176, 185, 246, 28,  70,  97,  105, 52,	 64,  126, 15,
	85,  71,  163, 35,  221, 81,  175, 58,	195, 92,  249, 206, 186, 197, 234, 38,
	44,  83,  13,  110, 133, 40,  132, 9,	211, 223, 205, 244, 65,	 129, 77,  82,
	106, 220, 55,  200, 108, 193, 171, 250, 36,  225, 123, 8,   12,	 189, 177, 74,
	120, 136, 149, 139, 227, 99,  232, 109, 233, 203, 213, 254, 59,	 0,   29,  57,
	242, 239, 183, 14,  102, 88,  208, 228, 166, 119, 114, 248, 235, 117, 75,  10,
	49,  68,  80,  180, 143, 237, 31,  26,	219, 153, 141, 51,  159, 17,  131, 20,
};

void cudafront_md2_init(struct cudafront_md2 *md2)
{
	memset(md2, 0, sizeof(*md2));
}

static void md2_block(struct cudafront_md2 *md2)
{
	uint8_t x[3 * MD2_BLOCK], t = md2->checksum[MD2_BLOCK - 1];

	for (int i = 0; i < MD2_BLOCK; i++) {
		md2->checksum[i] ^= md2_pi[md2->block[i] ^ t];
		t = md2->checksum[i];
		x[i] = md2->state[i];
		x[MD2_BLOCK + i] = md2->block[i];
		x[2 * MD2_BLOCK + i] = md2->block[i] ^ md2->state[i];
	}
	t = 0;
	for (int round = 0; round < 18; round++) {
		for (int i = 0; i < 3 * MD2_BLOCK; i++)
			t = x[i] ^= md2_pi[t];
		t += round;
	}
	memcpy(md2->state, x, MD2_BLOCK);
	md2->used = 0;
}

void cudafront_md2_update(struct cudafront_md2 *md2, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;

	while (length--) {
		md2->block[md2->used++] = *p++;
		if (md2->used == MD2_BLOCK)
			md2_block(md2);
	}
}

void cudafront_md2_final(struct cudafront_md2 *md2, uint8_t digest[MD2_BLOCK])
{
	uint8_t pad = MD2_BLOCK - md2->used, checksum[MD2_BLOCK];

	memset(md2->block + md2->used, pad, pad);
	md2_block(md2);
	memcpy(checksum, md2->checksum, MD2_BLOCK);
	cudafront_md2_update(md2, checksum, MD2_BLOCK);
	memcpy(digest, md2->state, MD2_BLOCK);
}

static const uint8_t hmac_key[MD2_BLOCK] = {
	0x14, 0x6A, 0xDD, 0xAE, 0x53, 0xA9, 0xA7, 0x52,
	0xAA, 0x08, 0x41, 0x36, 0x0B, 0xF5, 0x5A, 0x9F,
};

static void hmac_start(struct cudafront_md2 *md2, uint8_t pad)
{
	uint8_t key[MD2_BLOCK];

	for (int i = 0; i < MD2_BLOCK; i++)
		key[i] = hmac_key[i] ^ pad;
	cudafront_md2_init(md2);
	cudafront_md2_update(md2, key, sizeof(key));
}

static void hmac_end(struct cudafront_md2 *inner, uint8_t digest[MD2_BLOCK])
{
	struct cudafront_md2 outer;

	cudafront_md2_final(inner, digest);
	hmac_start(&outer, 0x5c);
	cudafront_md2_update(&outer, digest, MD2_BLOCK);
	cudafront_md2_final(&outer, digest);
}

static CUresult add_device(struct cudafront_md2 *md2, CUdevice dev)
{
	static const CUdevice_attribute place[] = {
		CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID,
		CU_DEVICE_ATTRIBUTE_PCI_BUS_ID,
		CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID,
	};
	CUuuid uuid;
	CUresult r = cudafront_ops->device_uuid(&uuid, dev);

	if (r)
		return r;
	cudafront_md2_update(md2, &uuid, sizeof(uuid));
	for (unsigned i = 0; i < sizeof(place) / sizeof(place[0]); i++) {
		int32_t value;

		r = cudafront_ops->device_attribute(&value, place[i], dev);
		if (r)
			return r;
		cudafront_md2_update(md2, &value, sizeof(value));
	}
	return CUDA_SUCCESS;
}

/* What of the message does not depend on the devices, packed as the runtime does. */
struct question {
	uint32_t driver_version;
	uint32_t version;
	uint32_t process;
	uint32_t thread;
	uint64_t cudart_interface;
	uint64_t integrity_check;
	uint64_t function;
	uint64_t seconds;
};
_Static_assert(sizeof(struct question) == 48, "packed");

static void fill_question(struct question *q, uint32_t version, uint64_t seconds)
{
	const void *const *table = cudafront_integrity_table();

	*q = (struct question){
		.driver_version = cudafront_ops->driver_version,
		.version = version,
		.process = getpid(),
		.thread = (uint32_t)pthread_self(),
		.cudart_interface = (uintptr_t)cudafront_cudart_interface(),
		.integrity_check = (uintptr_t)table,
		.function = (uintptr_t)table[1],
		.seconds = seconds,
	};
}

static CUresult compute_answer(uint32_t version, uint64_t seconds, uint64_t answer[2])
{
	int count = cudafront_ops->device_count();
	struct question q;
	struct cudafront_md2 md2;

	fill_question(&q, version, seconds);
	hmac_start(&md2, 0x36);
	cudafront_md2_update(&md2, &q, sizeof(q));
	for (CUdevice dev = 0; dev < count; dev++) {
		CUresult r = add_device(&md2, dev);

		if (r)
			return r;
	}
	hmac_end(&md2, (uint8_t *)answer);
	return CUDA_SUCCESS;
}

/*
 * The runtime asks three times, with its version + 0, + 1 and + 2. Only the
 * last answer depends on the question.
 */
CUresult cudafront_integrity_check(uint32_t version, uint64_t seconds, uint64_t answer[2])
{
	if (!answer)
		return CUDA_ERROR_INVALID_VALUE;
	if (version % 10 > 1)
		return compute_answer(version, seconds, answer);
	answer[0] = version % 10 ? 0x1841181C03CB675CULL : 0x3341181C03CB675CULL;
	answer[1] = 0x8ED383AA1F4CD1E8ULL;
	return CUDA_SUCCESS;
}
