// SPDX-License-Identifier: MIT
/*
 * What happens when memory runs out, or user memory is not there, in the middle of
 * a call: every allocation and every copy in it is made to fail once, the first,
 * the second, and so on until the call ends before the one that would have failed.
 * An attempt that failed has an errno that the contract allows and has left
 * nothing; the same call then works, and when all is undone nothing is left of
 * either. Leaks are found by whoever looks at kmemleak afterwards.
 *
 * Needs a kernel with failslab, fail_page_alloc and fail_usercopy. What is called
 * here is every call that comes to a point where something can fail; BELL does not.
 * The module's own start is in faults_load.c.
 */
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "faults_nth.h"
#include "fuzz_genl.h"
#include "kselftest.h"
#include "testbed.h"

#define BUFFER		(8 * PAGE)
#define HOSTMEM		(4 * PAGE)
#define PLACES_MAX	2000	/* in one call */
#define SWEEPS		5
#define FAULTS		100	/* are enough for one call */
#define NUMBER		999	/* of a device */

/* What the calls of one case work on. */
struct stage {
	struct bed		bed;
	struct vgpu_nl		*events;
	int			genl;
	uint16_t		family;
	struct pair		pair;
	int			fd;	/* of the device */
	int			more[2];	/* of others */
	int			made;	/* what the call gave: a descriptor, a process */
	void			*at;	/* the same: a mapping */
	uint64_t		handle;
	char			*buffer;
	char			*elsewhere;
	struct genl		message;
};

struct injection {
	const char	*name;
	bool		(*prepare)(struct stage *s);
	/* One system call: at least 0, or -errno. */
	long		(*attempt)(struct stage *s);
	/* What it did is there, and then is not any more. */
	bool		(*undo)(struct stage *s);
	int		errnos[4];
	/* After an attempt that failed: none of it is there. */
	bool		(*unchanged)(struct stage *s, long err);
	enum vgpu_cmd	event;		/* that it causes */
};

