/* SPDX-License-Identifier: MIT */
/*
 * A worker's life: from the connection, channel or session it was started with,
 * to the driver, to the end of its client. It ends by _exit(): what it holds of the GPU goes with
 * the process, and nothing it could still do would help anybody.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "server/worker.h"
#include "server/cache.h"
#include "server/remote.h"
#include "server/server.h"

#define NOBODY		65534	/* who owns nothing, on every system */
#define HELLO_MS	5000
#define LAST_WORDS_MS	100	/* for the dispatcher to end when the client has */

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

static struct vgpu_worker worker;

static void end(enum vgpu_worker_end how)
{
	_exit(how);
}

/* ---- before the client is listened to ---- */

/* The log goes where the server's goes, not where fd 2 is about to go. */
static int keep_log(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 64);

	if (fd < 0)
		return -errno;
	vgpu_log_to(fd);
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_set_report_fd((void *)(intptr_t)fd);
#endif
	return 0;
}

/* Whoever is at the other end. */
struct client {
	struct ucred			user;	/* whom the worker is to be; .pid: the client's */
	char				tenant[65];	/* a file name */
	struct vgpu_session_message	start;	/* of a session */
};

static struct vgpu_cache *open_cache(const struct vgpu_options *o, const struct client *who)
{
	/* Sessions of one tenant are of different users, if there are any but ours. */
	const struct vgpu_cache_owner owner = {
		.uid = who->user.uid, .gid = who->user.gid, .shared = o->session && !geteuid(),
	};
	struct vgpu_cache *c = NULL;
	int err;

	if (!*o->cache)
		return NULL;
	err = vgpu_cache_open(&c, o->cache, who->tenant, &owner, o->cache_limit);
	if (err)
		vgpu_log("worker %d: no cache in %s: %s", (int)getpid(), o->cache, strerror(-err));
	return c;
}

/* Who is at the other end, in the kernel's words. */
static int ask_peer(const struct vgpu_options *o, struct ucred *peer)
{
	socklen_t length = sizeof(*peer);
	struct vgpu_ioc_info info;

	if (!o->channel)
		return getsockopt(o->worker, SOL_SOCKET, SO_PEERCRED, peer, &length) ? -errno : 0;
	if (ioctl(o->worker, VGPU_IOC_INFO, &info))
		return -errno;
	*peer = (struct ucred){ .pid = info.pid, .uid = info.uid, .gid = info.gid };
	return 0;
}

/*
 * Who the worker is: its client. Not root, who may be a container's and must not
 * own the files of this host's; over the module nothing of root's is needed. A
 * session's client has no user here; the server gave it one.
 */
static struct ucred worker_user(const struct vgpu_options *o, const struct ucred *peer)
{
	struct ucred user = *peer;

	if ((o->channel || o->session) && !user.uid)
		user.uid = user.gid = NOBODY;
	if (geteuid()) {
		user.uid = geteuid();
		user.gid = getegid();
	}
	return user;
}

static int know_client(const struct vgpu_options *o, struct client *who)
{
	struct vgpu_session_message *start = &who->start;
	struct ucred peer;
	int err;

	if (!o->session) {
		err = ask_peer(o, &peer);
	} else {
		err = vgpu_far_start(o->worker, start);
		peer = (struct ucred){ .uid = start->uid, .gid = start->gid };
	}
	if (err)
		return err;
	who->user = worker_user(o, &peer);
	if (o->session)
		strcpy(who->tenant, start->tenant);
	else
		snprintf(who->tenant, sizeof(who->tenant), "%u", (unsigned)who->user.uid);
	return 0;
}

static int prepare(const struct vgpu_options *o, struct client *who, struct vgpu_cache **cache)
{
	int err = keep_log();

	if (!err)
		err = know_client(o, who);
	if (err)
		return err;
	if (!o->refuse)
		*cache = open_cache(o, who);
	/* process_vm_readv(2) of a client that is root needs what that one may. */
	return vgpu_privilege_drop(o->parent, who->user.uid, who->user.gid,
				   !o->channel && !o->session);
}

