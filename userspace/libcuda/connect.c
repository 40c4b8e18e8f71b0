/* SPDX-License-Identifier: MIT */
/*
 * From cuInit() to a session: the backend is chosen, the channel opened, hello
 * and answer exchanged. And what is said, and returned, when there is none.
 */
#include <errno.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "proto/cuda_api.h"
#include "gen/calls.h"
#include "libcuda/connect.h"
#include "libcuda/steer.h"

#define DEFAULT_SOCKET		"/run/vgpu/server.sock"
#define NODES			"/dev/vgpu[0-9]*"
#define HELLO_TIMEOUT_MS	20000
/* A daemon that is being restarted is waited for: pauses of 10, 20, 40, … ms. */
#define FIRST_PAUSE_MS		10
#define LAST_PAUSE_MS		1280

static const struct vgpu_ring_sizes ring_sizes = {
	.sq = 256u << 10, .cq = VGPU_SESSION_CQ_SIZE, .up = 1u << 20, .down = 1u << 20,
};

struct greeting {
	struct vgpu_hello	*hello;
	size_t			length;
	struct vgpu_answer	answer;
	size_t			answer_length;
};

static bool greeting_make(struct greeting *g)
{
	struct vgpu_hello *h = calloc(1, sizeof(*h));

	if (!h)
		return false;
	h->magic = VGPU_HELLO_MAGIC;
	h->version = VGPU_HELLO_VERSION;
	memcpy(h->opcodes, vgpu_call_opcodes, sizeof(h->opcodes));
	h->nranges = vgpu_steer_ranges(h->ranges, VGPU_RANGES_MAX);
	g->hello = h;
	g->length = vgpu_hello_length(h->nranges);
	return true;
}

/* ---- the module's devices ---- */

/* What is wrong with virtual GPUs, for the user and for the program. */
static const struct refusal {
	int		err;
	CUresult	result;
	const char	*why;
} refusals[] = {
	{ EHOSTDOWN, CUDA_ERROR_SYSTEM_NOT_READY,
	  "no daemon serves it: is vgpu-server (or vgpud) running?" },
	{ EPIPE, CUDA_ERROR_SYSTEM_NOT_READY, "its daemon gave up before it answered" },
	{ ETIMEDOUT, CUDA_ERROR_SYSTEM_NOT_READY, "its daemon does not answer" },
	{ EPROTO, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, "its daemon's answer makes no sense" },
	{ EDQUOT, CUDA_ERROR_OUT_OF_MEMORY, "its budget of host memory is used up" },
	{ ENOMEM, CUDA_ERROR_OUT_OF_MEMORY, "not enough memory for a channel" },
	{ EUSERS, CUDA_ERROR_DEVICE_UNAVAILABLE,
	  "as many programs use it as can: wait for one to end" },
	{ EMFILE, CUDA_ERROR_OPERATING_SYSTEM, "this process has too many open files" },
	{ ENOENT, CUDA_ERROR_NO_DEVICE, "there is no such device" },
	{ ENODEV, CUDA_ERROR_NO_DEVICE, "there is no such device" },
	{ ENXIO, CUDA_ERROR_NO_DEVICE, "there is no such device" },
	{ EINVAL, CUDA_ERROR_NO_DEVICE, "this is no list of devices" },
	{ E2BIG, CUDA_ERROR_NO_DEVICE, "more devices than a program can have" },
	{ EEXIST, CUDA_ERROR_NO_DEVICE, "a device is named twice" },
	{ EBADF, CUDA_ERROR_NO_DEVICE, "not all of these are virtual GPUs" },
	{ ENOTTY, CUDA_ERROR_NO_DEVICE, "this is no virtual GPU" },
	{ EACCES, CUDA_ERROR_NO_DEVICE, "this process may not open it" },
	{ EPERM, CUDA_ERROR_NO_DEVICE, "this process may not open it" },
};

static CUresult devices_refused(const char *what, int err)
{
	const unsigned n = sizeof(refusals) / sizeof(*refusals);

	for (unsigned i = 0; i < n; i++) {
		if (refusals[i].err != -err)
			continue;
		fprintf(stderr, "vgpu: %s: %s\n", what, refusals[i].why);
		return refusals[i].result;
	}
	fprintf(stderr, "vgpu: %s: %s\n", what, strerror(-err));
	return CUDA_ERROR_OPERATING_SYSTEM;
}

/* Nodes are there, but none for us: whose is the first one? */
static CUresult devices_denied(const char *node)
{
	char buffer[1024], number[16], mode[8];
	struct group entry, *group = NULL;
	struct stat st;

	/* The file's mode is not what stops us: a container's list of devices is. */
	if (!access(node, R_OK | W_OK) || stat(node, &st)) {
		fprintf(stderr, "vgpu: %s was not given to this container\n", node);
		return CUDA_ERROR_NO_DEVICE;
	}
	getgrgid_r(st.st_gid, &entry, buffer, sizeof(buffer), &group);
	snprintf(number, sizeof(number), "%u", (unsigned)st.st_gid);
	snprintf(mode, sizeof(mode), "%o", (unsigned)st.st_mode & 0777);
	fprintf(stderr, "vgpu: user %u may not open %s (group %s, mode %s): %s\n",
		(unsigned)geteuid(), node, group ? group->gr_name : number, mode,
		st.st_gid && (st.st_mode & 060) == 060 ?
			"become a member of that group, then log in anew" :
			"ask who administers this host for access");
	return CUDA_ERROR_NO_DEVICE;
}

