/* SPDX-License-Identifier: MIT */
/*
 * A worker: the process that serves one client. One thread, the dispatcher,
 * takes the records off sq and issues them in their order; what may wait goes
 * to a helper. The driver beneath is a table of functions; nothing here knows
 * which libcuda it came from.
 *
 * Who may touch a handle's object: only the dispatcher takes handles out of the
 * table, so what it looked up stays valid for as long as the call runs. Helpers
 * look up as well; whoever ends an object first takes its handle away (in the
 * dispatcher) and then waits for those who may have found it before: helpers by
 * vgpu_helpers_quiesce(), waits by vgpu_context_unused() and stream.c's list.
 *
 * Order of locks: output, down lane, cq; hosts, life, handles; rings, up, a
 * context's, life. All others nest nothing.
 */
#ifndef VGPU_SERVER_WORKER_H
#define VGPU_SERVER_WORKER_H

#include "proto/cuda_api.h"
#include "proto/proto.h"
#include "gen/driver.h"
#include "gen/serve.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define VGPU_DEVICES_MAX	64
#define VGPU_REQUEST_MAX	(64u << 10)	/* larger than any valid record */
#define VGPU_REPLY_MAX		(16u << 10)	/* larger than any reply of the spec */

/* What a hook returns that left the rest of a call, and its completion, to a job. */
#define VGPU_STATUS_DEFERRED	((CUresult)0x7fff00ff)

struct vgpu_clash;
struct vgpu_context;
struct vgpu_helpers;
struct vgpu_hostfn;
struct vgpu_hostmem;
struct vgpu_images;
struct vgpu_output;
struct vgpu_kept;
struct vgpu_page_copy;
struct vgpu_far;
struct vgpu_wait;

/* ---- objects that hang on a handle (handle.c) ---- */

/* Whoever takes handles gets a chain of these and ends them when that is safe. */
struct vgpu_object {
	struct vgpu_object	*next;
	void			(*end)(struct vgpu_worker *w, struct vgpu_object *o);
};

#define VGPU_HANDLE_CHUNK	1024u

struct vgpu_slot {
	_Atomic uint64_t		wire;	/* 0: free */
	_Atomic(void *)			driver;
	_Atomic(struct vgpu_object *)	object;
	/* Index + 1 of others, 0: none; children end with their parent. Guarded by lock. */
	uint32_t			parent, child, next, prev;
	uint32_t			library;	/* which it ends with as well */
};

struct vgpu_handles {
	pthread_mutex_t		lock;		/* every change */
	unsigned		of_libraries;	/* slots whose library is set */
	_Atomic(struct vgpu_slot *) chunks[VGPU_HANDLE_SLOTS / VGPU_HANDLE_CHUNK];
};

/* ---- bulk bytes from the client (up.c) ---- */

/* Pieces of up behind one another that are free once @event has happened. */
struct vgpu_batch {
	uint64_t		pos;		/* of the last piece */
	uint32_t		length;
	struct vgpu_context	*ctx;		/* pinned; NULL: nothing to wait for */
	CUevent			event;
};

struct vgpu_up {
	pthread_mutex_t		lock;		/* all of this, and the consumer's end of up */
	pthread_cond_t		work;		/* for the reclaimer */
	struct vgpu_batch	*batches;	/* a ring: as many as pieces fit into up */
	uint32_t		first, count, room;
	bool			reclaimer;	/* its thread runs */
	bool			asked;		/* and it has something to wait for */
	/* Dispatcher only. */
	bool			holds;		/* what it handed out may not be free yet */
	bool			taken;		/* the chunk of the record at hand was */
	uint64_t		end;		/* of the last chunk */
	/* The batch that it still adds to. */
	bool			open;
	uint64_t		open_pos;
	uint32_t		open_length;	/* of the last piece */
	uint32_t		open_bytes;
	struct vgpu_context	*open_ctx;
	CUstream		open_stream;
};