/* ---- the client's death ---- */

struct watch {
	struct pollfd	fds[2];
};

/*
 * The dispatcher notices when its channel is lost, unless a driver's call keeps
 * it. What lives no longer than its client must not depend on that.
 */
static void *watch_run(void *arg)
{
	struct watch *w = arg;

	while (poll(w->fds, 2, -1) < 0 && errno == EINTR)
		;
	poll(NULL, 0, LAST_WORDS_MS);
	end(VGPU_END_CLIENT_LEFT);
	return NULL;
}

/* The same for a session, whose keeper knows. */
static void session_ended(enum vgpu_worker_end how)
{
	poll(NULL, 0, LAST_WORDS_MS);
	end(how);
}

/*
 * The descriptor, which the channel owns; and the process behind a connection,
 * whose fork children may keep that open. The module looks after its own.
 */
static int watch_client(const struct vgpu_options *o, pid_t pid)
{
	static struct watch w;
	pthread_t thread;
	int fd, process = -1;

	if (o->session)
		return 0;
	fd = fcntl(o->worker, F_DUPFD_CLOEXEC, 64);
	if (fd < 0)
		return -errno;
	/* -1, in another pid namespace or on an old kernel: is not looked at. */
	if (!o->channel && pid > 0)
		process = syscall(SYS_pidfd_open, pid, 0);
	w.fds[0] = (struct pollfd){ .fd = fd, .events = o->channel ? 0 : POLLRDHUP };
	w.fds[1] = (struct pollfd){ .fd = process, .events = POLLIN };
	return -pthread_create(&thread, NULL, watch_run, &w);
}

/* ---- hello ---- */

static void answer(struct vgpu_channel *ch, CUresult status, const char *text, int version)
{
	struct vgpu_answer a = {
		.magic = VGPU_HELLO_MAGIC, .version = VGPU_HELLO_VERSION, .status = status,
		.ndevices = worker.ndevices, .driver_version = version, .worker_pid = getpid(),
		.features = vgpu_channel_is_remote(ch) ? VGPU_FEATURE_REMOTE : 0,
	};

	for (unsigned i = 0; i < VGPU_OPCODES; i++)
		if (vgpu_serve_table[i].serve)
			a.opcodes[i / 8] |= 1u << i % 8;
	snprintf(a.text, sizeof(a.text), "%s", text);
	vgpu_channel_answer(ch, &a, sizeof(a));
}

static void refuse(struct vgpu_channel *ch, CUresult status, const char *text)
{
	vgpu_log("worker %d: refused: %s", (int)getpid(), text);
	answer(ch, status, text, 0);
	vgpu_channel_close(ch);
	end(VGPU_END_REFUSED);
}

/* It has to come from another host first. */
static int session_hello(const struct vgpu_options *o, const struct vgpu_session_message *start,
			 struct vgpu_channel **ch, struct vgpu_hello *hello, size_t *length)
{
	int err = vgpu_far_open(&worker.remote, o->worker, start, session_ended);

	if (err)
		return err;
	*ch = worker.remote->channel;
	return vgpu_remote_hello(*ch, hello, length, HELLO_MS + start->grace * 1000);
}

static struct vgpu_channel *accept_client(const struct vgpu_options *o, const struct client *who,
					  struct vgpu_hello *hello)
{
	size_t length = sizeof(*hello);
	struct vgpu_channel *ch;
	const char *wrong;
	int err;

	if (o->session)
		err = session_hello(o, &who->start, &ch, hello, &length);
	else if (o->channel)
		err = vgpu_channel_adopt(&ch, o->worker, hello, &length, HELLO_MS);
	else
		err = vgpu_channel_accept(&ch, o->worker, hello, &length, HELLO_MS);
	if (err) {
		vgpu_log("worker %d: no hello: %s", (int)getpid(), strerror(-err));
		end(VGPU_END_NO_HELLO);
	}
	wrong = vgpu_hello_check(hello, length);
	if (wrong)
		refuse(ch, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, wrong);
	if (vgpu_record_max(ch) < VGPU_REPLY_MAX)
		refuse(ch, CUDA_ERROR_INVALID_VALUE, "the ring for completions is too small");
	if (o->refuse)
		refuse(ch, CUDA_ERROR_DEVICE_UNAVAILABLE, o->refuse);
	return ch;
}

