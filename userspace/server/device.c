/* SPDX-License-Identifier: MIT */
/* The session's devices, and everything about one in one answer. */
#include <stdio.h>
#include <string.h>
#include "server/gpus.h"
#include "server/worker.h"

/* Where no host has real devices: "vg". */
#define VIRTUAL_PCI_DOMAIN	0x7667

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
		d->virtual = true;
		d->number = list->gpus[i].number;
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

/*
 * Programs know devices by these and take equal ones for the same device; and the
 * GPU's own place means nothing on the host of the program.
 */
static void own_identity(const struct vgpu_served_device *d, struct vgpu_device_info *info)
{
	const unsigned bus = d->number >> 5 & 0xff, slot = d->number & 31;

	memcpy(info->uuid, d->uuid, sizeof(d->uuid));
	snprintf(info->pci_bus_id, sizeof(info->pci_bus_id), "%04x:%02x:%02x.0",
		 VIRTUAL_PCI_DOMAIN, bus, slot);
	info->attributes[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID] = VIRTUAL_PCI_DOMAIN;
	info->attributes[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID] = bus;
	info->attributes[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID] = slot;
}

CUresult vgpu_hook_vgpu_device_info(struct vgpu_worker *w, const struct vgpu_request *q, int dev,
				    struct vgpu_device_info *info)
{
	const struct vgpu_served_device *served = &w->devices[dev];
	CUdevice d = served->driver;
	size_t total = 0;
	CUuuid uuid;
	CUresult r;

	r = w->driver->cuDeviceGetName(info->name, sizeof(info->name), d);
	if (!r)
		r = w->driver->cuDeviceTotalMem_v2(&total, d);
	if (!r)
		r = w->driver->cuDeviceGetUuid_v2(&uuid, d);
	if (!r)
		r = w->driver->cuDeviceGetPCIBusId(info->pci_bus_id, sizeof(info->pci_bus_id), d);
	if (r)
		return r;
	info->total_memory = total;
	memcpy(info->uuid, uuid.bytes, sizeof(info->uuid));
	attributes(w, d, info);
	if (served->virtual)
		own_identity(served, info);
	priorities(w, dev, info);
	return CUDA_SUCCESS;
}