/* Memory that is there; @at an address whose mapping it replaces, or NULL. */
static char *anonymous(void *at, size_t size)
{
	at = mmap(at, size, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | (at ? MAP_FIXED : 0), -1, 0);
	if (at == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");
	return at;
}

static bool nothing(struct stage *s)
{
	return true;
}

/* ---- descriptors ---- */

static bool close_made(struct stage *s)
{
	return !close(s->made);
}

static long made(struct stage *s, long result)
{
	s->made = result;
	return result;
}

static long attempt_open(struct stage *s)
{
	return made(s, open_node(s->bed.node, O_RDWR));
}

static bool without_daemon(struct stage *s)
{
	close(s->bed.ctl);
	s->bed.ctl = -1;
	return true;
}

static long attempt_open_ctl(struct stage *s)
{
	return made(s, open_node("/dev/vgpuctl", O_RDWR));
}

/* ---- set-up, accept ---- */

static bool open_device(struct stage *s)
{
	s->fd = bed_node(&s->bed);
	return s->fd >= 0;
}

static long attempt_setup(struct stage *s)
{
	return set_up(s->fd, &SMALL);
}

/* Nobody accepts what failed: there is one channel, this. */
static bool undo_setup(struct stage *s)
{
	struct vgpu_nl_device d = bed_look(&s->bed);
	int peer = accept_channel(s->bed.ctl);
	bool only = d.channels == 1 && accept_channel(s->bed.ctl) == -EAGAIN;

	close(peer);
	close(s->fd);
	return peer >= 0 && only;
}

static bool open_three_devices(struct stage *s)
{
	bool good = open_device(s);

	while (good && s->bed.nmore < 2)
		good = bed_more(&s->bed) >= 0;
	for (int i = 0; i < 2 && good; i++) {
		s->more[i] = device_node(s->bed.more[i]);
		good = s->more[i] >= 0;
	}
	return good;
}

static long attempt_setup_three(struct stage *s)
{
	struct vgpu_ioc_setup setup = {
		.sizes = SMALL, .devices = (uintptr_t)s->more, .ndevices = 2,
	};

	return call(s->fd, VGPU_IOC_SETUP, &setup);
}

static bool undo_setup_three(struct stage *s)
{
	return !close(s->more[0]) && !close(s->more[1]) && undo_setup(s);
}

static bool set_up_device(struct stage *s)
{
	return open_device(s) && !set_up(s->fd, &SMALL);
}

static long attempt_accept(struct stage *s)
{
	return made(s, accept_channel(s->bed.ctl));
}

static bool undo_accept(struct stage *s)
{
	bool active = state_of(s->made) == VGPU_CHANNEL_ACTIVE;

	close(s->fd);
	return close_made(s) && active;
}

/* ---- a channel's memory ---- */

static bool open_pair(struct stage *s)
{
	return !pair_open(&s->bed, &s->pair);
}

static bool close_pair(struct stage *s)
{
	pair_close(&s->pair);
	return true;
}

static long attempt_alloc(struct stage *s)
{
	struct vgpu_ioc_hostmem_alloc alloc = { .size = HOSTMEM };
	long err = call(s->pair.app, VGPU_IOC_HOSTMEM_ALLOC, &alloc);

	s->handle = alloc.handle;
	return err;
}

static long attempt_free(struct stage *s)
{
	struct vgpu_ioc_hostmem_free old = { .handle = s->handle };

	return call(s->pair.app, VGPU_IOC_HOSTMEM_FREE, &old);
}

static bool undo_alloc(struct stage *s)
{
	bool charged = bed_look(&s->bed).charged == SMALL_CHARGE + HOSTMEM;

	return !attempt_free(s) && close_pair(s) && charged;
}

static bool alloc_hostmem(struct stage *s)
{
	return open_pair(s) && !attempt_alloc(s);
}

static long attempt_map(struct stage *s, int fd, uint64_t offset, size_t size)
{
	s->at = map(fd, offset, size, PROT_READ);
	return s->at ? 0 : -errno;
}

static long attempt_map_half(struct stage *s)
{
	return attempt_map(s, s->pair.app, VGPU_MMAP_PEER, SMALL_HALF);
}

static bool undo_map_half(struct stage *s)
{
	bool readable = !touch(s->at, false);

	return readable && !munmap(s->at, SMALL_HALF) && close_pair(s);
}

static long attempt_map_hostmem(struct stage *s)
{
	return attempt_map(s, s->pair.peer, s->handle, HOSTMEM);
}

/* Freed while it is mapped: what is charged goes with the last mapping. */
static bool undo_map_hostmem(struct stage *s)
{
	bool kept = !attempt_free(s) && bed_look(&s->bed).charged == SMALL_CHARGE + HOSTMEM;

	return kept && !touch(s->at, false) && !munmap(s->at, HOSTMEM) &&
	       bed_look(&s->bed).charged == SMALL_CHARGE && close_pair(s);
}

static bool map_hostmem(struct stage *s)
{
	return alloc_hostmem(s) && !attempt_map_hostmem(s);
}

static long attempt_split(struct stage *s)
{
	return munmap((char *)s->at + PAGE, PAGE) ? -errno : 0;
}

static long attempt_protect(struct stage *s)
{
	return mprotect((char *)s->at + PAGE, PAGE, PROT_NONE) ? -errno : 0;
}

static long attempt_move(struct stage *s)
{
	void *moved = mremap((char *)s->at + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     s->elsewhere);

	return moved == MAP_FAILED ? -errno : 0;
}

static bool undo_parts(struct stage *s)
{
	return touch((char *)s->at + PAGE, false) && undo_map_hostmem(s);
}

/* Without memory for it, Linux leaves the old place mapped as well. */
static bool undo_move(struct stage *s)
{
	bool moved = !touch(s->elsewhere, false);

	anonymous(s->elsewhere, PAGE);
	return moved && undo_map_hostmem(s);
}

/* A child has the buffer as well; those that are not born leave no mapping. */
static long attempt_fork(struct stage *s)
{
	pid_t pid = fork();

	if (!pid) {
		bool has = !touch(s->at, false) && touch(s->at, true) == SIGSEGV;

		_exit(!has);
	}
	return made(s, pid < 0 ? -errno : pid);
}

static bool undo_fork(struct stage *s)
{
	return !join(s->made) && undo_map_hostmem(s);
}

/* ---- the app's memory ---- */

static long attempt_register(struct stage *s)
{
	return register_memory(s->pair.app, s->buffer, BUFFER);
}

static long attempt_unregister(struct stage *s)
{
	return unregister_memory(s->pair.app, s->buffer, BUFFER);
}

/* So many ranges that the tree of them has inner nodes. */
static bool register_many(struct stage *s)
{
	bool good = open_pair(s);

	for (int i = 0; i < 100 && good; i++)
		good = !register_memory(s->pair.app, s->buffer + BUFFER + i * 32, 16);
	return good;
}

static bool register_one_more(struct stage *s)
{
	return register_many(s) && !attempt_register(s);
}

static bool undo_register(struct stage *s)
{
	bool copies = !copy(s->pair.peer, (uintptr_t)s->buffer, s->buffer + BUFFER, PAGE, 0);

	return copies && !attempt_unregister(s) && close_pair(s);
}

static bool undo_unregister(struct stage *s)
{
	bool refused = copy(s->pair.peer, (uintptr_t)s->buffer, s->buffer + BUFFER, PAGE, 0) ==
		       -EPERM;

	return refused && attempt_unregister(s) == -ENOENT && close_pair(s);
}

static bool register_buffer(struct stage *s)
{
	return open_pair(s) && !attempt_register(s);
}

static long attempt_read(struct stage *s)
{
	return copy(s->pair.peer, (uintptr_t)s->buffer + 100, s->buffer + BUFFER, 5 * PAGE, 0);
}

static long attempt_write(struct stage *s)
{
	return copy(s->pair.peer, (uintptr_t)s->buffer + 100, s->buffer + BUFFER, 5 * PAGE,
		    VGPU_COPY_TO_APP);
}

static bool undo_copy(struct stage *s)
{
	return !memcmp(s->buffer + 100, s->buffer + BUFFER, 5 * PAGE) && !attempt_unregister(s) &&
	       close_pair(s);
}

/* ---- waiting, knowing, ending ---- */

static bool ring_bell(struct stage *s)
{
	return open_pair(s) && !bell(s->pair.peer);
}

static long attempt_wait(struct stage *s)
{
	uint64_t bells = 0;
	int err = wait_bell(s->pair.app, &bells, VGPU_WAIT_FOREVER, NULL);

	return err ? err : bells == 1 ? 0 : -EUCLEAN;
}

static bool undo_wait(struct stage *s)
{
	bool taken = !ready(s->pair.app);

	return close_pair(s) && taken;
}

static long attempt_info(struct stage *s)
{
	struct vgpu_ioc_info info = {};

	return call(s->pair.peer, VGPU_IOC_INFO, &info);
}

static long attempt_cookie(struct stage *s)
{
	return set_cookie(s->pair.peer, 7);
}

static long attempt_lose(struct stage *s)
{
	return call_value(s->pair.peer, VGPU_IOC_LOSE, 0);
}

static bool undo_lose(struct stage *s)
{
	bool lost = ready(s->pair.app) & POLLHUP;

	return close_pair(s) && lost;
}

static long attempt_close(struct stage *s)
{
	return close(s->pair.app) ? -errno : 0;
}

static bool undo_close(struct stage *s)
{
	bool lost = ready(s->pair.peer) & POLLHUP;

	close(s->pair.peer);
	return lost;
}

/* ---- netlink, sysfs ---- */

static void make_message(struct stage *s, enum vgpu_cmd cmd, uint16_t flags, uint32_t number)
{
	genl_begin(&s->message, s->family, cmd, NLM_F_ACK | flags);
	genl_put_u32(&s->message, VGPU_ATTR_DEVICE, number);
	if (cmd == VGPU_CMD_DEVICE_NEW || cmd == VGPU_CMD_DEVICE_SET)
		genl_put_string(&s->message, VGPU_ATTR_NAME, "made to fail");
}

static bool message_new(struct stage *s)
{
	make_message(s, VGPU_CMD_DEVICE_NEW, 0, NUMBER);
	return true;
}

static bool message_get(struct stage *s)
{
	make_message(s, VGPU_CMD_DEVICE_GET, 0, s->bed.device);
	return true;
}

static bool message_set(struct stage *s)
{
	struct vgpu_nl_device d = { .has = VGPU_NL_HAS(VGPU_ATTR_NAME), .number = s->bed.device };

	make_message(s, VGPU_CMD_DEVICE_SET, 0, s->bed.device);
	return !vgpu_nl_set(s->bed.nl, &d);
}

static bool message_dump(struct stage *s)
{
	make_message(s, VGPU_CMD_DEVICE_GET, NLM_F_DUMP, s->bed.device);
	return true;
}

static bool make_device(struct stage *s)
{
	struct vgpu_nl_device d = { .has = VGPU_NL_HAS(VGPU_ATTR_DEVICE), .number = NUMBER };

	return !vgpu_nl_new(s->bed.nl, &d, &d);
}

static bool message_del(struct stage *s)
{
	make_message(s, VGPU_CMD_DEVICE_DEL, 0, NUMBER);
	return make_device(s);
}

/* Sent under a fault; the answer is taken without one. */
static long attempt_message(struct stage *s)
{
	long err = genl_send(s->genl, &s->message);

	faults_off();
	return err ? err : genl_take(s->genl, NULL);
}

static bool exists(struct stage *s, uint32_t number)
{
	struct vgpu_nl_device d;

	return !vgpu_nl_get(s->bed.nl, number, &d);
}

static bool undo_new(struct stage *s)
{
	return exists(s, NUMBER) && !vgpu_nl_del(s->bed.nl, NUMBER);
}

/* When the answer is lost, as -ENOBUFS says, the caller has to look for himself. */
static bool unchanged_new(struct stage *s, long err)
{
	if (err != -ENOBUFS)
		return !exists(s, NUMBER);
	vgpu_nl_del(s->bed.nl, NUMBER);
	return true;
}

static bool undo_del(struct stage *s)
{
	return !exists(s, NUMBER);
}

static bool unchanged_del(struct stage *s, long err)
{
	return exists(s, NUMBER) || (err == -ENOBUFS && make_device(s));
}

static bool undo_set(struct stage *s)
{
	return !strcmp(bed_look(&s->bed).name, "made to fail");
}

static bool unchanged_set(struct stage *s, long err)
{
	return err == -ENOBUFS || !bed_look(&s->bed).name[0];
}

static long attempt_sysfs(struct stage *s)
{
	char path[96], text[64];
	int fd;
	long n;

	snprintf(path, sizeof(path), "/sys/class/vgpu/vgpu%u/counters/charged", s->bed.device);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text)) < 0 ? -errno : 0;
	close(fd);
	return n;
}

