/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what the other host sends after its RESUME, to a client's mirror
 * or to a worker's, with pulls and stores under way. The first byte says which.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "channel/relay.h"
#include "link/mirror.h"

#define BUFFER	65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct vgpu_ring_sizes sizes = { .sq = 4096, .cq = 4096, .up = 8192, .down = 8192 };
static uint8_t buffer[BUFFER];
static struct vgpu_app_job *jobs[4];
static unsigned int njobs;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void ring(void *arg, bool head)
{
}

static void *hostmem(void *arg, uint64_t handle, uint64_t size)
{
	errno = ENOENT;
	return handle == 1 && size == sizeof(buffer) ? buffer : NULL;
}

static void forget(void *arg, uint64_t handle)
{
}

static void app_copy(void *arg, struct vgpu_app_job *job)
{
	require(njobs < sizeof(jobs) / sizeof(*jobs));
	jobs[njobs++] = job;
}

static const struct vgpu_mirror_ops ops = {
	.ring = ring, .hostmem = hostmem, .forget = forget, .app_copy = app_copy,
};

static void finish_jobs(struct vgpu_mirror *m)
{
	while (njobs) {
		struct vgpu_app_job *job = jobs[--njobs];

		job->error = job->address % 3 ? 0 : -EFAULT;
		if (!job->error && !job->write)
			memset(job->local, 1, job->length);
		require(!vgpu_mirror_copied(m, job));
	}
}

static void resume(int fd)
{
	struct {
		struct vgpu_frame	f;
		struct vgpu_resume	r;
	} first = {
		.f = { .type = VGPU_FRAME_RESUME, .length = sizeof(first.r) },
		.r = { .version = VGPU_WIRE_VERSION, .epoch = 1 },
	};

	require(write(fd, &first, sizeof(first)) == sizeof(first));
}

static void feed(struct vgpu_mirror *m, int fd, const uint8_t *data, size_t size)
{
	uint8_t sink[4096];

	while (vgpu_mirror_receive(m) >= 0 && vgpu_mirror_send(m) >= -EAGAIN) {
		ssize_t n = size ? send(fd, data, size, MSG_NOSIGNAL) : 0;

		finish_jobs(m);
		while (recv(fd, sink, sizeof(sink), 0) > 0)
			;
		if (n > 0) {
			data += n;
			size -= n;
		} else if (vgpu_mirror_receive(m) <= 0) {
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t pulled[BUFFER], stored[100];
	enum vgpu_role role = size && data[0] % 2 ? VGPU_ROLE_WORKER : VGPU_ROLE_CLIENT;
	struct vgpu_pull pull = { .from = { 1, BUFFER, 0 }, .to = pulled, .length = BUFFER };
	struct vgpu_store store = { .to = { 1, BUFFER, 0 }, .from = stored, .length = 100 };
	struct vgpu_channel *app, *peer;
	struct vgpu_mirror *m;
	struct vgpu_stream *s;
	int fds[2];

	if (!size)
		return 0;
	require(!vgpu_channel_pair(&app, &peer, &sizes));
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
	require(!vgpu_stream_plain(&s, fds[0]));
	require(!vgpu_mirror_create(&m, role, role == VGPU_ROLE_CLIENT ? peer : app, &ops, NULL));
	require(!vgpu_mirror_attach(m, s, 1));
	resume(fds[1]);
	if (role == VGPU_ROLE_WORKER) {
		vgpu_mirror_pull(m, &pull);
		vgpu_mirror_store(m, &store);
	}
	feed(m, fds[1], data + 1, size - 1);
	vgpu_mirror_detach(m);
	finish_jobs(m);
	vgpu_mirror_destroy(m);
	close(fds[1]);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
	return 0;
}
