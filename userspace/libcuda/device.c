/* SPDX-License-Identifier: MIT */
/* Devices: what the worker told of them at the beginning. */
#include <stdio.h>
#include <string.h>
#include "libcuda/api.h"

static CUresult asked(CUdevice dev, struct vgpu_device **d)
{
	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	*d = vgpu_device_get(dev);
	return *d ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceGetCount(int *count)
{
	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	*count = vgpu_device_count();
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceGet(CUdevice *device, int ordinal)
{
	struct vgpu_device *d;
	CUresult r = asked(ordinal, &d);

	if (!device)
		return CUDA_ERROR_INVALID_VALUE;
	if (!r)
		*device = ordinal;
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceGetName(char *name, int length, CUdevice dev)
{
	struct vgpu_device *d;
	CUresult r = asked(dev, &d);

	if (r)
		return r;
	if (!name || length <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	snprintf(name, length, "%s", d->info.name);
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev)
{
	struct vgpu_device *d;
	CUresult r = asked(dev, &d);

	if (r)
		return r;
	if (!uuid)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(uuid, d->info.uuid, sizeof(*uuid));
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
	return cuDeviceGetUuid_v2(uuid, dev);
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
	struct vgpu_device *d;
	CUresult r = asked(dev, &d);

	if (r)
		return r;
	if (!bytes)
		return CUDA_ERROR_INVALID_VALUE;
	*bytes = d->info.total_memory;
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceGetAttribute(int *value, CUdevice_attribute attribute,
						  CUdevice dev)
{
	unsigned n = (unsigned)attribute;
	struct vgpu_device *d;
	CUresult r = asked(dev, &d);

	if (r)
		return r;
	if (!value || n >= VGPU_ATTRIBUTES || !(d->info.known[n / 8] >> n % 8 & 1))
		return CUDA_ERROR_INVALID_VALUE;
	*value = d->info.attributes[n];
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceComputeCapability(int *major, int *minor, CUdevice dev)
{
	struct vgpu_device *d;
	CUresult r = asked(dev, &d);

	if (r)
		return r;
	if (!major || !minor)
		return CUDA_ERROR_INVALID_VALUE;
	*major = d->info.attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR];
	*minor = d->info.attributes[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR];
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceGetProperties(CUdevprop *prop, CUdevice dev)
{
	struct vgpu_device *d;
	CUresult r = asked(dev, &d);
	const int *a;

	if (r)
		return r;
	if (!prop)
		return CUDA_ERROR_INVALID_VALUE;
	a = d->info.attributes;
	*prop = (CUdevprop){
		.maxThreadsPerBlock = a[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK],
		.maxThreadsDim = { a[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X],
				   a[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y],
				   a[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z] },
		.maxGridSize = { a[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X],
				 a[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y],
				 a[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z] },
		.sharedMemPerBlock = a[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK],
		.totalConstantMemory = a[CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY],
		.SIMDWidth = a[CU_DEVICE_ATTRIBUTE_WARP_SIZE],
		.memPitch = a[CU_DEVICE_ATTRIBUTE_MAX_PITCH],
		.regsPerBlock = a[CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK],
		.clockRate = a[CU_DEVICE_ATTRIBUTE_CLOCK_RATE],
		.textureAlign = a[CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT],
	};
	return CUDA_SUCCESS;
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceGetPCIBusId(char *id, int length, CUdevice dev)
{
	struct vgpu_device *d;
	CUresult r = asked(dev, &d);

	if (r)
		return r;
	if (!id || length <= (int)strlen(d->info.pci_bus_id))
		return CUDA_ERROR_INVALID_VALUE;
	strcpy(id, d->info.pci_bus_id);
	return CUDA_SUCCESS;
}

/* domain:bus:device.function in hexadecimal; domain and function may be left out. */
static bool pci_parse(const char *id, unsigned *domain, unsigned *bus, unsigned *device)
{
	if (sscanf(id, "%x:%x:%x", domain, bus, device) == 3)
		return true;
	*domain = 0;
	return sscanf(id, "%x:%x", bus, device) == 2;
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceGetByPCIBusId(CUdevice *device, const char *id)
{
	unsigned domain, bus, slot;

	if (vgpu_forked || !vgpu_device_count())
		return CUDA_ERROR_NOT_INITIALIZED;
	if (!device || !id || !pci_parse(id, &domain, &bus, &slot))
		return CUDA_ERROR_INVALID_VALUE;
	for (CUdevice dev = 0; dev < vgpu_device_count(); dev++) {
		const int *a = vgpu_device_get(dev)->info.attributes;

		if ((unsigned)a[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID] == domain &&
		    (unsigned)a[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID] == bus &&
		    (unsigned)a[CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID] == slot) {
			*device = dev;
			return CUDA_SUCCESS;
		}
	}
	return CUDA_ERROR_INVALID_DEVICE;
}

/* ---- between two devices ---- */

static CUresult pair(CUdevice a, CUdevice b, struct vgpu_call_place *p, int *ordinal_a,
		     int *ordinal_b)
{
	CUresult r = vgpu_place_device(p, a, ordinal_a);

	if (r)
		return r;
	return vgpu_wire_device(p, b, ordinal_b);
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceCanAccessPeer(int *can, CUdevice dev, CUdevice peer)
{
	struct vgpu_call_place p;
	int a, b;
	CUresult r = pair(dev, peer, &p, &a, &b);

	if (!can)
		return CUDA_ERROR_INVALID_VALUE;
	return r ? r : vgpu_call_cuDeviceCanAccessPeer(p.session, 0, 0, can, a, b);
}

VGPU_PUBLIC CUresult CUDAAPI cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attribute,
						     CUdevice dev, CUdevice peer)
{
	struct vgpu_call_place p;
	int a, b;
	CUresult r = pair(dev, peer, &p, &a, &b);

	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	return r ? r : vgpu_call_cuDeviceGetP2PAttribute(p.session, 0, 0, value, attribute, a, b);
}
