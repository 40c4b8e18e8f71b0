/* SPDX-License-Identifier: MIT */
/*
 * Copies between the device and pages of the client's that are not mapped here:
 * its own (cuMemHostRegister), and all page-locked ones of a client on another
 * host. Bytes are read or written by the channel, through staging, and that must
 * happen when the stream gets there, not before and not after.
 *
 * gate.c sees to that; a small copy on a stream that has nothing to do is done at once.
 */
#include <errno.h>
#include <stdlib.h>
#include "server/remote.h"
#include "server/worker.h"

CUresult vgpu_app_status(int err)
{
	return err ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}

int vgpu_place_write(struct vgpu_worker *w, const struct vgpu_place *p, uint64_t at,
		     const void *from, size_t n)
{
	if (p->hostmem)
		return vgpu_hostmem_write(w->channel, p->hostmem, p->size, p->at + at, from, n);
	return vgpu_app_write(w->channel, p->at + at, from, n);
}

/* ---- small copies ---- */

#define SMALL		(64u << 10)

/*
 * A small copy on a stream that has nothing to do: the stream has got there,
 * so the dispatcher copies at once. It waits for that copy and nothing else.
 */
static CUresult copy_small(struct vgpu_worker *w, unsigned way, CUdeviceptr dev,
			   const struct vgpu_place *p, size_t length, CUstream s)
{
	struct vgpu_context *ctx = vgpu_thread.context;
	CUresult r = CUDA_SUCCESS;

	if (!ctx->small)
		r = w->driver->cuMemHostAlloc(&ctx->small, SMALL, 0);
	if (!r && way == VGPU_COPY_TO_DEVICE)
		r = vgpu_app_status(vgpu_app_read(w->channel, ctx->small, p->at, length));
	if (r)
		return r;
	if (way == VGPU_COPY_TO_DEVICE)
		r = w->driver->cuMemcpyHtoDAsync_v2(dev, ctx->small, length, s);
	else
		r = w->driver->cuMemcpyDtoHAsync_v2(ctx->small, dev, length, s);
	if (!r)
		r = w->driver->cuStreamSynchronize(s);
	if (!r && way == VGPU_COPY_TO_HOST)
		r = vgpu_app_status(vgpu_place_write(w, p, 0, ctx->small, length));
	return r;
}

/* The dispatcher does not wait for another host: records of other streams go on. */
static bool is_small(struct vgpu_worker *w, unsigned way, size_t length)
{
	if (length > SMALL)
		return false;
	return !w->remote || (way == VGPU_COPY_TO_HOST && vgpu_far_writable(w->remote, length));
}

CUresult vgpu_pages_copy(struct vgpu_worker *w, const struct vgpu_request *q, unsigned way,
			 CUdeviceptr dev, const struct vgpu_place *place, size_t length,
			 uint64_t stream)
{
	const unsigned there = way == VGPU_COPY_TO_DEVICE_EARLY ? VGPU_COPY_TO_DEVICE : way;
	CUstream s;
	CUresult r = vgpu_stream_own(w, stream, &s);

	if (r)
		return r;
	if (place->at + length < place->at || dev + length < dev)
		return CUDA_ERROR_INVALID_VALUE;
	if (is_small(w, there, length) && vgpu_stream_idle(w, s))
		return copy_small(w, there, dev, place, length, s);
	return vgpu_gate_copy(w, q, way, dev, place, length, s);
}

CUresult vgpu_hook_vgpu_memcpy_registered(struct vgpu_worker *w, const struct vgpu_request *q,
					  unsigned int way, CUdeviceptr dev, uint64_t address,
					  size_t length, uint64_t stream)
{
	const struct vgpu_place place = { .at = address };

	return vgpu_pages_copy(w, q, way, dev, &place, length, stream);
}

/* ---- registering ---- */

/* Its first and its last byte, asked for together where that takes time. */
static int try_ends(struct vgpu_worker *w, uint64_t address, size_t size)
{
	uint8_t bytes[2];
	struct vgpu_pull p[2] = {
		{ .from.offset = address, .to = &bytes[0], .length = 1 },
		{ .from.offset = address + size - 1, .to = &bytes[1], .length = 1 },
	};
	int err, second;

	if (!w->remote) {
		err = vgpu_app_read(w->channel, &bytes[0], address, 1);
		return err ? err : vgpu_app_read(w->channel, &bytes[1], address + size - 1, 1);
	}
	vgpu_far_read_begin(w->remote, &p[0]);
	vgpu_far_read_begin(w->remote, &p[1]);
	err = vgpu_far_read_finish(w->remote, &p[0]);
	second = vgpu_far_read_finish(w->remote, &p[1]);
	return err ? err : second;
}

/*
 * Registering: can this worker reach both ends? If not, the client treats the
 * memory as pageable.
 */
CUresult vgpu_hook_cuMemHostRegister_v2(struct vgpu_worker *w, const struct vgpu_request *q,
					uint64_t address, size_t bytesize, unsigned int Flags)
{
	int err;

	if (address + bytesize < address)
		return CUDA_ERROR_INVALID_VALUE;
	err = try_ends(w, address, bytesize);
	if (err == -EFAULT)
		return CUDA_ERROR_INVALID_VALUE;
	return err ? CUDA_ERROR_NOT_PERMITTED : CUDA_SUCCESS;
}
