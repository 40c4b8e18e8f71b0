// SPDX-License-Identifier: MIT
/*
 * Memory of the devices: one sorted array of ranges for the process, in
 * which every kernel's access is looked up. The heap of kernels is in heap.c.
 *
 * A range that is freed leaves the array at once but stays mapped until every
 * launch that was running then has ended (the limbo list), because a launch
 * may still hold it in its cache of spans.
 */
#include "softgpu/memory.h"
#include "softgpu/heap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GRANULE		512u
#define HUGE_BYTES	(2u << 20)
#define MAX_LAUNCHES	256

enum range_kind { RANGE_USER, RANGE_STATIC, RANGE_HOST };

struct range {
	uint64_t		base;
	uint64_t		size;
	struct sg_device	*dev;
	enum range_kind		kind;
};

struct limbo {
	struct limbo	*next;
	uint64_t	base;
	uint64_t	size;
	uint64_t	epoch;		/* launches below it may still look */
};

struct sg_device {
	int		ordinal;
	size_t		total;
	size_t		used;		/* atomic */
	struct sg_heap	*heap;
};

/* lock guards ranges; limbo_lock guards limbo and the launches. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct range *ranges;
static size_t nranges, room;
static uint64_t generation = 1;

static pthread_mutex_t limbo_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t slot_free = PTHREAD_COND_INITIALIZER;
static struct limbo *limbo;
static uint64_t epoch = 1;
static uint64_t launches[MAX_LAUNCHES];	/* epochs of those running, 0: free */

struct sg_device *sg_device_create(int ordinal, size_t total)
{
	struct sg_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	dev->ordinal = ordinal;
	dev->total = total;
	dev->heap = sg_heap_create(dev);
	if (!dev->heap) {
		free(dev);
		return NULL;
	}
	return dev;
}

int sg_device_ordinal(const struct sg_device *dev)
{
	return dev->ordinal;
}

struct sg_heap *sg_device_heap(struct sg_device *dev)
{
	return dev->heap;
}

