/* SPDX-License-Identifier: MIT */
/* The session's devices, and everything about one in one answer. */
#include <string.h>
#include "server/gpus.h"
#include "server/worker.h"

CUresult vgpu_worker_device(struct vgpu_worker *w, unsigned ordinal, CUdevice *dev)
{
	if (ordinal >= (unsigned)w->ndevices)
		return CUDA_ERROR_INVALID_DEVICE;
	*dev = w->devices[ordinal].driver;
	return CUDA_SUCCESS;
}

static CUresult find_all(struct vgpu_worker *w)
{
	int n;
	CUresult r = w->driver->cuDeviceGetCount(&n);

	if (r)
		return r;
	w->ndevices = n < VGPU_DEVICES_MAX ? n : VGPU_DEVICES_MAX;
	for (int i = 0; i < w->ndevices && !r; i++)
		r = w->driver->cuDeviceGet(&w->devices[i].driver, i);
	return r ? r : n ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

static bool seen_before(const struct vgpu_worker *w, int i)
{
	for (int k = 0; k < i; k++)
		if (w->devices[k].driver == w->devices[i].driver)
			return true;
	return false;
}

static CUresult find_listed(struct vgpu_worker *w, const struct vgpu_gpu_list *list)
{
	CUresult r = CUDA_SUCCESS;

	w->ndevices = list->count;
	for (int i = 0; i < w->ndevices && !r; i++) {
		struct vgpu_served_device *d = &w->devices[i];

		r = w->driver->cuDeviceGet(&d->driver, list->gpus[i].ordinal);
		d->named = true;
		memcpy(d->uuid, list->gpus[i].uuid, sizeof(d->uuid));
		d->twin = seen_before(w, i);
	}
	return r;
}

CUresult vgpu_devices_find(struct vgpu_worker *w, const char *gpus)
{
	struct vgpu_gpu_list list;

	if (!gpus)
		return find_all(w);
	return vgpu_gpu_list_parse(gpus, &list) ? CUDA_ERROR_INVALID_VALUE :
						  find_listed(w, &list);
}

static void attributes(struct vgpu_worker *w, CUdevice dev, struct vgpu_device_info *info)
{
	for (int i = 1; i < VGPU_ATTRIBUTES; i++) {
		if (w->driver->cuDeviceGetAttribute(&info->attributes[i], i, dev)) {
			info->attributes[i] = 0;
			continue;
		}
		info->known[i / 8] |= 1u << i % 8;
	}
}

/*
 * A driver tells in a context only. Before there is one: what all of them with
 * priorities have had since Volta; and a driver clamps what is out of its range.
 */
static void priorities(struct vgpu_worker *w, int ordinal, struct vgpu_device_info *info)
{
	struct vgpu_context *c = vgpu_context_any(w, ordinal);
	int least = 0, greatest = 0;

	if (info->attributes[CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED])
		greatest = -5;
	if (c) {
		if (!vgpu_context_use(w, c))
			w->driver->cuCtxGetStreamPriorityRange(&least, &greatest);
		vgpu_context_unpin(w, c);
	}
	info->priority_least = least;
	info->priority_greatest = greatest;
}

/* A virtual GPU's own, or the GPU's. */
static CUresult uuid(struct vgpu_worker *w, const struct vgpu_served_device *d, uint8_t *bytes)
{
	CUuuid u;
	CUresult r;

	if (d->named) {
		memcpy(bytes, d->uuid, sizeof(d->uuid));
		return CUDA_SUCCESS;
	}
	r = w->driver->cuDeviceGetUuid_v2(&u, d->driver);
	if (!r)
		memcpy(bytes, u.bytes, sizeof(u.bytes));
	return r;
}

CUresult vgpu_hook_vgpu_device_info(struct vgpu_worker *w, const struct vgpu_request *q, int dev,
				    struct vgpu_device_info *info)
{
	CUdevice d = w->devices[dev].driver;
	size_t total = 0;
	CUresult r;

	r = w->driver->cuDeviceGetName(info->name, sizeof(info->name), d);
	if (!r)
		r = w->driver->cuDeviceTotalMem_v2(&total, d);
	if (!r)
		r = uuid(w, &w->devices[dev], info->uuid);
	if (!r)
		r = w->driver->cuDeviceGetPCIBusId(info->pci_bus_id, sizeof(info->pci_bus_id), d);
	if (r)
		return r;
	info->total_memory = total;
	attributes(w, d, info);
	priorities(w, dev, info);
	return CUDA_SUCCESS;
}
