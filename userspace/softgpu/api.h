/* SPDX-License-Identifier: MIT */
/*
 * What the files of softgpu's driver API share: objects behind handles,
 * devices, contexts, streams and their operations, address ranges, code.
 * Nothing of it is seen outside the library; only cu* is exported.
 *
 * Order of locks: device, library, event, context, stream; the table of ranges and
 * the table of objects come last and nest nothing.
 */
#ifndef SOFTGPU_API_H
#define SOFTGPU_API_H

/* Both generations of each function are declared, and exported; so this comes first. */
#define __CUDA_API_VERSION_INTERNAL
#define __CUDA_API_PUSH_VISIBILITY_DEFAULT
#include <cuda.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softgpu/engine.h"

#define API_DRIVER_VERSION	13000
#define API_MAX_DEVICES		32
#define API_CC_MAJOR		7
#define API_CC_MINOR		5
#define API_MAX_GRID_X		0x7fffffffu
#define API_MAX_GRID_YZ		65535u
#define API_MAX_BLOCK_Z		64u
#define API_PITCH_ALIGN		512u
#define API_MAX_PITCH		0x7fffffffu

#define api_container(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* ---- lists (intrusive, circular) ---- */

struct api_list {
	struct api_list *next, *prev;
};

static inline void api_list_init(struct api_list *l)
{
	l->next = l->prev = l;
}

