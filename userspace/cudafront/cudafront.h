/* SPDX-License-Identifier: MIT */
/*
 * What any libcuda.so.1 shows to NVIDIA's runtime beyond the public API: the
 * private export tables, context-local storage, cuGetProcAddress, names of
 * errors, CUDA_VISIBLE_DEVICES; and reading of code images. Linked by libcuda
 * and softgpu (all of it) and by the server (image.c, fatbin.c, elf.c).
 * Knows no ring and no PTX.
 */
#ifndef VGPU_CUDAFRONT_H
#define VGPU_CUDAFRONT_H

#include <cuda.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the library above gives these; each is cheap and makes no round trip ---- */

struct cudafront_ops {
	int	 driver_version;	/* as cuDriverGetVersion reports */
	/* Devices and what of them the integrity check covers. */
	int	 (*device_count)(void);
	CUresult (*device_uuid)(CUuuid *uuid, CUdevice dev);
	CUresult (*device_attribute)(int *value, CUdevice_attribute attr, CUdevice dev);
	/* Handle of the primary context, without making it active. */
	CUresult (*primary_context)(CUcontext *ctx, CUdevice dev);
	/* Current context of the calling thread or NULL. */
	CUcontext (*current_context)(void);
	/* A context that lives? (for CLS and CONTEXT_CHECKS) */
	bool	 (*context_alive)(CUcontext ctx);
	CUresult (*context_id)(CUcontext ctx, unsigned long long *id);
	CUresult (*module_load)(CUmodule *mod, const void *image);
	/* Call cb for each function of the module; the number, or -CUresult. */
	int	 (*module_functions)(CUmodule mod,
				     void (*cb)(void *user, CUfunction f, uint64_t extra),
				     void *user);
};

/* Called once, before any of the below; @ops stays valid for ever. */
void cudafront_init(const struct cudafront_ops *ops);

/* ---- export_table.c ---- */

/* cuGetExportTable(): CUDA_ERROR_INVALID_VALUE and NULL for an unknown id. */
CUresult cudafront_export_table(const void **table, const CUuuid *id);

/* ---- cls.c: context-local storage ---- */

/*
 * @ctx is destroyed or reset: run the destructors of its entries and drop
 * them. Called without locks of the caller: a destructor calls the driver.
 */
void cudafront_context_ended(CUcontext ctx);

/* ---- proc_address.c: over the generated table (tools/vapigen) ---- */

/* One exported variant of a driver function. Sorted by (name, since). */
struct cudafront_proc {
	const char *name;	/* base name, as cuGetProcAddress is asked */
	int	    since;	/* version of CUDA that brought this prototype */
	int	    since_pt;	/* same for its per-thread-stream twin; 0: none */
	void	   *function;
	void	   *function_pt;
};
extern const struct cudafront_proc cudafront_procs[];
extern const unsigned cudafront_nprocs;

/*
 * cuGetProcAddress_v2(). @status may be NULL. The 4-argument form passes NULL
 * and its own flags.
 */
CUresult cudafront_proc_address(const char *symbol, void **pfn, int version,
				cuuint64_t flags,
				CUdriverProcAddressQueryResult *status);

/* ---- errors.c ---- */

/* CUDA_ERROR_INVALID_VALUE and NULL for a code that is not known. */
CUresult cudafront_error_name(CUresult error, const char **name);
CUresult cudafront_error_string(CUresult error, const char **text);

/*
 * What a launch of impossible geometry is refused with. NVIDIA's runtime hands
 * the code of a launch on as it is, and its callers know this one, which is
 * cudaErrorInvalidConfiguration; the runtime (12 and later) launches kernels of
 * libraries (@kernel), while programs for the driver API, which has no such
 * code, launch functions.
 */
static inline CUresult cudafront_bad_geometry(bool kernel)
{
	return kernel ? (CUresult)9 : CUDA_ERROR_INVALID_VALUE;
}

/* ---- visible.c ---- */