/* The bulk rings as the driver knows them. */
struct vgpu_rings {
	pthread_mutex_t		lock;
	struct vgpu_context	*owner;		/* context that registered them, or NULL */
	uint8_t			*up, *down;
	size_t			up_size, down_size;
	/* Page-locked copy of up if up was refused; taken away under up's lock. */
	_Atomic(uint8_t *)	mirror;
	bool			up_locked;
	_Atomic bool		down_locked;
};

/* ---- a worker ---- */

/* One producer at a time, first come, first served. */
struct vgpu_lane {
	pthread_mutex_t		lock;
	pthread_cond_t		turn;
	uint64_t		next, serving;
};

/* The thread that copies from and to the client's own pages (gate.c). */
struct vgpu_copier {
	pthread_mutex_t		lock;
	pthread_cond_t		work, finished;
	struct vgpu_gate	*first, **last;	/* that were reached */
	struct vgpu_gate	*open;		/* of the last copy; NULL: none may follow it */
	bool			runs;		/* dispatcher only */
};

/* Who takes records when the dispatcher is held up (relief.c). */
struct vgpu_relief {
	bool			runs;		/* dispatcher only: from then on by these rules */
	pthread_mutex_t		lock;		/* all below, and the consumer's end of sq */
	pthread_cond_t		due;
	unsigned		ndue;		/* host functions that the client is running */
	uint64_t		turns;		/* of the dispatcher */
	struct vgpu_kept	*first, **last;
	_Atomic size_t		bytes;		/* of all kept records */
};

struct vgpu_error_seen {
	uint64_t		ctx;
	uint32_t		status;
};

/* A device of the session, by its ordinal there. */
struct vgpu_served_device {
	CUdevice	driver;
	bool		virtual;	/* it is /dev/vgpuN, with a UUID and place of its own */
	unsigned	number;		/* N */
	uint8_t		uuid[16];
	/*
	 * An earlier device of the session is the same GPU, which has one primary
	 * context: this one's is another context, of these flags.
	 */
	bool		twin;
	unsigned	flags;
};

struct vgpu_worker {
	struct vgpu_driver	*driver;
	struct vgpu_channel	*channel;
	struct vgpu_far	*remote;	/* the client is on another host; else NULL */
	int			ndevices;
	struct vgpu_served_device devices[VGPU_DEVICES_MAX];

	pthread_mutex_t		cq;		/* producer of cq */
	struct vgpu_lane	down;		/* producer of down */
	struct vgpu_handles	handles;
	struct vgpu_up		up;
	struct vgpu_rings	rings;
	struct vgpu_copier	copier;
	struct vgpu_relief	relief;
	struct vgpu_helpers	*helpers;
	struct vgpu_images	*images;
	struct vgpu_output	*output;

	pthread_mutex_t		hosts;		/* page-locked memory, by handle */
	struct vgpu_hostmem	*hostmem[256];

	pthread_mutex_t		hostfns_lock;	/* host functions that streams have reached */
	pthread_cond_t		hostfn_done;
	struct vgpu_hostfn	*hostfns;

	pthread_mutex_t		life;		/* all below: lists of contexts, waits, ... */
	pthread_cond_t		unused;		/* a context that ends lost its last pin */
	struct vgpu_context	*contexts;
	struct vgpu_wait	*waits;
	struct vgpu_clash	*clashes;
	_Atomic unsigned	nclashes;
	struct vgpu_error_seen	errors[64];
	unsigned		nerrors;
	_Atomic unsigned	epoch;		/* grows when a context ends */
	_Atomic bool		launched;	/* there may be output */
};

/* What a thread has set in the driver, to set only what differs. */
struct vgpu_thread {
	uint64_t		ctx;		/* wire number; 0: none */
	struct vgpu_context	*context;
	unsigned		epoch;		/* w->epoch when .ctx was looked up */
	unsigned		capture;	/* CUstreamCaptureMode */
	bool			dispatcher;
};
extern __thread struct vgpu_thread vgpu_thread;

