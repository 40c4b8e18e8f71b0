/* SPDX-License-Identifier: MIT */
/*
 * What kernels print, and the driver, comes out of this process' fd 1 and 2: two
 * pipes, whose other ends are read here and sent to the client. A thread does so
 * when something comes; and before the completion of a call that waited for the
 * GPU whoever completes it, so that the text is there before the call returns.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "server/worker.h"

#define READ_BYTES	(16u << 10)

struct vgpu_output {
	pthread_mutex_t	lock;		/* from reading a pipe to sending what was read */
	int		pipes[2];	/* of fd 1 and 2 */
};

/* Something to read: how many of the pipes; waits for that if @ms is -1. */
static int poll_pipes(const struct vgpu_output *o, int ms)
{
	struct pollfd p[2] = {
		{ .fd = o->pipes[0], .events = POLLIN },
		{ .fd = o->pipes[1], .events = POLLIN },
	};

	return poll(p, 2, ms);
}

static void send_text(struct vgpu_worker *w, unsigned fd, const uint8_t *text, size_t length)
{
	size_t most = vgpu_bytes_max(w->channel);

	while (length) {
		struct vgpu_notice_output n = { .fd = fd };
		size_t part = length < most ? length : most;
		void *at;

		vgpu_lane_enter(&w->down);
		at = vgpu_down_reserve(w, part, &n.chunk.pos);
		if (at) {
			memcpy(at, text, part);
			n.chunk.length = part;
			vgpu_bytes_publish(w->channel, n.chunk.pos, part);
			vgpu_notify(w, VGPU_NOTICE_OUTPUT, &n, sizeof(n));
		}
		vgpu_lane_leave(&w->down);
		text += part;
		length -= part;
	}
}

/* o->lock is held. */
static void forward(struct vgpu_worker *w, struct vgpu_output *o)
{
	uint8_t text[READ_BYTES];

	for (unsigned i = 0; i < 2; i++) {
		ssize_t n;

		while ((n = read(o->pipes[i], text, sizeof(text))) > 0)
			send_text(w, i + 1, text, n);
	}
}

void vgpu_output_drain(struct vgpu_worker *w)
{
	struct vgpu_output *o = w->output;

	if (!o || !atomic_load(&w->launched))
		return;
	fflush(stdout);
	pthread_mutex_lock(&o->lock);
	forward(w, o);
	pthread_mutex_unlock(&o->lock);
}

/* Something to send, or being sent? */
static bool waits(struct vgpu_worker *w)
{
	struct vgpu_output *o = w->output;
	bool some;

	if (!o || !atomic_load(&w->launched))
		return false;
	fflush(stdout);
	if (pthread_mutex_trylock(&o->lock))
		return true;
	some = poll_pipes(o, 0) != 0;
	pthread_mutex_unlock(&o->lock);
	return some;
}

static CUresult drained(struct vgpu_worker *w, struct vgpu_job *job, struct vgpu_reply *p)
{
	vgpu_output_drain(w);
	return job->words[0];
}

CUresult vgpu_output_first(struct vgpu_worker *w, const struct vgpu_request *q, CUresult r)
{
	struct vgpu_job *job;

	if (likely(!waits(w)))
		return r;
	job = vgpu_job_create(q, drained);
	if (!job)
		return CUDA_ERROR_OUT_OF_MEMORY;
	job->words[0] = r;
	return vgpu_job_submit(w, job);
}

static void *output_run(void *arg)
{
	struct vgpu_worker *w = arg;
	struct vgpu_output *o = w->output;

	for (;;) {
		if (poll_pipes(o, -1) < 0 && errno != EINTR)
			return NULL;
		pthread_mutex_lock(&o->lock);
		forward(w, o);
		pthread_mutex_unlock(&o->lock);
	}
}

/* A pipe in the place of @fd; its reading end. */
static int divert(int fd)
{
	int ends[2], err = 0;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	if (dup2(ends[1], fd) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK))
		err = -errno;
	close(ends[1]);
	if (err)
		close(ends[0]);
	return err ? err : ends[0];
}

int vgpu_output_start(struct vgpu_worker *w)
{
	struct vgpu_output *o = calloc(1, sizeof(*o));
	pthread_t thread;

	if (!o)
		return -ENOMEM;
	pthread_mutex_init(&o->lock, NULL);
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		int fd = divert(i + 1);

		if (fd < 0)
			return fd;
		o->pipes[i] = fd;
	}
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	w->output = o;
	return -pthread_create(&thread, NULL, output_run, w);
}
