/* SPDX-License-Identifier: MIT */
/* Modules, libraries, and the functions and kernels in them. */
#ifndef LIBCUDA_CODE_H
#define LIBCUDA_CODE_H

#include "libcuda/api.h"

/* What is known of a function on one device; never changes but for attributes. */
struct vgpu_function {
	struct vgpu_function_info info;
	_Atomic int		attributes[VGPU_FUNC_ATTRIBUTES];
	_Atomic uint32_t	own;		/* attributes that do not follow its kernel's */
	_Atomic uint64_t	occupancy;	/* last asked for: see occupancy_get() */
	struct vgpu_param	*params;
	char			*name;
};

/*
 * The answer for @function (function or kernel handle) on device @dev: asked
 * of the worker at the first use.
 */
CUresult vgpu_function_get(struct vgpu_object *o, uint64_t handle, CUdevice dev,
			   struct vgpu_function **f);

/*
 * The kernels of a library, or functions of a module, in the driver's order: the
 * first @max, but not more than a record holds (1024). Each time new handles.
 */
CUresult vgpu_code_functions(uint64_t owner, uint64_t *handles, unsigned max, unsigned *count);

/* The variables of a library have lost their place in @ctx (0: in all). */
void vgpu_code_forget(struct vgpu_code *code, uint64_t ctx);

/* Free what an object that ends holds. */
void vgpu_code_clear(struct vgpu_code *code);

/* ---- image.c ---- */

/* A code image on its way to the worker. */
struct vgpu_image {
	uint8_t		hash[32];	/* SHA-256 of the bytes */
	const void	*bytes;
	size_t		length;
	void		*own;		/* to free; NULL: bytes are the app's */
};

/*
 * What of @code the devices of @s can use; @part: of what went into its link.
 * CUDA_ERROR_NO_BINARY_FOR_GPU, _INVALID_IMAGE.
 */
CUresult vgpu_image_prepare(struct vgpu_session *s, const void *code, bool part,
			    struct vgpu_image *image);
CUresult vgpu_image_upload(struct vgpu_session *s, const struct vgpu_image *image);
void vgpu_image_release(struct vgpu_image *image);

/* The whole of a file, with a NUL behind. CUDA_ERROR_FILE_NOT_FOUND. */
CUresult vgpu_file_read(const char *path, void **bytes);

/* ---- jit.c ---- */

/* JIT options as they travel, and where their answers go. */
struct vgpu_jit {
	uint32_t	pairs[2 * 32];	/* CUjit_option, value */
	size_t		length;		/* bytes of pairs */
	char		info[4096];	/* logs as they came back */
	char		error[4096];
	size_t		info_length;
	size_t		error_length;
};

/* CUDA_ERROR_INVALID_VALUE, _NOT_SUPPORTED for an option that cannot travel. */
CUresult vgpu_jit_begin(struct vgpu_jit *jit, unsigned n, const CUjit_option *options,
			void *const *values);
/* Copy the logs to the app's buffers and their lengths to the values. */
void vgpu_jit_end(struct vgpu_jit *jit, unsigned n, const CUjit_option *options, void **values);

#endif /* LIBCUDA_CODE_H */