struct vgpu_cache;

/* Everything but the driver, the devices and the output. @cache may be NULL. (worker.c) */
CUresult vgpu_worker_start(struct vgpu_worker *w, struct vgpu_channel *ch,
			   struct vgpu_cache *cache);

/* ---- replies and notices (reply.c) ---- */

struct vgpu_reply {
	size_t		length;		/* 0: no outs */
	_Alignas(8) uint8_t bytes[VGPU_REPLY_MAX];
};

/* Send the completion of the call @q with what @p holds (NULL: status alone). */
void vgpu_complete(struct vgpu_worker *w, const struct vgpu_request *q, CUresult status,
		   struct vgpu_reply *p);

/* Send a record without a body of bytes; @record begins with a struct vgpu_record. */
void vgpu_notify(struct vgpu_worker *w, uint16_t opcode, void *record, size_t length);

/*
 * An asynchronous call failed. What a context cannot recover from is told once
 * until vgpu_errors_forget(): every later call fails of it.
 */
void vgpu_error(struct vgpu_worker *w, uint64_t ctx, CUresult status, uint64_t seq,
		uint16_t opcode);
void vgpu_errors_forget(struct vgpu_worker *w, uint64_t ctx);

void vgpu_lane_init(struct vgpu_lane *l);
void vgpu_lane_enter(struct vgpu_lane *l);
bool vgpu_lane_try(struct vgpu_lane *l);
void vgpu_lane_leave(struct vgpu_lane *l);
bool vgpu_lane_wanted(struct vgpu_lane *l);

/* ---- device.c ---- */

/*
 * The devices of the session: @gpus, a list as gpus.c makes it, or (NULL) all of
 * the driver.
 */
CUresult vgpu_devices_find(struct vgpu_worker *w, const char *gpus);

/* ---- dispatch.c ---- */

/* Serve the channel until it is lost: 0, or -errno with what the client did wrong. */
int vgpu_dispatch(struct vgpu_worker *w);

/* Run the call @q on this thread: context, capture mode, then its function. */
CUresult vgpu_serve(struct vgpu_worker *w, const struct vgpu_request *q, size_t length,
		    struct vgpu_reply *p);

/* Complete or report, as the call's flags want it. */
void vgpu_finish(struct vgpu_worker *w, const struct vgpu_request *q, CUresult status,
		 struct vgpu_reply *p);

/* ---- helper.c: threads for calls that may wait ---- */

struct vgpu_job {
	struct vgpu_job		*next;
	/* The rest of a call; NULL: all of it, from its record. Frees nothing of the job. */
	CUresult		(*run)(struct vgpu_worker *w, struct vgpu_job *job,
				       struct vgpu_reply *p);
	void			*data[3];	/* for run() */
	uint64_t		words[4];
	uint64_t		number;
	size_t			length;		/* of the record */
	struct vgpu_request	q;		/* the record; all of it if run is NULL */
};

CUresult vgpu_helpers_start(struct vgpu_worker *w);

/* Give the whole call to a helper. */
CUresult vgpu_helper_take(struct vgpu_worker *w, const struct vgpu_request *q, size_t length);

/* A job for the rest of the call @q; NULL: no memory. Then fill it and submit it. */
struct vgpu_job *vgpu_job_create(const struct vgpu_request *q,
				 CUresult (*run)(struct vgpu_worker *w, struct vgpu_job *job,
						 struct vgpu_reply *p));
/* VGPU_STATUS_DEFERRED, for the hook to return. */
CUresult vgpu_job_submit(struct vgpu_worker *w, struct vgpu_job *job);

/*
 * Wait until every whole call that helpers had begun is over: none of them holds
 * on to a handle that was taken before.
 */
void vgpu_helpers_quiesce(struct vgpu_worker *w);

/* ---- handle.c (vgpu_handle_get() and _put(): gen/serve.h) ---- */