/* ---- all of them ---- */

#define CALL(what, prepared, tried, undone, ...) \
	{ .name = what, .prepare = prepared, .attempt = tried, .undo = undone, \
	  .errnos = { __VA_ARGS__ } }

static const struct injection injections[] = {
	CALL("open of a device", nothing, attempt_open, close_made, ENOMEM, EFAULT),
	CALL("open of /dev/vgpuctl", without_daemon, attempt_open_ctl, close_made, ENOMEM, EFAULT),
	{ "SETUP", open_device, attempt_setup, undo_setup, { ENOMEM, EFAULT },
	  .event = VGPU_CMD_CHANNEL_OPEN_NTF },
	CALL("SETUP of three devices", open_three_devices, attempt_setup_three,
	     undo_setup_three, ENOMEM, EFAULT),
	{ "ACCEPT", set_up_device, attempt_accept, undo_accept, { ENOMEM },
	  .event = VGPU_CMD_CHANNEL_CHANGE_NTF },
	CALL("HOSTMEM_ALLOC", open_pair, attempt_alloc, undo_alloc, ENOMEM, EFAULT),
	CALL("HOSTMEM_FREE", alloc_hostmem, attempt_free, close_pair, EFAULT),
	CALL("mmap of a half", open_pair, attempt_map_half, undo_map_half, ENOMEM),
	CALL("mmap of a buffer", alloc_hostmem, attempt_map_hostmem, undo_map_hostmem, ENOMEM),
	CALL("munmap of a part of a buffer", map_hostmem, attempt_split, undo_parts, ENOMEM),
	CALL("mprotect of a part of a buffer", map_hostmem, attempt_protect, undo_parts, ENOMEM),
	CALL("mremap of a part of a buffer", map_hostmem, attempt_move, undo_move, ENOMEM),
	CALL("fork with a buffer", map_hostmem, attempt_fork, undo_fork, ENOMEM, EAGAIN),
	CALL("REGISTER", register_many, attempt_register, undo_register, ENOMEM, EFAULT),
	CALL("UNREGISTER", register_one_more, attempt_unregister, undo_unregister, EFAULT),
	CALL("COPY from the app", register_buffer, attempt_read, undo_copy, ENOMEM, EFAULT),
	CALL("COPY to the app", register_buffer, attempt_write, undo_copy, ENOMEM, EFAULT),
	CALL("WAIT", ring_bell, attempt_wait, undo_wait, EFAULT),
	CALL("INFO", open_pair, attempt_info, close_pair, EFAULT),
	CALL("COOKIE", open_pair, attempt_cookie, close_pair, EFAULT),
	{ "LOSE", open_pair, attempt_lose, undo_lose, {}, .event = VGPU_CMD_CHANNEL_CHANGE_NTF },
	{ "close", open_pair, attempt_close, undo_close, {}, .event = VGPU_CMD_CHANNEL_CLOSE_NTF },
	{ "DEVICE_NEW", message_new, attempt_message, undo_new, { ENOMEM, EFAULT, ENOBUFS },
	  unchanged_new, VGPU_CMD_DEVICE_NEW_NTF },
	{ "DEVICE_SET", message_set, attempt_message, undo_set, { ENOMEM, EFAULT, ENOBUFS },
	  unchanged_set, VGPU_CMD_DEVICE_SET_NTF },
	{ "DEVICE_DEL", message_del, attempt_message, undo_del, { ENOMEM, EFAULT, ENOBUFS },
	  unchanged_del, VGPU_CMD_DEVICE_DEL_NTF },
	CALL("DEVICE_GET", message_get, attempt_message, nothing, ENOMEM, EFAULT, ENOBUFS),
	CALL("DEVICE_GET of all", message_dump, attempt_message, nothing,
	     ENOMEM, EFAULT, ENOBUFS),
	CALL("sysfs", nothing, attempt_sysfs, nothing, ENOMEM, EFAULT),
};

