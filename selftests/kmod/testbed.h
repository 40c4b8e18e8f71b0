/* SPDX-License-Identifier: MIT */
/*
 * What the tests of vgpu.ko share: a device made for one test, both sides of a
 * channel, children, and system calls that return -errno. No test lives here.
 *
 * A test looks like this, and there is nothing else on its device:
 *
 *	FIXTURE(thing) { struct bed bed; };
 *	FIXTURE_SETUP(thing) { ASSERT_EQ(0, bed_open(&self->bed)); }
 *	FIXTURE_TEARDOWN(thing) { EXPECT_EQ(0, bed_close(&self->bed)); }
 *	TEST_F(thing, does_that) { ... }
 *
 * Children check with EXPECT_ and end with _exit(!_metadata->passed); what the
 * device still has when a test is over is a failure of bed_close().
 */
#ifndef VGPU_SELFTESTS_KMOD_TESTBED_H
#define VGPU_SELFTESTS_KMOD_TESTBED_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>
#include <linux/vgpu.h>
#include "nl/nl.h"

#define PAGE		((size_t)VGPU_PAGE_SIZE)
#define MS		1000000ll	/* ns */
#define SECOND		(1000 * MS)
#define SLOW		240		/* seconds for what takes the debug kernel long */

/* The harness gives a test 30 s: not enough for all on an emulated, busy machine. */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 120
#endif

/* ---- system calls ---- */

/* ioctl(2): its result, or -errno. */
long call(int fd, unsigned long cmd, const void *arg);
long call_value(int fd, unsigned long cmd, unsigned long value);
int open_node(const char *path, int flags);
/* Descriptors by poll(2) without waiting: revents. */
short ready(int fd);
/* Of CLOCK_MONOTONIC, @ns from now. */
int64_t from_now(int64_t ns);
void pause_ms(int ms);

/* The whole text of a file, without its last newline; "" if there is none. */
const char *read_text(const char *path);
int write_text(const char *path, const char *text);

/* ---- a device, a daemon ---- */

struct bed {
	struct vgpu_nl	*nl;
	int		ctl;		/* /dev/vgpuctl; -1: closed */
	uint32_t	device;
	char		node[32];
	uint32_t	more[VGPU_CHANNEL_DEVICES];	/* by bed_more() */
	unsigned	nmore;
};

/* A new device, and /dev/vgpuctl open. */
int bed_open(struct bed *bed);
/* -EBUSY: somebody still uses a device, -EUCLEAN: there are channels or charges. */
int bed_close(struct bed *bed);
/* Another device: its number or -errno. */
int bed_more(struct bed *bed);
int bed_node(const struct bed *bed);		/* a new descriptor of the device */
int device_node(uint32_t number);
/* What netlink says of the device. */
struct vgpu_nl_device bed_look(const struct bed *bed);
int bed_budget(const struct bed *bed, uint64_t device, uint64_t channel);

/* ---- a channel ---- */

extern const struct vgpu_ring_sizes SMALL;	/* four pages of rings */
#define SMALL_HALF	(3 * PAGE)
#define SMALL_CHARGE	(6 * PAGE)

size_t app_half(const struct vgpu_ring_sizes *sizes);
size_t peer_half(const struct vgpu_ring_sizes *sizes);

struct pair {
	int	app, peer;
};

int set_up(int fd, const struct vgpu_ring_sizes *sizes);
/* VGPU_CTL_ACCEPT: the peer's descriptor or -errno. */
int accept_channel(int ctl);
/* A descriptor that is set up, and accepted; 0 or -errno. */
int pair_open(const struct bed *bed, struct pair *pair);
void pair_close(struct pair *pair);

int bell(int fd);				/* the other side's */
/* VGPU_IOC_WAIT from @*bells; the state goes to @state unless that is NULL. */
int wait_bell(int fd, uint64_t *bells, int64_t deadline, uint32_t *state);
/* The state that INFO tells the peer's side. */
int state_of(int peer);
/* A buffer: its handle, or 0. */
uint64_t hostmem(int app, uint64_t size);
int set_cookie(int peer, uint8_t byte);		/* all bytes the same; 0: none */
int register_memory(int app, const void *addr, size_t size);
int unregister_memory(int app, const void *addr, size_t size);
int copy(int peer, uintptr_t app, const void *local, size_t length, uint32_t flags);

/* mmap(2), MAP_SHARED: NULL with errno set. */
void *map(int fd, uint64_t offset, size_t size, int prot);
/* Only whether it would do: 0 or -errno. */
int try_map(int fd, uint64_t offset, size_t size, int prot, int flags);

/* ---- children ---- */

/* fork(2); the child dies with its parent. */
pid_t child(void);
/* The exit status, or -signal. */
int join(pid_t pid);
int kill_and_join(pid_t pid);
/* Until a thread sleeps in a system call; false: it did not come to that. */
bool sleeps_in(pid_t tid, long number);
/* Reading a byte there, or writing 1: 0 or the signal that it costs. */
int touch(volatile char *at, bool write);

/* Between two processes: who opens it lets the other one through, as often. */
int gate_new(void);
void gate_open(int gate);
/* false: the other did not come. */
bool gate_pass(int gate);

#endif /* VGPU_SELFTESTS_KMOD_TESTBED_H */