void vgpu_handles_init(struct vgpu_handles *h);

/*
 * As vgpu_handle_put(), below the handle @parent (0: none), and @object hangs on
 * it. It ends with its parent, and with the library @library (0: none).
 */
CUresult vgpu_handle_add(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind,
			 uint64_t parent, uint64_t library, void *driver_handle,
			 struct vgpu_object *object);

/* May the client use this number? To ask before something is made for it. */
CUresult vgpu_handle_free(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind);

/* What hangs on a live handle; NULL: nothing. For the dispatcher and whole calls. */
struct vgpu_object *vgpu_handle_object(struct vgpu_worker *w, uint64_t wire);

/* Hang @object on a live handle that has none yet; false: it has, or is gone. */
bool vgpu_handle_attach(struct vgpu_worker *w, uint64_t wire, struct vgpu_object *object);

/* The number of the next handle above of @kind, or 0. */
uint64_t vgpu_handle_ancestor(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind);

/*
 * Take a handle and all below it out of the table. The chain of their objects
 * goes to *@objects. Dispatcher only.
 */
CUresult vgpu_handle_take(struct vgpu_worker *w, uint64_t wire, enum vgpu_kind kind,
			  void **driver_handle, struct vgpu_object **objects);
void vgpu_objects_end(struct vgpu_worker *w, struct vgpu_object *objects);

/* Call @f for the driver's handles of @kind right below @parent, until it returns false. */
bool vgpu_handle_each(struct vgpu_worker *w, uint64_t parent, enum vgpu_kind kind,
		      bool (*f)(void *arg, void *driver_handle), void *arg);

/* ---- context.c ---- */

#define VGPU_EVENTS_KEPT	64

enum vgpu_event_kind {
	VGPU_EVENT_SPIN,	/* whoever waits for it does nothing else: a copy of our own */
	VGPU_EVENT_SLEEP,	/* it may take as long as the client's kernels take */
	VGPU_EVENT_KINDS,
};

/* A host function that the driver was given and did not call yet. */
struct vgpu_callback {
	struct vgpu_callback	*next, **link;
	void			(*dropped)(struct vgpu_callback *c);	/* it never will */
	struct vgpu_worker	*w;
	struct vgpu_context	*ctx;
};

struct vgpu_context {
	struct vgpu_object	object;
	uint64_t		wire;
	CUcontext		driver;
	int			ordinal;
	bool			primary;
	struct vgpu_context	*next;		/* w->life */

	unsigned		pins;		/* w->life: waits, batches, copies under way */
	_Atomic bool		ending;
	uint64_t		issued;		/* asynchronous calls; dispatcher only */
	_Atomic uint64_t	finished;	/* as many were known to be done */
	/* Streams destroyed before their work was done: how many, and how many were waited for. */
	uint64_t		orphans;	/* dispatcher only */
	_Atomic uint64_t	orphans_over;

	pthread_mutex_t		lock;		/* all below */
	CUstream		copies;		/* the worker's own copies; made when needed */
	struct vgpu_events {
		CUevent		kept[VGPU_EVENTS_KEPT];
		unsigned	count;
	}			events[VGPU_EVENT_KINDS];
	struct vgpu_callback	*callbacks;

	struct vgpu_staging {
		CUstream	stream;
		void		*bytes[2];
		CUevent		copied[2];
	}			staging;	/* gate.c, the copier only */
	void			*small;		/* pages.c, the dispatcher only */
};

/* Make the context of that wire number current on this thread. */
CUresult vgpu_context_enter(struct vgpu_worker *w, uint64_t wire);
/* The same for a context that is pinned. */
CUresult vgpu_context_use(struct vgpu_worker *w, struct vgpu_context *ctx);

/*
 * A pinned context is not destroyed. Pin where the context cannot have ended:
 * in the dispatcher for the current one, or with another pin.
 */