static bool allowed(const struct injection *in, long err)
{
	for (size_t i = 0; i < ARRAY_SIZE(in->errnos); i++)
		if (in->errnos[i] && err == -in->errnos[i])
			return true;
	return false;
}

static bool complain(const struct injection *in, unsigned int nth, const char *what, long err)
{
	ksft_print_msg("%s: place %u: %s (%s)\n", in->name, nth, what,
		       err < 0 ? strerror(-err) : "no error");
	return false;
}

/* What happened was told, or it was told that something could not be. */
static bool was_told(struct stage *s, enum vgpu_cmd event)
{
	struct vgpu_nl_event e;
	bool told = !event;
	int n;

	while ((n = vgpu_nl_event(s->events, &e)))
		told |= n == -ENOBUFS || (n == 1 && e.cmd == event);
	return told;
}

static bool same_counters(const struct vgpu_nl_device *a, const struct vgpu_nl_device *b)
{
	return a->charged == b->charged && a->channels == b->channels &&
	       a->channels_total == b->channels_total;
}

/* One fault; *@injected: it came to it. */
static bool inject(struct stage *s, const struct injection *in, unsigned int nth, bool *injected)
{
	struct vgpu_nl_device before, after;
	long err;

	if (!in->prepare(s))
		return complain(in, nth, "cannot be prepared", -errno);
	before = bed_look(&s->bed);
	was_told(s, 0);
	faults_on(nth);
	err = in->attempt(s);
	*injected = faults_off();
	after = bed_look(&s->bed);
	if (err < 0 && !*injected)
		return complain(in, nth, "fails without a fault", err);
	if (err < 0 && !allowed(in, err))
		return complain(in, nth, "an errno that the contract does not have", err);
	if (err < 0 && (!same_counters(&before, &after) ||
			(in->unchanged && !in->unchanged(s, err))))
		return complain(in, nth, "failed, and did something", err);
	if (err >= 0 && !was_told(s, in->event))
		return complain(in, nth, "nobody was told", err);
	if (err < 0)
		err = in->attempt(s);
	if (err < 0)
		return complain(in, nth, "does not work after it failed", err);
	return in->undo(s) || complain(in, nth, "cannot be undone", -errno);
}

