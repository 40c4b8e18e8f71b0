// SPDX-License-Identifier: MIT
/*
 * Devices: how many, how large, what they say about themselves. They are
 * modelled on a T4, as far as the engine's limits and an honest answer about
 * what is missing (managed memory, IPC, graphics, pools) allow.
 */
#include "softgpu/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cudafront/cudafront.h"

#define DEFAULT_MEMORY	(4ull << 30)
#define DEVICE_NAME	"vgpu softgpu"

static struct api_device devices[API_MAX_DEVICES];	/* in the application's order */
static int device_count;

/* A number with K, M or G; 0: none, or not a number. */
static size_t parse_size(const char *text)
{
	unsigned long long n;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return 0;
	n = strtoull(text, &end, 10);
	switch (*end) {
	case 'G': case 'g': n <<= 10; /* fall through */
	case 'M': case 'm': n <<= 10; /* fall through */
	case 'K': case 'k': n <<= 10; end++; break;
	}
	return *end ? 0 : n;
}

static uint64_t hash(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
	return h;
}

/*
 * The same in every process of a host and different on another: a client may
 * hold devices of several hosts.
 */
static void make_uuid(CUuuid *uuid, int ordinal)
{
	uint64_t h[2] = { 0xcbf29ce484222325ull, 0x84222325cbf29ce4ull };
	char host[256] = "", machine[64] = "", number[32];
	FILE *f = fopen("/etc/machine-id", "re");

	if (f) {
		if (!fgets(machine, sizeof(machine), f))
			machine[0] = '\0';
		fclose(f);
	}
	gethostname(host, sizeof(host) - 1);
	snprintf(number, sizeof(number), "softgpu %d", ordinal);
	for (int i = 0; i < 2; i++)
		h[i] = hash(hash(hash(h[i], machine), host), number);
	memcpy(uuid->bytes, h, sizeof(uuid->bytes));
	uuid->bytes[6] = (uuid->bytes[6] & 0x0f) | 0x40;	/* version 4, as */
	uuid->bytes[8] = (uuid->bytes[8] & 0x3f) | 0x80;	/* NVIDIA's look */
}

static CUresult device_start(struct api_device *dev, int ordinal, int physical,
			     const CUuuid *uuid, size_t memory)
{
	dev->ordinal = ordinal;
	dev->uuid = *uuid;
	dev->pci_bus = 1 + physical;
	dev->memory = memory;
	pthread_mutex_init(&dev->lock, NULL);
	dev->sg = sg_device_create(physical, memory);
	if (!dev->sg)
		return CUDA_ERROR_OUT_OF_MEMORY;
	return api_context_create(dev, 0, true, &dev->primary);
}

CUresult api_devices_start(void)
{
	const char *wanted = getenv("SOFTGPU_DEVICES");
	size_t memory = parse_size(getenv("SOFTGPU_MEMORY"));
	size_t physical = wanted ? parse_size(wanted) : 1;
	CUuuid uuids[API_MAX_DEVICES];
	int order[API_MAX_DEVICES], n;
	CUresult result = CUDA_SUCCESS;

	if (physical > API_MAX_DEVICES)
		physical = API_MAX_DEVICES;
	for (size_t i = 0; i < physical; i++)
		make_uuid(&uuids[i], i);
	n = cudafront_visible_devices(getenv("CUDA_VISIBLE_DEVICES"), physical, uuids, order);
	if (n <= 0)
		return CUDA_ERROR_NO_DEVICE;
	for (int i = 0; i < n && result == CUDA_SUCCESS; i++)
		result = device_start(&devices[i], i, order[i], &uuids[order[i]],
				      memory ? memory : DEFAULT_MEMORY);
	if (result == CUDA_SUCCESS)
		device_count = n;
	return result;
}

int api_device_count(void)
{
	return device_count;
}

struct api_device *api_device(CUdevice dev)
{
	return dev >= 0 && dev < device_count ? &devices[dev] : NULL;
}

CUresult api_device_uuid(CUuuid *uuid, CUdevice dev)
{
	struct api_device *d = api_device(dev);

	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	*uuid = d->uuid;
	return CUDA_SUCCESS;
}

/* ---- attributes ---- */