void vgpu_context_pin(struct vgpu_worker *w, struct vgpu_context *ctx);
void vgpu_context_unpin(struct vgpu_worker *w, struct vgpu_context *ctx);
/* The context that a live handle is below. Dispatcher only. */
struct vgpu_context *vgpu_context_of(struct vgpu_worker *w, uint64_t wire);
/* A live context of device @ordinal (-1: of any), pinned; NULL: none. */
struct vgpu_context *vgpu_context_any(struct vgpu_worker *w, int ordinal);
/* Everything that was issued in the current context is done? Never waits. Dispatcher only. */
CUresult vgpu_context_query(struct vgpu_worker *w, struct vgpu_context *ctx);
/* Wait for all work of all contexts. */
CUresult vgpu_contexts_drain(struct vgpu_worker *w);

/* Events for the worker's own use. The context is current on this thread. */
CUresult vgpu_event_get(struct vgpu_worker *w, struct vgpu_context *ctx,
			enum vgpu_event_kind kind, CUevent *event);
void vgpu_event_put(struct vgpu_worker *w, struct vgpu_context *ctx, enum vgpu_event_kind kind,
		    CUevent event);
/* The non-blocking stream of the worker's own copies. */
CUresult vgpu_context_copies(struct vgpu_worker *w, struct vgpu_context *ctx, CUstream *stream);

void vgpu_callback_add(struct vgpu_worker *w, struct vgpu_context *ctx, struct vgpu_callback *c);
/* The driver calls it, or refused it: it is the caller's again. */
void vgpu_callback_remove(struct vgpu_callback *c);

/* ---- stream.c: streams and events, and waiting for them ---- */

/* The driver's stream of a wire number; 0: the legacy one. */
CUresult vgpu_stream_get(struct vgpu_worker *w, uint64_t wire, CUstream *stream);

/*
 * The same, but of the call's own context only: what is left with the driver
 * ends with that one.
 */
CUresult vgpu_stream_own(struct vgpu_worker *w, uint64_t wire, CUstream *stream);

/* Has the stream done all it was given? In the dispatcher it stays so for the call. */
bool vgpu_stream_idle(struct vgpu_worker *w, CUstream stream);

/* ---- rings.c: the bulk rings as page-locked memory ---- */

void vgpu_rings_init(struct vgpu_worker *w);
/* A context was made (and is current): lock the rings in it, unless another has them. */
void vgpu_rings_lock(struct vgpu_worker *w, struct vgpu_context *ctx);
/* @ctx (current) is about to end. */
void vgpu_rings_unlock(struct vgpu_worker *w, struct vgpu_context *ctx);
/* It has ended: another one may lock them. */
void vgpu_rings_relock(struct vgpu_worker *w);

/* ---- up.c ---- */

CUresult vgpu_up_start(struct vgpu_worker *w);
/* Close the batch under way; before any record that is not a piece of it. */
void vgpu_up_close(struct vgpu_worker *w);
/* The dispatcher has nothing to do: free what is done. */
void vgpu_up_retire(struct vgpu_worker *w);
/* It is about to sleep: let the reclaimer see to the rest. */
void vgpu_up_sleep(struct vgpu_worker *w);

/*
 * The bytes of a chunk, checked; it is the caller's to give back by
 * vgpu_up_used(), or by making it part of a batch. Chunks come in order.
 */
const void *vgpu_up_chunk(struct vgpu_worker *w, const struct vgpu_chunk *c);
/* Its bytes were copied out, or are not wanted. */
void vgpu_up_used(struct vgpu_worker *w, const struct vgpu_chunk *c);

/* ---- down.c ---- */

/*
 * Room for @length bytes of down, waiting for it; NULL: the channel is lost. The
 * caller is in the lane.
 */
void *vgpu_down_reserve(struct vgpu_worker *w, size_t length, uint64_t *pos);

/* ---- memory.c: device memory; hostmem.c: page-locked memory of the client ---- */