static bool nothing_left(struct stage *s)
{
	struct vgpu_nl_device d = bed_look(&s->bed);

	return !d.charged && !d.channels;
}

static bool open_stage(struct stage *s)
{
	*s = (struct stage){ .genl = -1 };
	if (bed_open(&s->bed) || vgpu_nl_events_open(&s->events))
		return false;
	s->genl = genl_open(&s->family);
	s->buffer = anonymous(NULL, 4 * BUFFER);
	s->elsewhere = anonymous(NULL, PAGE);
	return s->genl >= 0;
}

static bool close_stage(struct stage *s)
{
	close(s->genl);
	vgpu_nl_close(s->events);
	munmap(s->buffer, 4 * BUFFER);
	munmap(s->elsewhere, PAGE);
	return !bed_close(&s->bed);
}

/* From the first place to the last: how many; -1 if something was not as it should. */
static int sweep(struct stage *s, const struct injection *in)
{
	bool injected = true;
	unsigned int nth = 0;

	while (injected) {
		if (!inject(s, in, ++nth, &injected))
			return -1;
		if (!nothing_left(s))
			return complain(in, nth, "something is left", 0) - 1;
		if (nth > PLACES_MAX)
			return complain(in, nth, "there is no end", 0) - 1;
	}
	return nth - 1;
}

/*
 * More than once, if there are few places: which is the how manieth differs with
 * what slabs happen to have, so that a sweep may step over one.
 */
static void run(const struct injection *in)
{
	int count = 0, found = 1;
	struct stage s;

	if (!open_stage(&s))
		ksft_exit_fail_msg("no device\n");
	for (int i = 0; i < SWEEPS && count < FAULTS && found > 0; i++) {
		found = sweep(&s, in);
		count += found;
	}
	if (!close_stage(&s))
		found = complain(in, 0, "the device cannot be deleted", 0);
	ksft_test_result(found > 0, "%s: %d faults\n", in->name, count);
}

int main(int argc, char **argv)
{
	int err = faults_init();

	if (err)
		ksft_exit_fail_msg("this kernel makes no faults: %s\n", strerror(-err));
	setvbuf(stdout, NULL, _IOLBF, 0);
	ksft_print_header();
	ksft_set_plan(ARRAY_SIZE(injections));
	for (size_t i = 0; i < ARRAY_SIZE(injections); i++)
		run(&injections[i]);
	ksft_finished();
}
