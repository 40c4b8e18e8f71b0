/* SPDX-License-Identifier: MIT */
/*
 * The decoders of calls against arbitrary records. Hooks and driver functions
 * read every byte that a decoder lets through, so that one too many is found.
 */
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "server/worker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static struct vgpu_worker w = { .driver = &fake_driver };
	static struct vgpu_reply reply;
	const struct vgpu_serve_entry *entry;
	struct vgpu_request *q;

	/* As the channel hands records over: whole words, the head complete. */
	length &= ~(size_t)7;
	if (length < sizeof(*q))
		return 0;
	q = malloc(length);
	memcpy(q, data, length);
	entry = &vgpu_serve_table[q->r.opcode % VGPU_OPCODES];
	if (entry->serve && length >= entry->fixed) {
		reply.length = 0;
		fake_status = q->r.flags & 0x8000 ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
		entry->serve(&w, q, length, &reply);
	}
	free(q);
	return 0;
}