/* Forget memory of @ctx that was kept aside; it ends with the context. */
void vgpu_memory_drop(struct vgpu_worker *w, struct vgpu_context *ctx);

/* Give up the host memory of @ctx (current), which is about to end. */
void vgpu_hostmem_drop(struct vgpu_worker *w, struct vgpu_context *ctx);

/* ---- pages.c: page-locked memory that is not mapped here ---- */

/* Where in the client's memory: an address, or an offset in a buffer of its own host. */
struct vgpu_place {
	uint64_t		hostmem;	/* handle; 0: .at is an address */
	uint64_t		size;		/* of the buffer */
	uint64_t		at;
};

CUresult vgpu_app_status(int err);	/* of what was read or written there */
/* Bytes for that place, @at from its beginning. -errno. */
int vgpu_place_write(struct vgpu_worker *w, const struct vgpu_place *p, uint64_t at,
		     const void *from, size_t n);

/* Copy when the stream gets there, by vgpu_memcpy_registered's rules. In the dispatcher. */
CUresult vgpu_pages_copy(struct vgpu_worker *w, const struct vgpu_request *q, unsigned way,
			 CUdeviceptr dev, const struct vgpu_place *place, size_t length,
			 uint64_t stream);

/* ---- gate.c: the same, later ---- */

void vgpu_copier_init(struct vgpu_copier *p);
CUresult vgpu_gate_copy(struct vgpu_worker *w, const struct vgpu_request *q, unsigned way,
			CUdeviceptr dev, const struct vgpu_place *place, size_t length,
			CUstream s);

/* ---- image.c: code images in memory; cache.h: on disk ---- */

struct vgpu_image;

/* @cache may be NULL. */
CUresult vgpu_images_start(struct vgpu_worker *w, struct vgpu_cache *cache);

/*
 * The image of that hash, held, from memory or disk, found to be well-formed.
 * VGPU_STATUS_NEED_IMAGE, CUDA_ERROR_INVALID_IMAGE.
 */
CUresult vgpu_image_get(struct vgpu_worker *w, const uint8_t *hash, uint64_t length,
			struct vgpu_image **image);
void vgpu_image_put(struct vgpu_worker *w, struct vgpu_image *image);
const void *vgpu_image_bytes(const struct vgpu_image *image);

/* ---- code.c ---- */

/* Bytes of parameters of a function or kernel, from its handle's object or the driver. */
CUresult vgpu_function_params(struct vgpu_worker *w, uint64_t wire, void *function,
			      uint32_t *bytes);

/* ---- hostfn.c ---- */

void vgpu_hostfn_init(struct vgpu_worker *w);

/* ---- relief.c ---- */

void vgpu_relief_init(struct vgpu_relief *r);
/* Before the first host function is given to the driver, by the dispatcher. */
bool vgpu_relief_start(struct vgpu_worker *w);
/* One more host function is due, or (-1) one less. */
void vgpu_relief_due(struct vgpu_worker *w, int more);
/* As vgpu_record_receive(), once relief runs. */
int vgpu_relief_receive(struct vgpu_worker *w, void *buf, size_t room);

/* ---- output.c ---- */

/* fd 1 and 2 of this process go to the client from here on. */
int vgpu_output_start(struct vgpu_worker *w);
/* What was printed so far is sent before this returns. */
void vgpu_output_drain(struct vgpu_worker *w);
/*
 * The same for a hook that runs in the dispatcher: @r, or if there is something
 * to send, a job does that before the completion, since sending may wait.
 */
CUresult vgpu_output_first(struct vgpu_worker *w, const struct vgpu_request *q, CUresult r);

/* ---- steer.c ---- */

/* Block the client's ranges as far as they are free here; how many bytes. */
uint64_t vgpu_steer_block(const struct vgpu_range *ranges, unsigned n);
/* What of @range is blocked no longer is. */
void vgpu_steer_open(const struct vgpu_range *range);

#endif /* VGPU_SERVER_WORKER_H */