/* Index of the first range that ends above @addr; lock is held. */
static size_t range_index(uint64_t addr)
{
	size_t lo = 0, hi = nranges;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ranges[mid].base + ranges[mid].size <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static const struct range *range_at(uint64_t addr)
{
	size_t i = range_index(addr);

	return i < nranges && ranges[i].base <= addr ? &ranges[i] : NULL;
}

static CUresult range_insert(const struct range *r)
{
	CUresult res = CUDA_SUCCESS;
	size_t i;

	pthread_rwlock_wrlock(&lock);
	i = range_index(r->base);
	if (i < nranges && ranges[i].base < r->base + r->size) {
		res = CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
		goto out;
	}
	if (nranges == room) {
		size_t more = room ? 2 * room : 256;
		struct range *p = realloc(ranges, more * sizeof(*p));

		if (!p) {
			res = CUDA_ERROR_OUT_OF_MEMORY;
			goto out;
		}
		ranges = p;
		room = more;
	}
	memmove(&ranges[i + 1], &ranges[i], (nranges - i) * sizeof(*ranges));
	ranges[i] = *r;
	nranges++;
out:
	pthread_rwlock_unlock(&lock);
	return res;
}

/* Takes the range that begins at @base away if it is @dev's and of @kind. */
static bool range_remove(uint64_t base, const struct sg_device *dev,
			 enum range_kind kind, struct range *out)
{
	bool found;
	size_t i;

	pthread_rwlock_wrlock(&lock);
	i = range_index(base);
	found = i < nranges && ranges[i].base == base &&
		ranges[i].dev == dev && ranges[i].kind == kind;
	if (found) {
		*out = ranges[i];
		nranges--;
		memmove(&ranges[i], &ranges[i + 1], (nranges - i) * sizeof(*ranges));
		__atomic_add_fetch(&generation, 1, __ATOMIC_RELEASE);
	}
	pthread_rwlock_unlock(&lock);
	return found;
}

bool sg_span_find(uint64_t addr, struct sg_span *span)
{
	const struct range *r;

	pthread_rwlock_rdlock(&lock);
	r = range_at(addr);
	if (r)
		*span = (struct sg_span){ r->base, r->size };
	pthread_rwlock_unlock(&lock);
	return r;
}

uint64_t sg_span_generation(void)
{
	return __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
}

bool sg_mem_find(CUdeviceptr ptr, struct sg_device **dev, CUdeviceptr *base, size_t *size)
{
	const struct range *r;
	bool found;

	pthread_rwlock_rdlock(&lock);
	r = range_at(ptr);
	found = r && r->kind != RANGE_HOST;
	if (found && dev)
		*dev = r->dev;
	if (found && base)
		*base = r->base;
	if (found && size)
		*size = r->size;
	pthread_rwlock_unlock(&lock);
	return found;
}

static size_t page_round(size_t size)
{
	return (size + 4095) & ~(size_t)4095;
}

/*
 * Large allocations begin on a huge page: a kernel that walks them and the
 * copy that fills them would otherwise spend most time in page faults.
 */
static void *pages_map(size_t size)
{
	size_t len = page_round(size), extra = len >= HUGE_BYTES ? HUGE_BYTES : 0, head;
	char *p = mmap(NULL, len + extra, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (!extra)
		return p;
	head = -(uintptr_t)p & (HUGE_BYTES - 1);
	if (head)
		munmap(p, head);
	if (extra - head)
		munmap(p + head + len, extra - head);
	madvise(p + head, len, MADV_HUGEPAGE);
	return p + head;
}

/* Accounted like a device would, in granules; false: no room. */
static bool device_charge(struct sg_device *dev, size_t bytes)
{
	size_t used = __atomic_load_n(&dev->used, __ATOMIC_RELAXED);

	do {
		if (bytes > dev->total - used)
			return false;
	} while (!__atomic_compare_exchange_n(&dev->used, &used, used + bytes, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

static void device_uncharge(struct sg_device *dev, size_t bytes)
{
	__atomic_sub_fetch(&dev->used, bytes, __ATOMIC_RELAXED);
}

static size_t granules(size_t size)
{
	return (size + GRANULE - 1) & ~(size_t)(GRANULE - 1);
}

static CUresult mem_alloc(struct sg_device *dev, size_t size, enum range_kind kind,
			  CUdeviceptr *ptr)
{
	struct range r = { .size = size, .dev = dev, .kind = kind };
	CUresult res;
	void *p;

	if (!size)
		return CUDA_ERROR_INVALID_VALUE;
	if (size > dev->total || !device_charge(dev, granules(size)))
		return CUDA_ERROR_OUT_OF_MEMORY;
	p = pages_map(size);
	if (!p) {
		device_uncharge(dev, granules(size));
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	r.base = (uintptr_t)p;
	res = range_insert(&r);
	if (res != CUDA_SUCCESS) {
		munmap(p, page_round(size));
		device_uncharge(dev, granules(size));
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*ptr = r.base;
	return CUDA_SUCCESS;
}

CUresult sg_mem_alloc(struct sg_device *dev, size_t size, CUdeviceptr *ptr)
{
	return mem_alloc(dev, size, RANGE_USER, ptr);
}

CUresult sg_mem_alloc_static(struct sg_device *dev, size_t size, CUdeviceptr *ptr)
{
	return mem_alloc(dev, size, RANGE_STATIC, ptr);
}

/* The epoch of the oldest launch that runs; limbo_lock is held. */
static uint64_t oldest_launch(void)
{
	uint64_t oldest = UINT64_MAX;

	for (int i = 0; i < MAX_LAUNCHES; i++)
		if (launches[i] && launches[i] < oldest)
			oldest = launches[i];
	return oldest;
}

/* Unmaps what no launch can hold any more; limbo_lock is held. */
static void limbo_sweep(void)
{
	uint64_t oldest = oldest_launch();
	struct limbo **at = &limbo;

	while (*at) {
		struct limbo *l = *at;

		if (l->epoch > oldest) {
			at = &l->next;
			continue;
		}
		munmap((void *)(uintptr_t)l->base, page_round(l->size));
		*at = l->next;
		free(l);
	}
}

static void limbo_add(uint64_t base, uint64_t size)
{
	struct limbo *l = malloc(sizeof(*l));

	/* Without memory for the note the pages stay: leaking beats faulting. */
	if (!l)
		return;
	l->base = base;
	l->size = size;
	pthread_mutex_lock(&limbo_lock);
	l->epoch = ++epoch;
	l->next = limbo;
	limbo = l;
	limbo_sweep();
	pthread_mutex_unlock(&limbo_lock);
}

static CUresult mem_free(struct sg_device *dev, CUdeviceptr ptr, enum range_kind kind)
{
	struct range r;

	if (!range_remove(ptr, dev, kind, &r))
		return CUDA_ERROR_INVALID_VALUE;
	device_uncharge(dev, granules(r.size));
	limbo_add(r.base, r.size);
	return CUDA_SUCCESS;
}

CUresult sg_mem_free(struct sg_device *dev, CUdeviceptr ptr)
{
	return mem_free(dev, ptr, RANGE_USER);
}

void sg_mem_free_static(struct sg_device *dev, CUdeviceptr ptr)
{
	mem_free(dev, ptr, RANGE_STATIC);
}

/* More launches at once than slots wait here for one to end. */
uint64_t sg_mem_enter(void)
{
	uint64_t slot = 0;

	pthread_mutex_lock(&limbo_lock);
	while (launches[slot]) {
		if (++slot < MAX_LAUNCHES)
			continue;
		pthread_cond_wait(&slot_free, &limbo_lock);
		slot = 0;
	}
	launches[slot] = epoch;
	pthread_mutex_unlock(&limbo_lock);
	return slot;
}

void sg_mem_leave(uint64_t slot)
{
	pthread_mutex_lock(&limbo_lock);
	launches[slot] = 0;
	limbo_sweep();
	pthread_cond_signal(&slot_free);
	pthread_mutex_unlock(&limbo_lock);
}

void sg_mem_info(struct sg_device *dev, size_t *left, size_t *total)
{
	*total = dev->total;
	*left = dev->total - __atomic_load_n(&dev->used, __ATOMIC_RELAXED);
}

CUresult sg_host_add(void *ptr, size_t size)
{
	struct range r = { (uintptr_t)ptr, size, NULL, RANGE_HOST };

	if (!ptr || !size || r.base + size < r.base)
		return CUDA_ERROR_INVALID_VALUE;
	return range_insert(&r);
}

CUresult sg_host_remove(void *ptr)
{
	struct range r;

	if (!range_remove((uintptr_t)ptr, NULL, RANGE_HOST, &r))
		return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
	return CUDA_SUCCESS;
}