static inline void api_list_add(struct api_list *head, struct api_list *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

static inline void api_list_del(struct api_list *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
	api_list_init(l);
}

static inline bool api_list_empty(const struct api_list *l)
{
	return l->next == l;
}

/* ---- objects behind handles (api_object.c) ---- */

enum api_kind {
	API_NONE,
	API_CONTEXT,
	API_STREAM,
	API_EVENT,
	API_MODULE,
	API_FUNCTION,
	API_LIBRARY,
	API_KERNEL,
	API_LINK,
};

struct api_context;

/*
 * A handle is an index and a generation, never an address: one that is stale,
 * of another kind or made up finds nothing. An object lives until the last
 * reference goes; its handle is one of them, and goes with api_object_kill().
 */
struct api_object {
	enum api_kind		kind;
	uint32_t		index;
	uint64_t		handle;
	struct api_context	*ctx;	/* its owner, held; or NULL */
	struct api_list		link;	/* in the owner's list */
	void			(*release)(struct api_object *obj);
};

/*
 * Gives @obj a handle and its first reference; @ctx is held for it. @release
 * is called without locks when the last reference goes and frees @obj.
 */
CUresult api_object_init(struct api_object *obj, enum api_kind kind,
			 struct api_context *ctx,
			 void (*release)(struct api_object *obj));
/* The object, held, or NULL. API_NONE: of any kind. */
struct api_object *api_object_get(const void *handle, enum api_kind kind);
void api_object_hold(struct api_object *obj);
void api_object_put(struct api_object *obj);
/* Takes the handle away; true: by this call, and the caller drops that reference. */
bool api_object_kill(struct api_object *obj);
bool api_object_alive(const struct api_object *obj);

static inline void *api_handle(const struct api_object *obj)
{
	return (void *)(uintptr_t)obj->handle;
}

/* ---- the process (api_init.c) ---- */

/* CUDA_SUCCESS between cuInit() and exit, in this process, outside of host functions. */
CUresult api_ready(void);
bool api_exiting(void);		/* exit handlers run already */
/* True while an operation of a stream calls the application on this thread. */
extern __thread bool api_in_callback;
/* For sg_launch: contexts go away during exit, kernels must end. */
extern volatile bool api_stop;

static inline bool api_stopping(void)
{
	return __atomic_load_n(&api_stop, __ATOMIC_RELAXED);
}

/* ---- devices (api_device.c) ---- */

struct api_device {
	int			ordinal;	/* as the application numbers them */
	struct sg_device	*sg;
	CUuuid			uuid;
	int			pci_bus;
	size_t			memory;
	/* Guards retained and the primary context's coming and going. */
	pthread_mutex_t		lock;
	unsigned		retained;
	struct api_context	*primary;	/* made at start, for ever */
};

CUresult api_devices_start(void);
int api_device_count(void);
struct api_device *api_device(CUdevice dev);	/* NULL: no such */
CUresult api_device_uuid(CUuuid *uuid, CUdevice dev);
CUresult api_device_attribute(int *value, CUdevice_attribute attr, CUdevice dev);

/* ---- contexts (api_context.c, api_primary.c, api_current.c) ---- */

#define API_LIMITS	CU_LIMIT_MAX

struct api_context {
	struct api_object	obj;
	struct api_device	*dev;
	bool			primary;
	_Atomic bool		alive;
	_Atomic int		error;		/* sticky CUresult */
	_Atomic uint64_t	id;		/* new with every life */
	_Atomic unsigned	flags;
	_Atomic int		attached;	/* by cuCtxCreate and cuCtxAttach */
	_Atomic int		cache_config;
	_Atomic int		shared_config;
	_Atomic size_t		limits[API_LIMITS];
	_Atomic uint64_t	peers;		/* devices with access enabled */

	pthread_mutex_t		lock;		/* guards all below */
	pthread_cond_t		drained;	/* streams became empty */
	struct api_list		streams;	/* until their last operation ended */
	struct api_list		objects;	/* all other children */
	struct api_stream	*legacy;	/* the default stream, made when needed */
};

CUresult api_context_create(struct api_device *dev, unsigned flags, bool primary,
			    struct api_context **out);
void api_context_start(struct api_context *ctx);
/*
 * All children end, memory is freed, waiting for work under way. A primary
 * context ends if nobody retains it, or with @reset in any case.
 */
void api_context_end(struct api_context *ctx, bool reset);
CUresult api_context_sync(struct api_context *ctx);
/* Destroyed, or the sticky error, or CUDA_SUCCESS. */
CUresult api_context_check(struct api_context *ctx);
/* First fault of a context: reported and sticky. */
void api_context_fault(struct api_context *ctx, CUresult error, const char *text);
/* Enter a child in the list of its owner. CUDA_ERROR_CONTEXT_IS_DESTROYED. */
CUresult api_context_adopt(struct api_context *ctx, struct api_object *child);
void api_context_unlink(struct api_object *child);
/* Wait for everything that was issued and may use memory of @dev. */
void api_context_quiesce(const struct api_device *dev);
/* A context by handle, held. CUDA_ERROR_INVALID_CONTEXT. */
CUresult api_context_get(CUcontext handle, struct api_context **ctx);
void api_context_put(struct api_context *ctx);
CUresult api_context_by_device(CUcontext *ctx, CUdevice dev);	/* primary's handle */

/* The calling thread's current context, which its stack holds; may be NULL or dead. */
struct api_context *api_current(void);
/* The current context if the call may use it: ready, current, alive, no error. */
CUresult api_enter(struct api_context **ctx);
CUresult api_current_set(struct api_context *ctx);	/* NULL: none; takes no reference */
void api_current_pop_dead(struct api_context *ctx);
/* The calling thread's default stream in @ctx, made if need be; held. */
CUresult api_thread_stream(struct api_context *ctx, struct api_stream **out);

/* ---- streams (api_stream.c) and what they run ---- */

struct api_op;

struct api_dep {
	struct api_stream	*stream;	/* held */
	uint64_t		seq;
};

struct api_op {
	struct api_op	*next;
	uint64_t	seq;
	bool		always;		/* runs in a faulted context too */
	bool		quick;		/* sooner run than handed to a thread */
	unsigned	ndeps;
	struct api_dep	*deps;
	void		(*run)(struct api_op *op, struct api_stream *stream);
	void		(*free)(struct api_op *op);	/* may be NULL */
};

/*
 * Operations are run in order by whoever finds the stream not running: its
 * thread, made with the first asynchronous operation, or a caller who waits
 * for one of them. The latter spares the two switches of thread.
 */
struct api_stream {
	struct api_object	obj;
	unsigned		flags;
	int			priority;
	uint64_t		id;
	bool			legacy;

	pthread_mutex_t		lock;	/* guards all below */
	pthread_cond_t		work;	/* for the thread: head or closing */
	pthread_cond_t		done;	/* for others: finished moved, running ended */
	struct api_op		*head, **tail;
	bool			running;
	bool			thread;		/* there is one */
	bool			closing;
	_Atomic uint64_t	issued;
	_Atomic uint64_t	finished;
};

CUresult api_stream_create(struct api_context *ctx, unsigned flags, int priority,
			   bool legacy, struct api_stream **out);
/* Handle gone; ends when its operations have. Drops the handle's reference. */
void api_stream_close(struct api_stream *stream);
/* The stream a call names, held, and its context checked. */
CUresult api_stream_get(CUstream handle, struct api_stream **stream);
CUresult api_stream_of_context(struct api_context *ctx, CUstream handle,
			       struct api_stream **stream);
void api_stream_put(struct api_stream *stream);
/*
 * Append and return; @seq, which may be NULL, is its number. @op->free is set
 * and is called in case of failure too.
 */
CUresult api_stream_submit(struct api_stream *stream, struct api_op *op, uint64_t *seq);
/* Append and wait for it; @op may live on the caller's stack. */
CUresult api_stream_run(struct api_stream *stream, struct api_op *op);
/* Append a dependency to an operation that is not submitted. */
bool api_op_depend(struct api_op *op, struct api_stream *stream, uint64_t seq);
/* Wait until @seq has finished; the caller runs operations if it may. */
void api_stream_wait(struct api_stream *stream, uint64_t seq);
/* All that was issued, for the legacy stream also in the blocking streams. */
void api_stream_drain(struct api_stream *stream);
bool api_stream_idle(struct api_stream *stream);
/* Nothing is left before what is submitted next. */
bool api_stream_ready(struct api_stream *stream);
/* An operation or copy of so many bytes is quick. */
#define API_QUICK_BYTES	(256u << 10)

/* Twins: a NULL stream is the legacy one, or the calling thread's own. */
#define API_ON(stream)	((stream) ? (stream) : null_stream)
#define API_TWINS(name, suffix, params, ...)				\
	CUresult name params						\
	{								\
		const CUstream null_stream = CU_STREAM_LEGACY;		\
		return __VA_ARGS__;					\
	}								\
	CUresult name##suffix params					\
	{								\
		const CUstream null_stream = CU_STREAM_PER_THREAD;	\
		return __VA_ARGS__;					\
	}

/* ---- address ranges (api_range.c) ---- */

enum api_range_kind {
	API_RANGE_DEVICE,
	API_RANGE_HOST_ALLOC,
	API_RANGE_HOST_REGISTERED,
};

struct api_range {
	uintptr_t		start;
	size_t			size;
	enum api_range_kind	kind;
	unsigned		flags;
	uint64_t		id;		/* CU_POINTER_ATTRIBUTE_BUFFER_ID */
	struct api_device	*dev;
	/* Whose it is, by name: it need not exist any more. */
	const struct api_context *ctx;
	uint64_t		ctx_id;		/* in which life */
	CUcontext		ctx_handle;
};

/* CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED if it overlaps another. */
CUresult api_range_add(const struct api_range *range);
bool api_range_find(uintptr_t addr, struct api_range *out);
/* Removes the one that starts at @start, is of @kind; false: none. */
bool api_range_take(uintptr_t start, enum api_range_kind kind, struct api_range *out);
/* Removes any one of that life of @ctx. */
bool api_range_take_owned(const struct api_context *ctx, uint64_t ctx_id,
			  struct api_range *out);
void api_range_own(struct api_range *range, const struct api_context *ctx);
/* Set or clear @flags of the range that holds @addr. */
void api_range_mark(uintptr_t addr, unsigned flags, bool set);
#define API_RANGE_SYNC_MEMOPS	(1u << 31)

/* Bytes from @addr on that a device can reach; 0: not a device's address. */
size_t api_reach(CUdeviceptr addr);
void api_memory_free(const struct api_range *range);

/* ---- copies (api_copy.c) ---- */

enum api_side { API_DEVICE, API_HOST, API_ANY };

/* A copy of @depth planes of @height rows of @width bytes. */
struct api_copy {
	char		*dst;
	const char	*src;
	enum api_side	dst_side, src_side;
	size_t		width, height, depth;
	size_t		dst_pitch, src_pitch;
	size_t		dst_slice, src_slice;
};

CUresult api_copy(const struct api_copy *copy, CUstream stream, bool async);

/* ---- code (api_image.c, api_module.c, api_library.c, api_function.c) ---- */

struct api_jit {
	struct sg_log	error, info;
	unsigned	count;
	CUjit_option	*options;
	void		**values;
	uint64_t	started;
};

CUresult api_jit_open(struct api_jit *jit, unsigned count, CUjit_option *options,
		      void **values);
/* Writes sizes of logs and the time back. */
void api_jit_close(struct api_jit *jit);
/* PTX of an image, malloc'ed. */
CUresult api_image_ptx(const void *code, char **ptx, size_t *length);
/* The same of @size bytes, of which PTX need not end in NUL. */
CUresult api_image_copy_ptx(const void *data, size_t size, char **ptx, size_t *length);
CUresult api_file_read(const char *path, char **bytes, size_t *length);

struct api_settings {
	_Atomic int	max_dynamic;
	_Atomic int	carveout;
	_Atomic int	cache_config;
	_Atomic int	nonportable_cluster;
	_Atomic int	cluster_policy;
};

struct api_function {
	struct api_object		obj;
	struct api_module		*module;	/* held */
	struct api_kernel		*kernel;	/* held, or NULL */
	struct sg_function		*sg;
	const struct sg_function_info	*info;
	struct api_settings		settings;
};

struct api_module {
	struct api_object	obj;
	struct sg_module	*sg;
	bool			of_library;
	pthread_mutex_t		lock;		/* guards functions */
	unsigned		count;
	struct sg_function	**entries;
	struct api_function	**functions;	/* made when asked for */
};

/* Takes over @sg, in case of failure too. */
CUresult api_module_create(struct api_context *ctx, struct sg_module *sg,
			   struct api_module **out);
CUresult api_module_load(const void *code, struct api_jit *jit, CUmodule *out);
void api_module_close(struct api_module *module);
CUresult api_module_function(struct api_module *module, unsigned index,
			     struct api_function **out);
int api_module_functions(CUmodule module,
			 void (*cb)(void *user, CUfunction f, uint64_t extra), void *user);
CUresult api_module_load_plain(CUmodule *module, const void *image);

struct api_kernel {
	struct api_object	obj;
	struct api_library	*library;	/* held */
	unsigned		index;
	char			*name;
	struct sg_function_info	info;		/* a copy of its own */
	struct api_settings	settings[API_MAX_DEVICES];
};

/* The function of @kernel in @ctx, held; its module is made if need be. */
CUresult api_kernel_function(struct api_kernel *kernel, struct api_context *ctx,
			     struct api_function **out);
/* Which of @ctx' functions already exist of @kernel: all get a setting. */
void api_kernel_set(struct api_kernel *kernel, struct api_device *dev,
		    CUfunction_attribute attr, int value);
/* @ctx is over: libraries forget their modules in it. */
void api_libraries_context_ended(struct api_context *ctx);

/*
 * CUfunction or CUkernel to function, held. For a CUkernel it is the function
 * in @ctx, or in the current context if @ctx is NULL.
 */
CUresult api_function_get(CUfunction handle, struct api_context *ctx,
			  struct api_function **out);
CUresult api_settings_set(struct api_settings *settings,
			  const struct sg_function_info *info,
			  CUfunction_attribute attr, int value);
CUresult api_settings_get(const struct api_settings *settings,
			  const struct sg_function_info *info,
			  CUfunction_attribute attr, int *value);
void api_settings_copy(struct api_settings *to, const struct api_settings *from);
void api_settings_init(struct api_settings *settings, const struct sg_function_info *info);

uint64_t api_now_ns(void);

#endif /* SOFTGPU_API_H */
