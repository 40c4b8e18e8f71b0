// SPDX-License-Identifier: MIT
/*
 * Memory two processes share: sealed memfds, how they are checked before they
 * are mapped; and the mapping of a channel's two halves, whoever has them.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "channel/internal.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	0x0008u
#endif

#define SEALS		(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define UNWANTED	(F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

static bool ring_allowed(uint32_t size)
{
	return size >= VGPU_RING_MIN && size <= VGPU_RING_MAX && !(size & (size - 1));
}

size_t vgpu_memory_half(const struct vgpu_ring_sizes *s, enum vgpu_side side)
{
	if (!ring_allowed(s->sq) || !ring_allowed(s->cq) ||
	    !ring_allowed(s->up) || !ring_allowed(s->down))
		return 0;
	return VGPU_PAGE_SIZE + (side == VGPU_SIDE_APP ? (size_t)s->sq + s->up :
							 (size_t)s->cq + s->down);
}

static int memfd(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	/* Kernels before 6.3 do not know the last one. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

int vgpu_memory_make(const char *name, size_t size)
{
	int fd = memfd(name), err;

	if (fd < 0)
		return fd;
	if (!ftruncate(fd, size) && !fcntl(fd, F_ADD_SEALS, SEALS))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/*
 * What could still be cut off, or is backed by huge pages of a pool that can
 * run dry, would raise SIGBUS in whoever touches it.
 */
int vgpu_memory_check(int fd, size_t size)
{
	struct statfs fs;
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS || seals & UNWANTED)
		return -EINVAL;
	if (fstatfs(fd, &fs) || fs.f_type != TMPFS_MAGIC)
		return -EINVAL;
	if (fstat(fd, &st) || !size || st.st_size < 0 || (size_t)st.st_size != size)
		return -EINVAL;
	return 0;
}

static int map_half(struct channel_memory *m, int fd, uint64_t offset,
		    enum vgpu_side half, bool write)
{
	int prot = write ? PROT_READ | PROT_WRITE : PROT_READ;
	void *at = mmap(NULL, m->size[half], prot, MAP_SHARED, fd, offset);

	if (at == MAP_FAILED)
		return -errno;
	m->half[half] = at;
	return 0;
}

int vgpu_memory_map(struct channel_memory **out, int fd, const uint64_t offset[2],
		    const struct vgpu_ring_sizes *sizes, unsigned int writable)
{
	struct channel_memory *m = calloc(1, sizeof(*m));
	int err = 0;

	if (!m)
		return -ENOMEM;
	m->users = 1;
	for (int i = VGPU_SIDE_APP; i <= VGPU_SIDE_PEER && !err; i++) {
		m->size[i] = vgpu_memory_half(sizes, i);
		err = map_half(m, fd, offset[i], i, writable & 1u << i);
	}
	if (err)
		vgpu_memory_put(m, true);
	else
		*out = m;
	return err;
}

void vgpu_memory_put(struct channel_memory *m, bool unmap)
{
	if (__atomic_sub_fetch(&m->users, 1, __ATOMIC_ACQ_REL))
		return;
	for (int i = VGPU_SIDE_APP; i <= VGPU_SIDE_PEER && unmap; i++)
		if (m->half[i])
			munmap(m->half[i], m->size[i]);
	free(m);
}

int vgpu_memory_map_hostmem(int fd, uint64_t offset, size_t size, void *hint, void **addr)
{
	int prot = PROT_READ | PROT_WRITE;
	void *at = MAP_FAILED;

	if (hint)
		at = mmap(hint, size, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, offset);
	if (at == MAP_FAILED)
		at = mmap(NULL, size, prot, MAP_SHARED, fd, offset);
	if (at == MAP_FAILED)
		return -errno;
	*addr = at;
	return 0;
}