/* ---- the driver ---- */

static void open_driver(const struct vgpu_options *o, struct vgpu_channel *ch, int *version)
{
	static struct vgpu_driver driver;
	char why[200], text[256];
	CUresult r;

	if (o->devices)
		setenv("CUDA_VISIBLE_DEVICES", o->devices, 1);
	if (vgpu_driver_open(&driver, o->libcuda, why, sizeof(why))) {
		snprintf(text, sizeof(text), "no driver: %s", why);
		refuse(ch, CUDA_ERROR_NO_DEVICE, text);
	}
	worker.driver = &driver;
	r = driver.cuInit(0);
	if (!r)
		r = driver.cuDriverGetVersion(version);
	if (!r)
		r = vgpu_devices_find(&worker, o->gpus);
	if (r) {
		snprintf(text, sizeof(text), "the driver of the server has no device: error %d", r);
		refuse(ch, r, text);
	}
}

CUresult vgpu_worker_start(struct vgpu_worker *w, struct vgpu_channel *ch,
			   struct vgpu_cache *cache)
{
	CUresult r;

	w->channel = ch;
	pthread_mutex_init(&w->cq, NULL);
	pthread_mutex_init(&w->life, NULL);
	pthread_mutex_init(&w->hosts, NULL);
	pthread_cond_init(&w->unused, NULL);
	vgpu_lane_init(&w->down);
	vgpu_handles_init(&w->handles);
	vgpu_rings_init(w);
	vgpu_hostfn_init(w);
	vgpu_copier_init(&w->copier);
	vgpu_relief_init(&w->relief);
	r = vgpu_up_start(w);
	if (!r)
		r = vgpu_helpers_start(w);
	return r ? r : vgpu_images_start(w, cache);
}

static int serve(struct vgpu_channel *ch)
{
	int err = vgpu_dispatch(&worker);
	const char *fault = vgpu_channel_fault(ch);
	enum vgpu_worker_end how;

	if (worker.remote && !fault && vgpu_far_over(worker.remote, &how))
		return how;
	if (!err && !fault)
		return VGPU_END_CLIENT_LEFT;
	vgpu_log("worker %d: the client broke the protocol: %s", (int)getpid(),
		 fault ? fault : strerror(-err));
	if (worker.remote)
		vgpu_far_goodbye(worker.remote, fault ? fault : "it broke the protocol");
	return VGPU_END_PROTOCOL;
}

int vgpu_worker_main(const struct vgpu_options *o)
{
	static struct vgpu_hello hello;
	static struct client who;
	struct vgpu_cache *cache = NULL;
	struct vgpu_channel *ch;
	int err, version = 0;
	uint64_t blocked;

	err = prepare(o, &who, &cache);
	if (err) {
		vgpu_log("worker %d: cannot start: %s", (int)getpid(), strerror(-err));
		return VGPU_END_INTERNAL;
	}
	ch = accept_client(o, &who, &hello);
	/* Before any thread or library takes an address that is the client's. */
	blocked = vgpu_steer_block(hello.ranges, hello.nranges);
	if (o->verbose)
		vgpu_log("worker %d: %llu MiB in %u ranges kept free for the client", (int)getpid(),
			 (unsigned long long)blocked >> 20, hello.nranges);
	open_driver(o, ch, &version);
	err = watch_client(o, who.user.pid);
	if (err || vgpu_worker_start(&worker, ch, cache) || vgpu_output_start(&worker))
		refuse(ch, CUDA_ERROR_OUT_OF_MEMORY, "the worker could not be started");
	answer(ch, CUDA_SUCCESS, "", version);
	end(serve(ch));
	return 0;
}
