/* SPDX-License-Identifier: MIT */
/* The GPUs of a server, and which of them a session's devices stand for. */
#ifndef VGPU_SERVER_GPUS_H
#define VGPU_SERVER_GPUS_H

#include <stddef.h>
#include <stdint.h>
#include <linux/vgpu.h>

/* What the driver says of a GPU; the ordinal is its place in the table. */
struct vgpu_gpu {
	char		name[VGPU_NAME_MAX + 1];
	uint64_t	memory;
};

/* The devices of a session, in its order; two may stand for one GPU. */
struct vgpu_gpu_list {
	unsigned	count;
	struct {
		unsigned	ordinal;
		unsigned	number;		/* of /dev/vgpuN */
		uint8_t		uuid[16];	/* of the virtual GPU */
	}		gpus[VGPU_CHANNEL_DEVICES];
};

/* Room for any list as text: two numbers of ten digits, a UUID, three signs an entry. */
#define VGPU_GPU_LIST_TEXT	(VGPU_CHANNEL_DEVICES * (2 * 10 + 36 + 3) + 1)

/* ---- gpus.c ---- */

/* "local:K" and nothing else, or -EINVAL. */
int vgpu_backend_parse(const char *backend, unsigned *ordinal);
void vgpu_backend_format(unsigned ordinal, char *backend, size_t room);

void vgpu_gpu_list_format(const struct vgpu_gpu_list *list, char *text, size_t room);
int vgpu_gpu_list_parse(const char *text, struct vgpu_gpu_list *list);

#endif /* VGPU_SERVER_GPUS_H */
