/* SPDX-License-Identifier: MIT */
/*
 * Host functions and stream callbacks. The worker tells when a stream gets to
 * one and keeps that stream waiting; one thread of ours, started at the first
 * use, runs them in the order they come and tells the worker when each is
 * done. The thread sleeps as long as none is outstanding.
 */
#include <signal.h>
#include <stdlib.h>
#include "libcuda/api.h"
#include "libcuda/hostfn.h"
#include "libcuda/submit.h"

struct hostfn {
	uint64_t		token;
	struct vgpu_session	*session;
	uint64_t		ctx;		/* that its stream lives in */
	CUhostFn		function;
	CUstreamCallback	callback;	/* instead of function */
	CUstream		stream;
	void			*data;
	CUresult		status;		/* of the stream, for a callback */
	struct hostfn		*next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* all below */
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct hostfn *waiting;		/* given out, the stream is not there yet */
static struct hostfn *due, **due_end = &due;
static uint64_t last_token;
static bool started;

bool vgpu_hostfn_due(struct vgpu_session *s, const struct vgpu_notice_hostfn *n)
{
	struct hostfn **p, *h;
	bool given;

	pthread_mutex_lock(&lock);
	for (p = &waiting; (h = *p); p = &h->next)
		if (h->token == n->token && h->session == s)
			break;
	given = h;
	if (given) {
		*p = h->next;
		h->status = (CUresult)n->status;
		h->next = NULL;
		*due_end = h;
		due_end = &h->next;
	}
	pthread_mutex_unlock(&lock);
	/* The bell for this record may have woken our thread before it was on the list. */
	vgpu_channel_kick(s->channel);
	return given;
}

static struct hostfn *due_take(void)
{
	struct hostfn *h = due;

	if (h) {
		due = h->next;
		if (!due)
			due_end = &due;
	}
	return h;
}

/* What it wrote, whoever finds it over can see. */
static void hostfn_over(struct vgpu_session *s)
{
	atomic_fetch_sub_explicit(&s->early.hostfns, 1, memory_order_release);
}

static void hostfn_run(struct hostfn *h)
{
	if (h->callback)
		h->callback(h->stream, h->status, h->data);
	else if (!h->status)
		h->function(h->data);
	hostfn_over(h->session);
	vgpu_call_vgpu_hostfn_done(h->session, 0, 0, h->token);
	free(h);
}

static bool something_to_do(void *arg)
{
	bool any;

	pthread_mutex_lock(&lock);
	any = due || !waiting;	/* or nothing to wait for */
	pthread_mutex_unlock(&lock);
	return any;
}

void vgpu_hostfn_drop(struct vgpu_session *s, uint64_t ctx)
{
	struct hostfn **p = &waiting, *h;

	pthread_mutex_lock(&lock);
	while ((h = *p)) {
		if (h->session == s && (!ctx || h->ctx == ctx)) {
			*p = h->next;
			hostfn_over(s);
			free(h);
		} else {
			p = &h->next;
		}
	}
	pthread_mutex_unlock(&lock);
	vgpu_channel_kick(s->channel);
}

static void *hostfn_thread(void *arg)
{
	for (;;) {
		struct vgpu_session *s = NULL;
		struct hostfn *h;

		pthread_mutex_lock(&lock);
		while (!due && !waiting)
			pthread_cond_wait(&more, &lock);
		h = due_take();
		if (!h)
			s = waiting->session;
		pthread_mutex_unlock(&lock);
		if (h)
			hostfn_run(h);
		else if (vgpu_receive_until(s, something_to_do, NULL))
			vgpu_hostfn_drop(s, 0);
	}
	return NULL;
}

/* Signals are the app's threads' business. */
static int thread_start(void)
{
	sigset_t all, old;
	pthread_t t;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&t, NULL, hostfn_thread, NULL);
	if (!err)
		pthread_detach(t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static CUresult hostfn_add(struct hostfn *h, uint64_t *token)
{
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&lock);
	if (!started && thread_start()) {
		r = CUDA_ERROR_OUT_OF_MEMORY;
	} else {
		started = true;
		h->token = *token = ++last_token;
		h->next = waiting;
		waiting = h;
		pthread_cond_signal(&more);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

/* The worker does not know of it; unless it is due, or dropped, all the same. */
static void hostfn_remove(struct vgpu_session *s, uint64_t token)
{
	struct hostfn **p = &waiting, *h;

	pthread_mutex_lock(&lock);
	while ((h = *p) && h->token != token)
		p = &h->next;
	if (h)
		*p = h->next;
	pthread_mutex_unlock(&lock);
	if (h)
		hostfn_over(s);
	free(h);
}

static CUresult hostfn_launch(CUstream stream, struct hostfn like)
{
	struct vgpu_call_place p;
	struct hostfn *h;
	uint64_t wire, token;
	CUresult r;

	r = vgpu_place(&p);
	if (!r)
		r = vgpu_wire_stream(&p, stream, &wire);
	if (r)
		return r;
	h = malloc(sizeof(*h));
	if (!h)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*h = like;
	h->session = p.session;
	h->ctx = p.ctx;
	h->stream = stream;
	atomic_fetch_add(&p.session->early.hostfns, 1);
	r = hostfn_add(h, &token);
	if (r) {
		hostfn_over(p.session);
		free(h);
		return r;
	}
	r = vgpu_call_cuLaunchHostFunc(p.session, p.ctx, p.flags, wire, token);
	if (r)
		hostfn_remove(p.session, token);
	return r;
}

VGPU_PUBLIC CUresult CUDAAPI cuLaunchHostFunc(CUstream stream, CUhostFn fn, void *data)
{
	if (!fn)
		return CUDA_ERROR_INVALID_VALUE;
	return hostfn_launch(stream, (struct hostfn){ .function = fn, .data = data });
}

VGPU_PUBLIC CUresult CUDAAPI cuStreamAddCallback(CUstream stream, CUstreamCallback callback,
						 void *data, unsigned int flags)
{
	if (!callback || flags)
		return CUDA_ERROR_INVALID_VALUE;
	return hostfn_launch(stream, (struct hostfn){ .callback = callback, .data = data });
}

VGPU_PUBLIC CUresult CUDAAPI cuStreamAddCallback_ptsz(CUstream stream, CUstreamCallback callback,
						      void *data, unsigned int flags)
{
	return cuStreamAddCallback(stream ? stream : CU_STREAM_PER_THREAD, callback, data, flags);
}