/* By number, because older headers lack the newer names. Missing: 0. */
static const int attributes[] = {
	[1] = SG_MAX_THREADS,			/* threads of a block */
	[2] = SG_MAX_THREADS, [3] = SG_MAX_THREADS, [4] = API_MAX_BLOCK_Z,
	[5] = API_MAX_GRID_X, [6] = API_MAX_GRID_YZ, [7] = API_MAX_GRID_YZ,
	[8] = SG_SHARED_DEFAULT,
	[9] = 65536,				/* constant memory */
	[10] = SG_WARP,
	[11] = API_MAX_PITCH,
	[12] = SG_REGS_SM,			/* registers of a block */
	[13] = 1590000,				/* clock, kHz */
	[14] = 512,				/* texture alignment */
	[15] = 1,				/* copies overlap kernels */
	[16] = SG_SMS,
	[19] = 1,				/* maps host memory */
	[21] = 131072, [22] = 131072, [23] = 65536,	/* textures 1D, 2D */
	[24] = 16384, [25] = 16384, [26] = 16384,	/* 3D */
	[27] = 32768, [28] = 32768, [29] = 2048,	/* 2D layered */
	[30] = 512,				/* surface alignment */
	[31] = 1,				/* concurrent kernels */
	[36] = 5001000,				/* memory clock, kHz */
	[37] = 256,				/* bus width */
	[38] = 4 << 20,				/* L2 */
	[39] = SG_THREADS_SM,
	[40] = 3,				/* copy engines */
	[41] = 1,				/* unified addressing */
	[42] = 32768, [43] = 2048,
	[45] = 32768, [46] = 32768,
	[47] = 8192, [48] = 8192, [49] = 32768,
	[51] = 32,				/* texture pitch alignment */
	[52] = 32768, [53] = 32768, [54] = 2046,
	[55] = 32768, [56] = 131072, [57] = 65536,
	[58] = 16384, [59] = 16384, [60] = 16384,
	[61] = 32768, [62] = 2048, [63] = 32768, [64] = 32768, [65] = 2048,
	[66] = 32768, [67] = 32768, [68] = 2046,
	[69] = 268435456, [70] = 131072, [71] = 65000, [72] = 2097120,
	[73] = 32768, [74] = 32768,
	[75] = API_CC_MAJOR, [76] = API_CC_MINOR,
	[77] = 32768,
	[78] = 1,				/* stream priorities */
	[79] = 1, [80] = 1,			/* L1 caches global, local */
	[81] = SG_SHARED_SM,
	[82] = SG_REGS_SM,
	[87] = 32,				/* single to double performance */
	[90] = 1,				/* preemption */
	[91] = 1,				/* host pointer of registered memory */
	[95] = 1,				/* cooperative launch */
	[97] = SG_SHARED_OPTIN,
	[99] = 1,				/* host register */
	[106] = SG_BLOCKS_SM,
	[113] = 1,				/* read-only host register */
	[118] = 0,
	[129] = 1,				/* unified function pointers */
	[131] = -1,				/* NUMA node: none */
	[134] = -1,
	[139] = 0x1eb810de,			/* PCI ids of a T4 */
	[140] = 0x12a210de,
};

#define KNOWN_ATTRIBUTES	148	/* of CUDA 13.0 */

CUresult api_device_attribute(int *value, CUdevice_attribute attr, CUdevice dev)
{
	struct api_device *d = api_device(dev);
	unsigned n = attr;

	if (!value || !n || n >= KNOWN_ATTRIBUTES)
		return CUDA_ERROR_INVALID_VALUE;
	if (!d)
		return CUDA_ERROR_INVALID_DEVICE;
	if (attr == CU_DEVICE_ATTRIBUTE_PCI_BUS_ID)
		*value = d->pci_bus;
	else if (attr == CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD_GROUP_ID)
		*value = d->ordinal;
	else
		*value = n < sizeof(attributes) / sizeof(*attributes) ? attributes[n] : 0;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attr, CUdevice dev)
{
	CUresult result = api_ready();

	return result == CUDA_SUCCESS ? api_device_attribute(value, attr, dev) : result;
}

/* ---- the rest of the device's functions ---- */

