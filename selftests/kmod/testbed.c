/* SPDX-License-Identifier: MIT */
/* What the tests of vgpu.ko share; see testbed.h. No test lives here. */
#include <setjmp.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include "testbed.h"

#define PATIENCE_MS	60000	/* for what comes at once, if it comes at all */

/* ---- system calls ---- */

long call_value(int fd, unsigned long cmd, unsigned long value)
{
	long n = ioctl(fd, cmd, value);

	return n < 0 ? -errno : n;
}

long call(int fd, unsigned long cmd, const void *arg)
{
	return call_value(fd, cmd, (unsigned long)arg);
}

int open_node(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

short ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

int64_t from_now(int64_t ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec + ns;
}

void pause_ms(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * MS }, NULL);
}

const char *read_text(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	n = n < 0 ? 0 : n;
	if (n && text[n - 1] == '\n')
		n--;
	text[n] = 0;
	return text;
}

int write_text(const char *path, const char *text)
{
	int fd = open_node(path, O_WRONLY);
	int err = fd < 0 ? fd : 0;

	if (!err && write(fd, text, strlen(text)) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

/* ---- a device, a daemon ---- */

static int new_device(struct vgpu_nl *nl)
{
	struct vgpu_nl_device d = {};
	int err = vgpu_nl_new(nl, &d, &d);

	return err ? err : (int)d.number;
}

int bed_open(struct bed *bed)
{
	int err;

	*bed = (struct bed){ .ctl = -1 };
	err = vgpu_nl_open(&bed->nl);
	if (err)
		return err;
	err = new_device(bed->nl);
	if (err < 0)
		return err;
	bed->device = err;
	snprintf(bed->node, sizeof(bed->node), "/dev/vgpu%u", bed->device);
	bed->ctl = open_node("/dev/vgpuctl", O_RDWR);
	return bed->ctl < 0 ? bed->ctl : 0;
}

static int end_device(struct vgpu_nl *nl, uint32_t number)
{
	struct vgpu_nl_device d = {};
	int err = vgpu_nl_get(nl, number, &d);

	if (!err && (d.channels || d.charged))
		err = -EUCLEAN;
	return err ? err : vgpu_nl_del(nl, number);
}

int bed_close(struct bed *bed)
{
	int err = end_device(bed->nl, bed->device);

	while (bed->nmore) {
		int more = end_device(bed->nl, bed->more[--bed->nmore]);

		err = err ? err : more;
	}
	if (bed->ctl >= 0)
		close(bed->ctl);
	vgpu_nl_close(bed->nl);
	return err;
}

int bed_more(struct bed *bed)
{
	int number;

	if (bed->nmore == VGPU_CHANNEL_DEVICES)
		return -ENOSPC;
	number = new_device(bed->nl);
	if (number >= 0)
		bed->more[bed->nmore++] = number;
	return number;
}

int device_node(uint32_t number)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/vgpu%u", number);
	return open_node(path, O_RDWR);
}

int bed_node(const struct bed *bed)
{
	return open_node(bed->node, O_RDWR);
}

/* What cannot be is not mistaken for an answer. */
static struct vgpu_nl_device nothing(void)
{
	struct vgpu_nl_device d;

	memset(&d, 0xff, sizeof(d));
	return d;
}

struct vgpu_nl_device bed_look(const struct bed *bed)
{
	struct vgpu_nl_device d = nothing();

	return vgpu_nl_get(bed->nl, bed->device, &d) ? nothing() : d;
}

int bed_budget(const struct bed *bed, uint64_t device, uint64_t channel)
{
	const struct vgpu_nl_device change = {
		.has = VGPU_NL_HAS(VGPU_ATTR_BUDGET) | VGPU_NL_HAS(VGPU_ATTR_CHANNEL_BUDGET),
		.number = bed->device, .budget = device, .channel_budget = channel,
	};

	return vgpu_nl_set(bed->nl, &change);
}

/* ---- a channel ---- */

const struct vgpu_ring_sizes SMALL = { PAGE, PAGE, PAGE, PAGE };

size_t app_half(const struct vgpu_ring_sizes *sizes)
{
	return PAGE + (size_t)sizes->sq + sizes->up;
}

size_t peer_half(const struct vgpu_ring_sizes *sizes)
{
	return PAGE + (size_t)sizes->cq + sizes->down;
}

int set_up(int fd, const struct vgpu_ring_sizes *sizes)
{
	struct vgpu_ioc_setup setup = { .sizes = *sizes };

	return call(fd, VGPU_IOC_SETUP, &setup);
}

int accept_channel(int ctl)
{
	return call_value(ctl, VGPU_CTL_ACCEPT, 0);
}

int pair_open(const struct bed *bed, struct pair *pair)
{
	int err;

	pair->app = bed_node(bed);
	if (pair->app < 0)
		return pair->app;
	err = set_up(pair->app, &SMALL);
	pair->peer = err ? err : accept_channel(bed->ctl);
	if (pair->peer >= 0)
		return 0;
	close(pair->app);
	return pair->peer;
}

void pair_close(struct pair *pair)
{
	close(pair->peer);
	close(pair->app);
}

int bell(int fd)
{
	return call_value(fd, VGPU_IOC_BELL, VGPU_BELL_OTHER);
}

int wait_bell(int fd, uint64_t *bells, int64_t deadline, uint32_t *state)
{
	struct vgpu_ioc_wait wait = { .bells = *bells, .deadline = deadline };
	int err = call(fd, VGPU_IOC_WAIT, &wait);

	*bells = wait.bells;
	if (state && !err)
		*state = wait.state;
	return err;
}

int state_of(int peer)
{
	struct vgpu_ioc_info info;
	int err = call(peer, VGPU_IOC_INFO, &info);

	return err ? err : (int)info.state;
}

uint64_t hostmem(int app, uint64_t size)
{
	struct vgpu_ioc_hostmem_alloc alloc = { .size = size };

	return call(app, VGPU_IOC_HOSTMEM_ALLOC, &alloc) ? 0 : alloc.handle;
}

int set_cookie(int peer, uint8_t byte)
{
	struct vgpu_cookie cookie;

	memset(&cookie, byte, sizeof(cookie));
	return call(peer, VGPU_IOC_COOKIE, &cookie);
}

static int change_memory(int app, unsigned long cmd, const void *addr, size_t size)
{
	struct vgpu_ioc_appmem range = { .addr = (uintptr_t)addr, .size = size };

	return call(app, cmd, &range);
}

int register_memory(int app, const void *addr, size_t size)
{
	return change_memory(app, VGPU_IOC_REGISTER, addr, size);
}

int unregister_memory(int app, const void *addr, size_t size)
{
	return change_memory(app, VGPU_IOC_UNREGISTER, addr, size);
}

int copy(int peer, uintptr_t app, const void *local, size_t length, uint32_t flags)
{
	struct vgpu_ioc_copy c = {
		.app = app, .local = (uintptr_t)local, .length = length, .flags = flags,
	};

	return call(peer, VGPU_IOC_COPY, &c);
}

void *map(int fd, uint64_t offset, size_t size, int prot)
{
	void *at = mmap(NULL, size, prot, MAP_SHARED, fd, offset);

	return at == MAP_FAILED ? NULL : at;
}

int try_map(int fd, uint64_t offset, size_t size, int prot, int flags)
{
	void *at = mmap(NULL, size, prot, flags, fd, offset);

	if (at == MAP_FAILED)
		return -errno;
	munmap(at, size);
	return 0;
}

/* ---- children ---- */

pid_t child(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	return 0;
}

int join(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int kill_and_join(pid_t pid)
{
	return kill(pid, SIGKILL) ? -errno : join(pid);
}

bool sleeps_in(pid_t tid, long number)
{
	char path[64], wanted[32];
	const char *text;
	int i;

	/* "running" while it runs; else number, arguments, and where it is */
	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	snprintf(wanted, sizeof(wanted), "%ld ", number);
	for (i = 0; i < PATIENCE_MS; i++) {
		text = read_text(path);
		if (!*text || !strncmp(text, wanted, strlen(wanted)))
			return *text;
		pause_ms(1);
	}
	return false;
}

static sigjmp_buf touched;

static void on_fault(int sig)
{
	siglongjmp(touched, sig);
}

int touch(volatile char *at, bool write)
{
	struct sigaction action = { .sa_handler = on_fault }, segv, bus;
	int sig;

	sigaction(SIGSEGV, &action, &segv);
	sigaction(SIGBUS, &action, &bus);
	sig = sigsetjmp(touched, 1);
	if (!sig && write)
		*at = 1;
	else if (!sig)
		(void)*at;
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return sig;
}

int gate_new(void)
{
	return eventfd(0, EFD_SEMAPHORE);
}

void gate_open(int gate)
{
	eventfd_write(gate, 1);
}

bool gate_pass(int gate)
{
	struct pollfd p = { .fd = gate, .events = POLLIN };
	eventfd_t value;

	return poll(&p, 1, PATIENCE_MS) == 1 && !eventfd_read(gate, &value);
}
