// SPDX-License-Identifier: MIT
/* Processes: they multiply, change, die, and give each other descriptors; see fuzz.h. */
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "fuzz.h"

#define CHILD_STEPS	30

/* ---- birth and death ---- */

static void bury(struct fuzz *f)
{
	for (int i = 0; i < CHILDREN; i++)
		if (f->children[i] && waitpid(f->children[i], NULL, WNOHANG) == f->children[i])
			f->children[i] = 0;
}

static void kill_child(struct fuzz *f)
{
	static const int signals[] = { SIGKILL, SIGKILL, SIGSTOP, SIGCONT };
	pid_t pid = f->children[below(f, CHILDREN)];

	bury(f);
	if (pid)
		kill(pid, signals[below(f, 4)]);
}

static pid_t *room_for_child(struct fuzz *f)
{
	pid_t *pid = &f->children[below(f, CHILDREN)];

	if (f->depth >= 2)
		return NULL;
	bury(f);
	if (*pid) {
		kill(*pid, SIGKILL);
		join(*pid);
	}
	return pid;
}

/* A child has what its parent has, except for halves; it goes on in its own way. */
static void fork_one(struct fuzz *f)
{
	pid_t *pid = room_for_child(f);
	uint64_t seed = rnd(f) | 1;

	if (!pid)
		return;
	*pid = child();
	judge(f, "fork", *pid < 0 ? -errno : 0, ENOMEM, EAGAIN, 0);
	if (*pid) {
		*pid = *pid < 0 ? 0 : *pid;
		return;
	}
	f->random = seed;
	f->depth++;
	memset(f->children, 0, sizeof(f->children));
	for (int i = 0; i < AREAS; i++)
		if (f->areas[i].offset < VGPU_MMAP_HOSTMEM)
			f->areas[i].at = NULL;
	if (percent(f, 20))
		fuzz_exec(f, below(f, CHILD_STEPS));
	fuzz_begin(f);
	fuzz_steps(f, below(f, CHILD_STEPS));
	_exit(0);
}

/* The parent waits while a program begins that has its descriptors, not its memory. */
static void vfork_one(struct fuzz *f)
{
	pid_t pid = vfork();

	judge(f, "vfork", pid < 0 ? -errno : 0, ENOMEM, EAGAIN, 0);
	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	if (pid > 0)
		join(pid);
}

/* In the middle of everything; the parent starts another worker. */
static void die(struct fuzz *f)
{
	if (f->depth || percent(f, 20))
		raise(SIGKILL);
}

/* A table of its own, so that closing in it is not the app's end. */
static void unshare_files(struct fuzz *f)
{
	judge(f, "unshare", unshare(CLONE_FILES) ? -errno : 0, ENOMEM, 0);
}

/* ---- descriptors that are passed on ---- */

union control {
	char		buffer[CMSG_SPACE(sizeof(int))];
	struct cmsghdr	align;
};

struct letter {
	enum kind		kind;
	struct vgpu_ring_sizes	sizes;
};

static void send_one(struct fuzz *f)
{
	struct thing *thing = pick(f, percent(f, 95) ? DEVICE | APP | PEER : CTL);
	struct letter letter;
	struct iovec part = { &letter, sizeof(letter) };
	union control control = {};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	if (!thing)
		return;
	letter = (struct letter){ thing->kind, thing->sizes };
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &thing->fd, sizeof(int));
	judge(f, "sendmsg", sendmsg(f->shared->box[below(f, WORKERS)][1], &message,
				    MSG_DONTWAIT) < 0 ? -errno : 0,
	      EAGAIN, EBADF, ENOMEM, ENOBUFS, ETOOMANYREFS, EINTR, 0);
}

static void receive_one(struct fuzz *f)
{
	struct letter letter = {};
	struct iovec part = { &letter, sizeof(letter) };
	union control control = {};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	long n = recvmsg(f->shared->box[f->worker][0], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct thing *thing;
	int fd;

	judge(f, "recvmsg", n < 0 ? -errno : 0, EAGAIN, ENOMEM, EINTR, 0);
	if (n <= 0 || !CMSG_FIRSTHDR(&message))
		return;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	thing = keep(f, fd, letter.kind);
	thing->sizes = letter.sizes;
}

const struct op fuzz_processes[] = {
	OP("fork", 3, fork_one),
	OP("vfork", 1, vfork_one),
	OP("kill", 4, kill_child),
	OP("die", 1, die),
	OP("unshare", 2, unshare_files),
	OP("send", 25, send_one),
	OP("receive", 30, receive_one),
	{}
};