static CUresult no_access(void)
{
	CUresult r = CUDA_ERROR_NO_DEVICE;
	glob_t nodes;

	if (glob(NODES, 0, NULL, &nodes))
		return devices_refused("/dev/vgpuN", -EACCES);
	if (nodes.gl_pathc)
		r = devices_denied(nodes.gl_pathv[0]);
	globfree(&nodes);
	return r;
}

/* The name of an open node, for messages. */
static void node_name(int fd, char *name, size_t room)
{
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, room - 1);
	snprintf(name + (n > 0 ? n : 0), n > 0 ? 1 : room, "%s", n > 0 ? "" : "/dev/vgpuN");
}

/* One try. *@name is empty as long as no node is open. */
static int devices_try(struct vgpu_session *s, struct greeting *g, const char *list, char *name,
		       size_t room)
{
	int fds[VGPU_CHANNEL_DEVICES], n;

	*name = 0;
	n = vgpu_nodes_open(list, fds, VGPU_CHANNEL_DEVICES);
	if (n < 0)
		return n;
	node_name(fds[0], name, room);
	g->answer_length = sizeof(g->answer);
	return vgpu_channel_open(&s->channel, fds, n, &ring_sizes, g->hello, g->length, &g->answer,
				 &g->answer_length, HELLO_TIMEOUT_MS);
}

/*
 * A daemon that ends takes with it the channels that it did not answer yet, and
 * until the next one is there nobody serves the device. Only who had a daemon
 * a moment ago waits for one.
 */
static int devices_open(struct vgpu_session *s, struct greeting *g, const char *list, char *name,
			size_t room)
{
	int err = devices_try(s, g, list, name, room);
	bool had = err == -EPIPE;

	for (int ms = FIRST_PAUSE_MS; ms <= LAST_PAUSE_MS && had; ms *= 2) {
		if (err != -EPIPE && err != -EHOSTDOWN)
			break;
		poll(NULL, 0, ms);
		err = devices_try(s, g, list, name, room);
	}
	return err;
}

/* ---- the socket ---- */

static CUresult socket_open(struct vgpu_session *s, struct greeting *g)
{
	const char *path = secure_getenv("VGPU_SOCKET") ?: DEFAULT_SOCKET;
	int err;

	g->answer_length = sizeof(g->answer);
	err = vgpu_channel_connect(&s->channel, path, &ring_sizes, g->hello, g->length,
				   &g->answer, &g->answer_length, HELLO_TIMEOUT_MS);
	if (!err)
		return CUDA_SUCCESS;
	/* A host without vgpu is a host without a GPU, and nothing to talk about. */
	if (secure_getenv("VGPU_SOCKET"))
		fprintf(stderr, "vgpu: no server at VGPU_SOCKET=%s: %s\n", path, strerror(-err));
	return CUDA_ERROR_NO_DEVICE;
}

/* ---- which of them, and the answer ---- */

/* Is it the list that is wrong, and not the first device of it? */
static bool is_of_list(int err)
{
	return err == -EBADF || err == -ENOTTY || err == -EEXIST;
}

static CUresult channel_open(struct vgpu_session *s, struct greeting *g)
{
	const char *list = secure_getenv("VGPU_DEVICES");
	bool named = list && *list && strcmp(list, "none");
	char name[128], text[192];
	int err = devices_open(s, g, list, name, sizeof(name));

	if (!err)
		return CUDA_SUCCESS;
	if (*name && !(named && is_of_list(err)))
		return devices_refused(name, err);
	if (named) {
		snprintf(text, sizeof(text), "VGPU_DEVICES=%s", list);
		return devices_refused(text, err);
	}
	if (err == -ENOENT)
		return socket_open(s, g);
	return err == -EACCES ? no_access() : devices_refused("/dev/vgpuN", err);
}

/* It goes to a terminal: letters of whatever alphabet, and nothing that steers it. */
static void text_clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static CUresult answer_take(struct vgpu_session *s, struct vgpu_answer *a, size_t length)
{
	const char *wrong = vgpu_answer_check(a, length);

	if (wrong) {
		fprintf(stderr, "vgpu: the server's answer cannot be used: %s\n", wrong);
		return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
	}
	if (a->status) {
		text_clean(a->text);
		if (a->text[0])
			fprintf(stderr, "vgpu: the server refused: %s\n", a->text);
		return (CUresult)a->status;
	}
	s->driver_version = a->driver_version;
	s->ndevices = a->ndevices;
	s->remote = a->features & VGPU_FEATURE_REMOTE;
	return CUDA_SUCCESS;
}

CUresult vgpu_connect(struct vgpu_session *s)
{
	struct greeting g;
	CUresult r;

	if (!greeting_make(&g))
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = channel_open(s, &g);
	free(g.hello);
	return r ? r : answer_take(s, &g.answer, g.answer_length);
}
