// SPDX-License-Identifier: MIT
/*
 * Memory two processes share: sealed memfds, how they are checked before they
 * are mapped, and the mapping of a channel with its protections.
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

size_t vgpu_memory_size(const struct vgpu_ring_sizes *s)
{
	if (!ring_allowed(s->sq) || !ring_allowed(s->cq) ||
	    !ring_allowed(s->up) || !ring_allowed(s->down))
		return 0;
	return 2 * VGPU_PAGE_SIZE + (size_t)s->sq + s->cq + s->up + s->down;
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

static int allow_write(uint8_t *at, size_t size)
{
	return mprotect(at, size, PROT_READ | PROT_WRITE) ? -errno : 0;
}

/* The order of the six areas is that of uapi/linux/vgpu.h. */
static int protect(const struct channel_memory *m, const struct vgpu_ring_sizes *s,
		   enum vgpu_side side)
{
	uint8_t *app = m->base, *peer = app + VGPU_PAGE_SIZE;
	uint8_t *sq = peer + VGPU_PAGE_SIZE, *cq = sq + s->sq;
	uint8_t *up = cq + s->cq, *down = up + s->up;
	bool is_app = side == VGPU_SIDE_APP;
	int err;

	err = allow_write(is_app ? app : peer, VGPU_PAGE_SIZE);
	if (!err)
		err = allow_write(is_app ? sq : cq, is_app ? s->sq : s->cq);
	if (!err)
		err = allow_write(is_app ? up : down, is_app ? s->up : s->down);
	return err;
}

int vgpu_memory_map(struct channel_memory **out, int fd,
		    const struct vgpu_ring_sizes *sizes, enum vgpu_side side,
		    bool whole)
{
	int prot = whole ? PROT_READ | PROT_WRITE : PROT_READ, err = 0;
	struct channel_memory *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->users = 1;
	m->size = vgpu_memory_size(sizes);
	m->base = mmap(NULL, m->size, prot, MAP_SHARED, fd, 0);
	if (m->base == MAP_FAILED) {
		err = -errno;
		free(m);
		return err;
	}
	if (!whole)
		err = protect(m, sizes, side);
	/* A fork child of the app must not be able to write into its rings. */
	if (!err && !whole && side == VGPU_SIDE_APP &&
	    madvise(m->base, m->size, MADV_DONTFORK))
		err = -errno;
	if (err) {
		vgpu_memory_put(m, true);
		return err;
	}
	madvise(m->base, m->size, MADV_DONTDUMP);
	*out = m;
	return 0;
}

void vgpu_memory_put(struct channel_memory *m, bool unmap)
{
	if (__atomic_sub_fetch(&m->users, 1, __ATOMIC_ACQ_REL))
		return;
	if (unmap)
		munmap(m->base, m->size);
	free(m);
}
