/* SPDX-License-Identifier: MIT */
/*
 * Host functions: the client runs them. When the stream gets to one, the driver
 * calls reached(), which tells the client and keeps the stream waiting until the
 * client says that its function has returned.
 */
#include <stdlib.h>
#include "server/worker.h"

struct vgpu_hostfn {
	struct vgpu_callback	callback;	/* first */
	struct vgpu_hostfn	*next;
	uint64_t		token;
	bool			done;
};

void vgpu_hostfn_init(struct vgpu_worker *w)
{
	pthread_mutex_init(&w->hostfns_lock, NULL);
	pthread_cond_init(&w->hostfn_done, NULL);
}

static void wait_done(struct vgpu_worker *w, struct vgpu_hostfn *f)
{
	struct vgpu_notice_hostfn n = { .token = f->token };
	struct vgpu_hostfn **p = &w->hostfns;

	pthread_mutex_lock(&w->hostfns_lock);
	f->next = w->hostfns;
	w->hostfns = f;
	pthread_mutex_unlock(&w->hostfns_lock);
	vgpu_relief_due(w, 1);
	vgpu_notify(w, VGPU_NOTICE_HOSTFN, &n, sizeof(n));
	pthread_mutex_lock(&w->hostfns_lock);
	while (!f->done)
		pthread_cond_wait(&w->hostfn_done, &w->hostfns_lock);
	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
	pthread_mutex_unlock(&w->hostfns_lock);
	vgpu_relief_due(w, -1);
}

static void CUDA_CB reached(void *arg)
{
	struct vgpu_hostfn *f = arg;

	vgpu_callback_remove(&f->callback);
	wait_done(f->callback.w, f);
	free(f);
}

static void dropped(struct vgpu_callback *c)
{
	free((struct vgpu_hostfn *)c);
}

CUresult vgpu_hook_cuLaunchHostFunc(struct vgpu_worker *w, const struct vgpu_request *q,
				    uint64_t hStream, uint64_t token)
{
	struct vgpu_hostfn *f;
	CUstream s;
	CUresult r = vgpu_stream_own(w, hStream, &s);

	if (r)
		return r;
	f = vgpu_relief_start(w) ? calloc(1, sizeof(*f)) : NULL;
	if (!f)
		return CUDA_ERROR_OUT_OF_MEMORY;
	f->token = token;
	f->callback.dropped = dropped;
	vgpu_callback_add(w, vgpu_thread.context, &f->callback);
	r = w->driver->cuLaunchHostFunc(s, reached, f);
	if (r) {
		vgpu_callback_remove(&f->callback);
		free(f);
	}
	return r;
}

CUresult vgpu_hook_vgpu_hostfn_done(struct vgpu_worker *w, const struct vgpu_request *q,
				    uint64_t token)
{
	struct vgpu_hostfn *f;

	pthread_mutex_lock(&w->hostfns_lock);
	for (f = w->hostfns; f; f = f->next)
		if (f->token == token && !f->done)
			break;
	if (f)
		f->done = true;
	pthread_cond_broadcast(&w->hostfn_done);
	pthread_mutex_unlock(&w->hostfns_lock);
	return f ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