static CUresult device_get(CUdevice dev, struct api_device **out)
{
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	*out = api_device(dev);
	return *out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetCount(int *count)
{
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	*count = device_count;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
	struct api_device *d;
	CUresult result = device_get(ordinal, &d);

	if (result != CUDA_SUCCESS)
		return result;
	if (!device)
		return CUDA_ERROR_INVALID_VALUE;
	*device = ordinal;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice dev)
{
	struct api_device *d;
	CUresult result = device_get(dev, &d);

	if (result != CUDA_SUCCESS)
		return result;
	if (!name || len <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	snprintf(name, len, "%s", DEVICE_NAME);
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev)
{
	struct api_device *d;
	CUresult result = device_get(dev, &d);

	if (result != CUDA_SUCCESS)
		return result;
	return uuid ? api_device_uuid(uuid, dev) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
	return cuDeviceGetUuid_v2(uuid, dev);
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
	struct api_device *d;
	CUresult result = device_get(dev, &d);

	if (result != CUDA_SUCCESS)
		return result;
	if (!bytes)
		return CUDA_ERROR_INVALID_VALUE;
	*bytes = d->memory;
	return CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice dev)
{
	struct api_device *d;
	CUresult result = device_get(dev, &d);

	if (result != CUDA_SUCCESS)
		return result;
	if (!major || !minor)
		return CUDA_ERROR_INVALID_VALUE;
	*major = API_CC_MAJOR;
	*minor = API_CC_MINOR;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetProperties(CUdevprop *prop, CUdevice dev)
{
	struct api_device *d;
	CUresult result = device_get(dev, &d);

	if (result != CUDA_SUCCESS)
		return result;
	if (!prop)
		return CUDA_ERROR_INVALID_VALUE;
	*prop = (CUdevprop){
		.maxThreadsPerBlock  = SG_MAX_THREADS,
		.maxThreadsDim	     = { SG_MAX_THREADS, SG_MAX_THREADS, API_MAX_BLOCK_Z },
		.maxGridSize	     = { API_MAX_GRID_X, API_MAX_GRID_YZ, API_MAX_GRID_YZ },
		.sharedMemPerBlock   = SG_SHARED_DEFAULT,
		.totalConstantMemory = 65536,
		.SIMDWidth	     = SG_WARP,
		.memPitch	     = API_MAX_PITCH,
		.regsPerBlock	     = SG_REGS_SM,
		.clockRate	     = 1590000,
		.textureAlign	     = 512,
	};
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *id, int len, CUdevice dev)
{
	struct api_device *d;
	CUresult result = device_get(dev, &d);

	if (result != CUDA_SUCCESS)
		return result;
	if (!id || len < 13)
		return CUDA_ERROR_INVALID_VALUE;
	snprintf(id, len, "0000:%02X:00.0", d->pci_bus);
	return CUDA_SUCCESS;
}

/* [domain:]bus:device[.function], all in hexadecimal. */
CUresult cuDeviceGetByPCIBusId(CUdevice *dev, const char *id)
{
	unsigned domain = 0, bus, device, function = 0;
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	if (!dev || !id)
		return CUDA_ERROR_INVALID_VALUE;
	if (sscanf(id, "%x:%x:%x.%x", &domain, &bus, &device, &function) < 3) {
		domain = 0;
		if (sscanf(id, "%x:%x.%x", &bus, &device, &function) < 2)
			return CUDA_ERROR_INVALID_VALUE;
	}
	for (int i = 0; i < device_count; i++) {
		if (domain || device || function || bus != (unsigned)devices[i].pci_bus)
			continue;
		*dev = i;
		return CUDA_SUCCESS;
	}
	return CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t *width, CUarray_format format,
					    unsigned channels, CUdevice dev)
{
	struct api_device *d;
	CUresult result = device_get(dev, &d);

	if (result != CUDA_SUCCESS)
		return result;
	if (!width || (channels != 1 && channels != 2 && channels != 4))
		return CUDA_ERROR_INVALID_VALUE;
	*width = attributes[CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH];
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetExecAffinitySupport(int *supported, CUexecAffinityType type, CUdevice dev)
{
	struct api_device *d;
	CUresult result = device_get(dev, &d);

	if (result != CUDA_SUCCESS)
		return result;
	if (!supported)
		return CUDA_ERROR_INVALID_VALUE;
	*supported = 0;
	return CUDA_SUCCESS;
}

/* ---- peers: all devices of a process share its memory ---- */

CUresult cuDeviceCanAccessPeer(int *can, CUdevice dev, CUdevice peer)
{
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	if (!can)
		return CUDA_ERROR_INVALID_VALUE;
	if (!api_device(dev) || !api_device(peer))
		return CUDA_ERROR_INVALID_DEVICE;
	*can = dev != peer;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attr, CUdevice src,
				 CUdevice dst)
{
	CUresult result = api_ready();

	if (result != CUDA_SUCCESS)
		return result;
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	if (!api_device(src) || !api_device(dst) || src == dst)
		return CUDA_ERROR_INVALID_DEVICE;
	switch (attr) {
	case CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED:
	case CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED:
		*value = 1;
		return CUDA_SUCCESS;
	case CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK:
	case CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED:
		*value = 0;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}
