/* SPDX-License-Identifier: MIT */
/* What generated decoders need of a worker, for tests: see fake.h. */
#include <string.h>
#include "fake.h"
#include "server/worker.h"
#include "proto/marshal.h"

CUresult fake_status;
const char *fake_name;
unsigned fake_puts, fake_ends;
uint64_t fake_seen;

#define MADE ((void *)0x1000) /* what the driver's functions make */

void fake_begin(const char *name)
{
	fake_name = name;
	fake_seen = 0xcbf29ce484222325;
}

void fake_see(const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		fake_seen = (fake_seen ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3;
}

void fake_see_number(uint64_t n)
{
	fake_see(&n, sizeof(n));
}

void fake_see_handle(const void *handle)
{
	fake_see_number((uintptr_t)handle);
}

void *fake_handle(void)
{
	return MADE;
}

size_t fake_fill(void *out, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((uint8_t *)out)[i] = i + 1;
	return length;
}

/* ---- what userspace/server has in full ---- */

CUresult vgpu_worker_device(struct vgpu_worker *w, unsigned ordinal, CUdevice *dev)
{
	*dev = ordinal;
	return ordinal < FAKE_DEVICES ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

/* All numbers of the first generation are live. */
CUresult vgpu_handle_get(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind,
			 void **driver_handle)
{
	if (vgpu_handle_kind(wire) != kind || vgpu_handle_generation(wire) != 1)
		return CUDA_ERROR_INVALID_HANDLE;
	*driver_handle = (void *)(uintptr_t)wire;
	return CUDA_SUCCESS;
}

CUresult vgpu_handle_put(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind, uint64_t ctx,
			 void *driver_handle)
{
	if (vgpu_handle_kind(wire) != kind || driver_handle != MADE)
		return CUDA_ERROR_INVALID_HANDLE;
	fake_puts++;
	return CUDA_SUCCESS;
}

void *vgpu_reply_out(struct vgpu_reply *p, size_t fixed)
{
	p->length = fixed;
	return memset(p->bytes, 0, fixed);
}

void vgpu_reply_bytes(struct vgpu_reply *p, const void *bytes, size_t length)
{
	vgpu_put_bytes(p->bytes + p->length, bytes, length);
	p->length += vgpu_pad8(length);
}