/*
 * CUDA_VISIBLE_DEVICES as @value (NULL: all): indices, or (abbreviated) GPU-…
 * UUIDs; the list ends at the first entry that is not valid, a double makes it
 * empty. Fills @order with device numbers of 0..@count-1; how many.
 */
int cudafront_visible_devices(const char *value, int count, const CUuuid *uuids,
			      int *order);

/* ---- image.c, fatbin.c, elf.c: code images ---- */

enum cudafront_image_kind {
	CUDAFRONT_IMAGE_NONE,
	CUDAFRONT_IMAGE_WRAPPER,	/* 0x466243B1 */
	CUDAFRONT_IMAGE_FATBIN,		/* 0xBA55ED50 */
	CUDAFRONT_IMAGE_ELF,
	CUDAFRONT_IMAGE_PTX,		/* text, ends in NUL */
};

/*
 * An image as an application hands it over: no length is given, it is found
 * from the image itself (own process: trusted to be readable). For a wrapper,
 * @start and @length are those of the container it points to.
 */
struct cudafront_image {
	enum cudafront_image_kind kind;		/* of what start points to */
	const void		 *start;
	size_t			  length;
	/*
	 * A wrapper of relocatable code (nvcc -rdc=true): the containers that
	 * went into the link, NULL at the end, of which the linked one holds
	 * machine code alone. Else NULL.
	 */
	const void *const	 *parts;
};
CUresult cudafront_image_find(const void *code, struct cudafront_image *image);

/*
 * The kind of @length bytes that came from elsewhere, fully checked: every
 * header, offset and length in it lies inside. NONE: refused.
 */
enum cudafront_image_kind cudafront_image_check(const void *bytes, size_t length);

/* One entry of a container, checked; the payload is as stored. */
struct cudafront_entry {
	bool		ptx;		/* else a cubin */
	unsigned	arch;		/* 75 */
	uint64_t	flags;		/* fatbin's, see fatbin.h */
	const uint8_t  *start;		/* header */
	size_t		header_length;
	const uint8_t  *payload;
	size_t		payload_length;	/* as stored, exact */
	size_t		length;		/* once unpacked */
};

/*
 * Walk: *@cursor is 0 at first. 1: an entry; 0: the end; -EINVAL: broken.
 */
int cudafront_fatbin_next(const void *fatbin, size_t length, size_t *cursor,
			  struct cudafront_entry *entry);

/*
 * The container that holds only what a device of compute capability
 * @major.@minor can use: cubins of that major and no higher minor, PTX of no
 * higher arch. malloc'ed to *@out. CUDA_ERROR_NO_BINARY_FOR_GPU: nothing is left.
 */
CUresult cudafront_fatbin_trim(const void *fatbin, size_t length, int major,
			       int minor, void **out, size_t *out_length);

/*
 * Of the parts of @image the only one that holds PTX, which is as good as
 * linked, in @part. CUDA_ERROR_NO_BINARY_FOR_GPU: none does, or several do,
 * which would need a linker.
 */
CUresult cudafront_image_part(const struct cudafront_image *image, struct cudafront_image *part);

/*
 * Unpack an entry (stored, LZ4, zstd). malloc'ed to *@out, a NUL is put
 * behind. Lengths above CUDAFRONT_UNPACK_MAX are refused. The length of PTX is
 * that of its text, without the NULs that a container pads it with.
 */
#define CUDAFRONT_UNPACK_MAX	(1u << 30)
CUresult cudafront_entry_unpack(const struct cudafront_entry *entry, void **out,
				size_t *out_length);

/* Length of a cubin: the largest end of headers, segments and sections; 0: not ELF. */
size_t cudafront_elf_length(const void *elf, size_t limit);

/*
 * Offsets and sizes of a kernel's parameters from .nv.info.<kernel> of a
 * cubin. The number (at most @max are stored), or -ENOENT, -EINVAL.
 */
struct cudafront_param {
	uint32_t offset;
	uint32_t size;
};
int cudafront_elf_params(const void *elf, size_t length, const char *kernel,
			 struct cudafront_param *params, int max);

#endif /* VGPU_CUDAFRONT_H */
