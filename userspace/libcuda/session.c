/* SPDX-License-Identifier: MIT */
/* The session and its devices, once a process. How its server is found: connect.c. */
#include <stdlib.h>
#include <string.h>
#include "proto/cuda_api.h"
#include "cudafront/cudafront.h"
#include "gen/calls.h"
#include "gen/client.h"
#include "libcuda/connect.h"
#include "libcuda/context.h"
#include "libcuda/session.h"

bool vgpu_forked;

static struct vgpu_session session = {
	.submit = PTHREAD_MUTEX_INITIALIZER,
	.upload = PTHREAD_MUTEX_INITIALIZER,
	.receive = PTHREAD_MUTEX_INITIALIZER,
	.waits = PTHREAD_MUTEX_INITIALIZER,
	.early.lock = PTHREAD_MUTEX_INITIALIZER,
	.nearest = UINT64_MAX,
};
static struct vgpu_device devices[VGPU_MAX_DEVICES];
static _Atomic int ndevices;		/* > 0: the session is open */
static _Atomic bool begun;		/* cuInit() was called */

int vgpu_device_count(void)
{
	return atomic_load_explicit(&ndevices, memory_order_acquire);
}

struct vgpu_device *vgpu_device_get(CUdevice dev)
{
	return dev >= 0 && dev < vgpu_device_count() ? &devices[dev] : NULL;
}

/*
 * The channel and the worker stay with the parent. A child of this one comes here
 * as well, and has nothing to forget.
 */
static void fork_child(void)
{
	struct vgpu_channel *ch = session.channel;

	if (!begun)
		return;
	vgpu_forked = true;
	session.channel = NULL;
	vgpu_channel_forget(ch);
}

/* Not by cuInit(): a child may be made while another thread is on its way there. */
__attribute__((constructor)) static void forks_watch(void)
{
	pthread_atfork(NULL, NULL, fork_child);
}

/*
 * What a GPU on another host, behind a worker, cannot keep of what its driver
 * promises there; and what this libcuda does not forward yet.
 */
static const CUdevice_attribute filtered[] = {
	CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY,
	CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS,
	CU_DEVICE_ATTRIBUTE_DIRECT_MANAGED_MEM_ACCESS_FROM_HOST,
	CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS,
	CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES,
	CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM,
	CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_MEM_OPS_V1,
	CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS_V1,
	CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR_V1,
	CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS,
	CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR,
	CU_DEVICE_ATTRIBUTE_CAN_FLUSH_REMOTE_WRITES,
	CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES,
	CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS,
	CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_TIMELINE_SEMAPHORE_INTEROP_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_SPARSE_CUDA_ARRAY_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_DEFERRED_MAPPING_CUDA_ARRAY_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HOST_NUMA_MEMORY_POOLS_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HOST_MEMORY_POOLS_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HOST_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
};

static void info_filter(const struct vgpu_session *s, struct vgpu_device_info *info)
{
	/* Only a worker of this host has the program's memory at the program's addresses. */
	if (s->remote)
		info->attributes[CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY] = 0;
	for (unsigned i = 0; i < sizeof(filtered) / sizeof(*filtered); i++)
		if ((unsigned)filtered[i] < VGPU_ATTRIBUTES)
			info->attributes[filtered[i]] = 0;
	info->name[sizeof(info->name) - 1] = 0;
	info->pci_bus_id[sizeof(info->pci_bus_id) - 1] = 0;
}

static CUresult devices_learn(struct vgpu_session *s, int *count)
{
	static struct vgpu_device_info infos[VGPU_MAX_DEVICES];
	int order[VGPU_MAX_DEVICES], n = s->ndevices;
	CUuuid uuids[VGPU_MAX_DEVICES];

	if (n > VGPU_MAX_DEVICES)
		n = VGPU_MAX_DEVICES;
	for (int i = 0; i < n; i++) {
		CUresult r = vgpu_call_vgpu_device_info(s, 0, 0, i, &infos[i]);

		if (r)
			return r;
		info_filter(s, &infos[i]);
		memcpy(&uuids[i], infos[i].uuid, sizeof(uuids[i]));
	}
	n = cudafront_visible_devices(getenv("CUDA_VISIBLE_DEVICES"), n, uuids, order);
	for (int i = 0; i < n; i++)
		devices[i] = (struct vgpu_device){ s, order[i], 0, infos[order[i]] };
	*count = n;
	return n ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

static CUresult session_open(void)
{
	CUresult r;
	int n;

	r = vgpu_connect(&session);
	if (r)
		return r;
	session.record_room = VGPU_SESSION_CQ_SIZE / 4;	/* the largest record */
	session.record = malloc(session.record_room);
	if (!session.record)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = devices_learn(&session, &n);
	if (r)
		return r;
	atomic_store_explicit(&ndevices, n, memory_order_release);
	r = vgpu_contexts_init();
	if (r)
		atomic_store(&ndevices, 0);
	return r;
}

/* Others may fork meanwhile: what is closed is not in .channel any more. */
static void session_close(void)
{
	struct vgpu_channel *ch = session.channel;

	session.channel = NULL;
	vgpu_channel_close(ch);
}

CUresult vgpu_session_init(void)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	static _Atomic CUresult result;
	static bool tried;

	/* The lock may be held by a thread that is not in this process. */
	if (vgpu_forked)
		return result ? result : CUDA_ERROR_NOT_INITIALIZED;
	begun = true;
	pthread_mutex_lock(&once);
	if (!tried) {
		result = session_open();
		if (result)
			session_close();
		tried = true;
	}
	pthread_mutex_unlock(&once);
	return result;
}
