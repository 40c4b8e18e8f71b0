/* SPDX-License-Identifier: MIT */
/* Opening the session: where the server is, the hello, the devices. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "proto/cuda_api.h"
#include "cudafront/cudafront.h"
#include "gen/calls.h"
#include "gen/client.h"
#include "libcuda/context.h"
#include "libcuda/session.h"
#include "libcuda/steer.h"

#define DEFAULT_SOCKET		"/run/vgpu/server.sock"
#define HELLO_TIMEOUT_MS	20000
#define CQ_SIZE			(64u << 10)
#define CQ_RECORD_MAX		(CQ_SIZE / 4)

bool vgpu_forked;

static struct vgpu_session session = {
	.submit = PTHREAD_MUTEX_INITIALIZER,
	.upload = PTHREAD_MUTEX_INITIALIZER,
	.receive = PTHREAD_MUTEX_INITIALIZER,
	.waits = PTHREAD_MUTEX_INITIALIZER,
};
static struct vgpu_device devices[VGPU_MAX_DEVICES];
static _Atomic int ndevices;		/* > 0: the session is open */

int vgpu_device_count(void)
{
	return atomic_load_explicit(&ndevices, memory_order_acquire);
}

struct vgpu_device *vgpu_device_get(CUdevice dev)
{
	return dev >= 0 && dev < vgpu_device_count() ? &devices[dev] : NULL;
}

/* The channel and the worker stay with the parent. */
static void fork_child(void)
{
	vgpu_forked = true;
	if (session.channel)
		vgpu_channel_forget(session.channel);
}

static CUresult refused(const struct vgpu_answer *a)
{
	if (a->text[0])
		fprintf(stderr, "vgpu: the server refused: %s\n", a->text);
	return (CUresult)a->status;
}

static CUresult no_server(const char *path, int err)
{
	/* A host without vgpu is a host without a GPU, and nothing to talk about. */
	if (getenv("VGPU_SOCKET"))
		fprintf(stderr, "vgpu: no server at VGPU_SOCKET=%s: %s\n", path, strerror(-err));
	return CUDA_ERROR_NO_DEVICE;
}

static CUresult session_connect(struct vgpu_session *s)
{
	static const struct vgpu_ring_sizes sizes = {
		.sq = 256u << 10, .cq = CQ_SIZE, .up = 1u << 20, .down = 1u << 20,
	};
	const char *path = secure_getenv("VGPU_SOCKET") ?: DEFAULT_SOCKET;
	struct vgpu_hello *hello = calloc(1, sizeof(*hello));
	struct vgpu_answer answer;
	size_t length = sizeof(answer);
	const char *wrong;
	int err;

	if (!hello)
		return CUDA_ERROR_OUT_OF_MEMORY;
	hello->magic = VGPU_HELLO_MAGIC;
	hello->version = VGPU_HELLO_VERSION;
	memcpy(hello->opcodes, vgpu_call_opcodes, sizeof(hello->opcodes));
	hello->nranges = vgpu_steer_ranges(hello->ranges, VGPU_RANGES_MAX);
	err = vgpu_channel_connect(&s->channel, path, &sizes, hello,
				   vgpu_hello_length(hello->nranges), &answer, &length,
				   HELLO_TIMEOUT_MS);
	free(hello);
	if (err)
		return no_server(path, err);
	wrong = vgpu_answer_check(&answer, length);
	if (wrong) {
		fprintf(stderr, "vgpu: the answer of %s cannot be used: %s\n", path, wrong);
		return CUDA_ERROR_NO_DEVICE;
	}
	if (answer.status)
		return refused(&answer);
	s->driver_version = answer.driver_version;
	s->ndevices = answer.ndevices;
	return CUDA_SUCCESS;
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

static void info_filter(struct vgpu_device_info *info)
{
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
		info_filter(&infos[i]);
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

	pthread_atfork(NULL, NULL, fork_child);
	r = session_connect(&session);
	if (r)
		return r;
	session.record_room = CQ_RECORD_MAX;
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

CUresult vgpu_session_init(void)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	static _Atomic CUresult result;
	static bool tried;

	/* The lock may be held by a thread that is not in this process. */
	if (vgpu_forked)
		return result ? result : CUDA_ERROR_NOT_INITIALIZED;
	pthread_mutex_lock(&once);
	if (!tried) {
		result = session_open();
		if (result && session.channel) {
			vgpu_channel_close(session.channel);
			session.channel = NULL;
		}
		tried = true;
	}
	pthread_mutex_unlock(&once);
	return result;
}
