/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder, and their tests, show each other.
 */
#ifndef VGPU_CUDAFRONT_INTERNAL_H
#define VGPU_CUDAFRONT_INTERNAL_H

#include "cudafront.h"

/* Do @size bytes from @offset lie inside @length? */
static inline bool cudafront_inside(uint64_t offset, uint64_t size, uint64_t length)
{
	return offset <= length && size <= length - offset;
}

/* What cudafront_init() was given; NULL before. */
extern const struct cudafront_ops *cudafront_ops;

/* ---- export_table.c ---- */

/* Where cudafront_export_table() says that these two lie. */
const void *const *cudafront_cudart_interface(void);
const void *const *cudafront_integrity_table(void);

/* ---- cls.c: the three functions of the CONTEXT_LOCAL_STORAGE table ---- */

typedef void cudafront_cls_destructor(CUcontext ctx, void *key, void *value);

/* @ctx NULL or -1: the current one. A second put of a key replaces the first. */
CUresult cudafront_cls_put(CUcontext ctx, void *key, void *value,
			   cudafront_cls_destructor *destructor);
CUresult cudafront_cls_delete(CUcontext ctx, void *key);
CUresult cudafront_cls_get(void **value, CUcontext ctx, void *key);
void cudafront_cls_init(void);

/* ---- integrity.c ---- */

#define MD2_BLOCK 16

struct cudafront_md2 {
	uint8_t	 state[MD2_BLOCK];
	uint8_t	 checksum[MD2_BLOCK];
	uint8_t	 block[MD2_BLOCK];
	unsigned used; /* bytes of block */
};

void cudafront_md2_init(struct cudafront_md2 *md2);
void cudafront_md2_update(struct cudafront_md2 *md2, const void *bytes, size_t length);
void cudafront_md2_final(struct cudafront_md2 *md2, uint8_t digest[MD2_BLOCK]);

/* Slot 1 of the INTEGRITY_CHECK table. */
CUresult cudafront_integrity_check(uint32_t version, uint64_t seconds, uint64_t answer[2]);

/* ---- elf.c ---- */

/* Is it a cubin in which every offset, index and length lies inside @length? */
bool cudafront_elf_check(const void *elf, size_t length);

#endif /* VGPU_CUDAFRONT_INTERNAL_H */
