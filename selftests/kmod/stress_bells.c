// SPDX-License-Identifier: MIT
/*
 * Bells that could get lost: two sides of channels hand a turn to and fro, and
 * sleep in between, millions of times. Each move of one side falls into the
 * other's way to sleep, at a moment that chance chooses; should its bell be
 * lost, nothing would ever happen again, which a deadline finds out.
 *
 *	stress_bells [--sleeps N] [--seed S]
 *
 * N is how often threads are to sleep and be woken, all cases together; it is
 * taken from the kernel's count of voluntary context switches, so a wait that
 * returned at once is none. Both numbers are printed. What bells do besides is
 * another test's.
 */
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "channel/channel.h"
#include "channel/ring.h"
#include "kselftest.h"
#include "testbed.h"

#define PAIRS		4		/* at once: no processor is ever idle */
#define LOST_AFTER	60		/* seconds; a turn takes microseconds */
#define ACCOUNT		1024		/* turns between looks at the clock and counts */
#define LIBRARY_THREADS	3

/* What both ends of a pair and the parent see. */
struct match {
	atomic_ulong		last;		/* turn; 0: not known yet */
	atomic_bool		accepted, failed;
	atomic_bool		done[2];	/* had its last turn */
	atomic_ulong		progress;
	atomic_ulong		waits[2];	/* by enum vgpu_side */
	atomic_ulong		slept[2];	/* in how many of them, or more */
};

static struct match *matches;
static unsigned long sleeps_wanted = 500000;
static uint64_t seed = 1;
static struct bed bed;

__attribute__((noreturn))
static void die(const char *what)
{
	printf("# %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

/* ---- one side ---- */

struct side {
	struct match			*match;
	enum vgpu_side			which;
	int				fd;
	bool				forever;
	struct vgpu_position		*tail, *sleep;
	const struct vgpu_position	*their_tail, *their_sleep;
	uint64_t			bells, rung, values, chance;
	unsigned long			waits;
	int				who;		/* of getrusage(2) */
	long				slept_before;
};

static uint64_t chance(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Mostly nothing, so that sides run into each other; else up to some 2 us. */
static void dawdle(struct side *s)
{
	uint64_t r = chance(&s->chance);

	if (r & 3)
		return;
	/* Not ring_relax(): under emulation it gives up the processor. */
	for (r = r >> 2 & 1023; r; r--)
		atomic_signal_fence(memory_order_seq_cst);
}

/* A thread that blocked gave up its processor; one that was pushed aside did not. */
static long voluntary_switches(const struct side *s)
{
	struct rusage usage;

	getrusage(s->who, &usage);
	return usage.ru_nvcsw;
}

static void account(struct side *s)
{
	atomic_store(&s->match->waits[s->which], s->waits);
	atomic_store(&s->match->slept[s->which], voluntary_switches(s) - s->slept_before);
	atomic_fetch_add(&s->match->progress, 1);
}

static bool fail(struct side *s, const char *what)
{
	if (!atomic_exchange(&s->match->failed, true))
		ksft_print_msg("%s: %s (errno %d) after %lu waits\n",
			       s->which == VGPU_SIDE_APP ? "app" : "peer", what, errno,
			       s->waits);
	return false;
}

/* Sleep until the own count is not the one last seen. */
static bool take_bell(struct side *s)
{
	uint64_t before = s->bells;

	s->waits++;
	errno = -wait_bell(s->fd, &s->bells,
			   s->forever ? VGPU_WAIT_FOREVER : from_now(LOST_AFTER * SECOND), NULL);
	if (!errno && s->bells <= before)
		return fail(s, "a wait returned without a bell");
	return !errno;
}

static bool ring_bell(struct side *s)
{
	errno = -bell(s->fd);
	return !errno || fail(s, "a bell does not ring");
}

/* ---- bells alone: each turn is one bell ---- */

static bool pass_bell(struct side *s, uint64_t turn)
{
	(void)turn;
	dawdle(s);
	return ring_bell(s);
}

static bool await_bell(struct side *s, uint64_t turn)
{
	uint64_t before = s->bells;

	dawdle(s);
	if (!take_bell(s))
		return fail(s, errno == ETIME ? "a bell was lost" : "a wait failed");
	return s->bells == before + 1 && s->bells == turn ? true :
		fail(s, "more than the one bell was counted");
}

/* ---- sleep words: a bell only for who sleeps, as uapi/linux/vgpu.h has it ---- */

static bool pass_position(struct side *s, uint64_t turn)
{
	uint64_t word;

	dawdle(s);
	ring_store_tail(s->tail, turn);
	ring_barrier();
	word = ring_load_sleep(s->their_sleep);
	if (!word || word == s->rung)
		return true;
	s->rung = word;
	return ring_bell(s);
}

static void arm(struct side *s)
{
	ring_store_sleep(s->sleep, ++s->values * VGPU_SLEEP_COUNT | VGPU_SLEEP);
	ring_barrier();
}

static bool await_position(struct side *s, uint64_t turn)
{
	for (arm(s); ring_load_tail(s->their_tail) < turn; arm(s)) {
		dawdle(s);
		if (take_bell(s))
			continue;
		if (errno != ETIME)
			return fail(s, "a wait failed");
		return fail(s, ring_load_tail(s->their_tail) < turn ?
			    "the other side does not move" : "a bell was lost");
	}
	ring_store_sleep(s->sleep, 0);
	return true;
}

/* ---- how much ---- */

struct shape {
	const char	*name;
	void		(*play_app)(struct side *s, const struct shape *shape);
	void		(*play_peer)(struct side *s, const struct shape *shape);
	bool		(*pass)(struct side *s, uint64_t turn);
	bool		(*await)(struct side *s, uint64_t turn);
	bool		threads;	/* the sides are threads, not processes */
	bool		forever;	/* waits have no deadline: the parent has one */
	bool		one_processor;
	unsigned int	share;		/* of all sleeps, in hundredths */
};

static unsigned long goal(const struct shape *shape)
{
	return sleeps_wanted * shape->share / 100 / PAIRS + 1;
}

static bool enough(const struct match *m, const struct shape *shape)
{
	return atomic_load(&m->failed) ||
	       atomic_load(&m->slept[VGPU_SIDE_APP]) +
	       atomic_load(&m->slept[VGPU_SIDE_PEER]) >= goal(shape);
}

/* ---- a channel by hand ---- */

static int open_device(void)
{
	int fd = bed_node(&bed);

	errno = fd < 0 ? -fd : 0;
	if (errno)
		die(bed.node);
	return fd;
}

static int open_channel(void)
{
	int fd = open_device();

	errno = -set_up(fd, &SMALL);
	if (errno)
		die("no channel");
	return fd;
}

/* The only one that waits: the next pair is made when this one was accepted. */
static int await_channel(struct match *m)
{
	int fd;

	while ((fd = accept_channel(bed.ctl)) == -EAGAIN)
		usleep(1000);
	errno = fd < 0 ? -fd : 0;
	if (errno)
		die("no channel to accept");
	atomic_store(&m->accepted, true);
	return fd;
}

static void *map_half(const struct side *s, enum vgpu_side writer)
{
	void *half = map(s->fd, writer == VGPU_SIDE_APP ? VGPU_MMAP_APP : VGPU_MMAP_PEER,
			 SMALL_HALF, PROT_READ | (writer == s->which ? PROT_WRITE : 0));

	if (!half)
		die("cannot map a channel");
	return half;
}

static void map_channel(struct side *s)
{
	struct vgpu_ctrl_app *app = map_half(s, VGPU_SIDE_APP);
	struct vgpu_ctrl_peer *peer = map_half(s, VGPU_SIDE_PEER);
	bool is_app = s->which == VGPU_SIDE_APP;

	s->tail = is_app ? &app->sq_tail : &peer->cq_tail;
	s->sleep = is_app ? &app->sleep : &peer->sleep;
	s->their_tail = is_app ? &peer->cq_tail : &app->sq_tail;
	s->their_sleep = is_app ? &peer->sleep : &app->sleep;
}

/* Nobody leaves before both are done: the channel would be lost under a wait. */
static void await_other(struct side *s)
{
	account(s);
	atomic_store(&s->match->done[s->which], true);
	while (!atomic_load(&s->match->done[!s->which]) && !atomic_load(&s->match->failed))
		usleep(1000);
}

static void turns_of_app(struct side *s, const struct shape *shape)
{
	bool last = false;

	s->fd = open_channel();
	map_channel(s);
	for (uint64_t turn = 1; !last; turn++) {
		if (turn % ACCOUNT == 0) {
			account(s);
			last = enough(s->match, shape);
			if (last)
				atomic_store(&s->match->last, turn);
		}
		if (!shape->pass(s, turn) || !shape->await(s, turn))
			break;
	}
	await_other(s);
}

static void turns_of_peer(struct side *s, const struct shape *shape)
{
	s->fd = await_channel(s->match);
	map_channel(s);
	for (uint64_t turn = 1; shape->await(s, turn) && shape->pass(s, turn); turn++) {
		if (turn % ACCOUNT == 0)
			account(s);
		if (turn == atomic_load(&s->match->last))
			break;
	}
	await_other(s);
}

/* ---- a channel by the library, with threads that wait for one bell ---- */

struct message {
	struct vgpu_record	head;
	uint64_t		thread, turn;
};

struct library_app {
	struct side		*side;
	const struct shape	*shape;
	struct vgpu_channel	*ch;
	pthread_mutex_t		send, receive;
	atomic_ulong		answered[LIBRARY_THREADS];
};

struct library_thread {
	struct library_app	*app;
	uint64_t		number, turn;
};

static struct vgpu_channel *library_open(void)
{
	struct vgpu_channel *ch;
	size_t len = 0;
	int fd = open_device();

	errno = -vgpu_channel_open(&ch, &fd, 1, &SMALL, NULL, 0, NULL, &len, LOST_AFTER * 1000);
	if (errno)
		die("the library opens no channel");
	return ch;
}

static struct vgpu_channel *library_adopt(struct match *m)
{
	struct vgpu_channel *ch;
	size_t len = 0;

	errno = -vgpu_channel_adopt(&ch, await_channel(m), NULL, &len, LOST_AFTER * 1000);
	if (!errno)
		errno = -vgpu_channel_answer(ch, NULL, 0);
	if (errno)
		die("the library accepts no channel");
	return ch;
}

/* There is room: each thread has one message on the way. */
static bool send_message(struct vgpu_channel *ch, uint64_t thread, uint64_t turn)
{
	struct message *m = vgpu_record_reserve(ch, sizeof(*m));

	if (!m)
		return false;
	m->thread = thread;
	m->turn = turn;
	vgpu_record_commit(ch, 1, 0);
	return true;
}

/* Take the answers that there are, for whomever they are; is mine there? */
static bool answered(void *arg)
{
	struct library_thread *t = arg;
	struct library_app *app = t->app;
	bool others = false;
	struct message m;

	if (vgpu_record_pending(app->ch) && !pthread_mutex_trylock(&app->receive)) {
		while (vgpu_record_receive(app->ch, &m, sizeof(m)) == sizeof(m)) {
			atomic_store(&app->answered[m.thread % LIBRARY_THREADS], m.turn);
			others |= m.thread != t->number;
		}
		pthread_mutex_unlock(&app->receive);
	}
	if (others)
		vgpu_channel_kick(app->ch);
	return atomic_load(&app->answered[t->number]) >= t->turn;
}

static bool library_turn(struct library_thread *t)
{
	struct library_app *app = t->app;
	bool sent;

	pthread_mutex_lock(&app->send);
	sent = send_message(app->ch, t->number, t->turn);
	pthread_mutex_unlock(&app->send);
	if (!sent)
		return fail(app->side, "there is no room for a record");
	errno = -vgpu_channel_wait(app->ch, answered, t, LOST_AFTER * 1000);
	return !errno || fail(app->side, errno == ETIMEDOUT && answered(t) ?
			      "a bell was lost" : "no answer");
}

static void *library_thread(void *arg)
{
	struct library_thread *t = arg;
	struct side *s = t->app->side;

	for (t->turn = 1; !enough(s->match, t->app->shape) && library_turn(t); t->turn++)
		if (!t->number && t->turn % ACCOUNT == 0) {
			s->waits = t->turn * LIBRARY_THREADS;
			account(s);
		}
	return NULL;
}

static void library_play_app(struct side *s, const struct shape *shape)
{
	struct library_app app = {
		.side = s, .shape = shape, .ch = library_open(),
		.send = PTHREAD_MUTEX_INITIALIZER, .receive = PTHREAD_MUTEX_INITIALIZER,
	};
	struct library_thread t[LIBRARY_THREADS];
	pthread_t id[LIBRARY_THREADS];

	for (int i = 0; i < LIBRARY_THREADS; i++) {
		t[i] = (struct library_thread){ .app = &app, .number = i };
		if (pthread_create(&id[i], NULL, library_thread, &t[i]))
			die("no thread");
	}
	for (int i = 0; i < LIBRARY_THREADS; i++)
		pthread_join(id[i], NULL);
	vgpu_channel_close(app.ch);
}

static bool pending(void *ch)
{
	return vgpu_record_pending(ch);
}

static void library_play_peer(struct side *s, const struct shape *shape)
{
	struct vgpu_channel *ch = library_adopt(s->match);
	struct message m;
	int err;

	while (!(err = vgpu_channel_wait(ch, pending, ch, LOST_AFTER * 1000))) {
		if (++s->waits % ACCOUNT == 0)
			account(s);
		while (vgpu_record_receive(ch, &m, sizeof(m)) == sizeof(m))
			send_message(ch, m.thread, m.turn);
	}
	errno = -err;
	if (err != -EPIPE || !enough(s->match, shape))
		fail(s, "the channel ended early");
	account(s);
	vgpu_channel_close(ch);
}

/* ---- pairs ---- */

static const struct shape shapes[] = {
	{
		"bells alone, between processes", turns_of_app, turns_of_peer,
		pass_bell, await_bell, .share = 5,
	}, {
		"bells alone, between threads, without deadlines", turns_of_app, turns_of_peer,
		pass_bell, await_bell, .threads = true, .forever = true, .share = 50,
	}, {
		"sleep words, between processes", turns_of_app, turns_of_peer,
		pass_position, await_position, .share = 5,
	}, {
		"sleep words, between threads, without deadlines", turns_of_app, turns_of_peer,
		pass_position, await_position, .threads = true, .forever = true, .share = 30,
	}, {
		"sleep words, pairs bound to one processor", turns_of_app, turns_of_peer,
		pass_position, await_position, .one_processor = true, .share = 10,
	}, {
		"the channel library, three threads and one", library_play_app, library_play_peer,
		.share = 5,
	},
};

struct player {
	const struct shape	*shape;
	struct side		side;
};

static void *play(void *arg)
{
	struct player *player = arg;
	const struct shape *shape = player->shape;
	struct side *s = &player->side;

	s->forever = shape->forever;
	s->who = shape->threads ? RUSAGE_THREAD : RUSAGE_SELF;
	s->chance = (seed * 64 + (s->match - matches) * 2 + s->which) * 0x9e3779b97f4a7c15ull | 1;
	s->slept_before = voluntary_switches(s);
	if (s->which == VGPU_SIDE_APP)
		shape->play_app(s, shape);
	else
		shape->play_peer(s, shape);
	return NULL;
}

static void bind_processor(int number)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number % sysconf(_SC_NPROCESSORS_ONLN), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static struct player new_player(const struct shape *shape, int number, enum vgpu_side which)
{
	return (struct player){ shape, { .match = &matches[number], .which = which } };
}

static void await_accepted(int number)
{
	for (int ms = 0; !atomic_load(&matches[number].accepted) && ms < LOST_AFTER * 1000; ms++)
		usleep(1000);
}

/* The app's side, and the peer's as a child of it. */
static void run_processes(const struct shape *shape, int number)
{
	struct player app = new_player(shape, number, VGPU_SIDE_APP);
	struct player peer = new_player(shape, number, VGPU_SIDE_PEER);

	if (shape->one_processor)
		bind_processor(number);
	play(child() ? &app : &peer);
}

/* All pairs in one process: with the page tables the same, turns are faster. */
static void run_threads(const struct shape *shape)
{
	struct player player[PAIRS][2];
	pthread_t thread[PAIRS][2];

	for (int i = 0; i < PAIRS; i++) {
		for (int side = 0; side < 2; side++) {
			player[i][side] = new_player(shape, i, side);
			if (pthread_create(&thread[i][side], NULL, play, &player[i][side]))
				die("no thread");
		}
		await_accepted(i);
	}
	for (int i = 0; i < PAIRS; i++)
		for (int side = 0; side < 2; side++)
			pthread_join(thread[i][side], NULL);
}

static void start(const struct shape *shape, pid_t *pid)
{
	for (int i = 0; i < (shape->threads ? 1 : PAIRS); i++) {
		fflush(stdout);
		pid[i] = child();
		if (!pid[i]) {
			shape->threads ? run_threads(shape) : run_processes(shape, i);
			fflush(stdout);
			_exit(0);
		}
		await_accepted(i);
	}
}

static unsigned long progress(void)
{
	unsigned long sum = 0;

	for (int i = 0; i < PAIRS; i++)
		sum += atomic_load(&matches[i].progress);
	return sum;
}

static bool failed(void)
{
	bool any = false;

	for (int i = 0; i < PAIRS; i++)
		any |= atomic_load(&matches[i].failed);
	return any;
}

static bool any(const pid_t *pid)
{
	pid_t all = 0;

	for (int i = 0; i < PAIRS; i++)
		all |= pid[i];
	return all;
}

/* Wait for the children (0: none); if nothing moves any more they are killed. */
static bool await_children(pid_t *pid)
{
	unsigned long before = 0;
	bool good = true;

	for (int idle = 0; any(pid); usleep(10000)) {
		for (int i = 0, status; i < PAIRS; i++) {
			if (!pid[i] || waitpid(pid[i], &status, WNOHANG) != pid[i])
				continue;
			pid[i] = 0;
			good &= WIFEXITED(status) && !WEXITSTATUS(status);
		}
		idle = progress() == before ? idle + 1 : 0;
		before = progress();
		if (idle != 150 * LOST_AFTER)
			continue;
		ksft_print_msg("nothing moves any more: a bell was lost\n");
		good = false;
		for (int i = 0; i < PAIRS; i++)
			if (pid[i])
				kill(pid[i], SIGKILL);
	}
	return good && !failed();
}

static unsigned long total(size_t offset)
{
	unsigned long sum = 0;

	for (int i = 0; i < PAIRS; i++)
		for (int side = 0; side < 2; side++)
			sum += atomic_load((atomic_ulong *)((char *)&matches[i] + offset) + side);
	return sum;
}

static unsigned long run_shape(const struct shape *shape)
{
	int64_t begin = from_now(0);
	unsigned long waits, slept;
	pid_t pid[PAIRS] = {};
	bool good;

	memset(matches, 0, PAIRS * sizeof(*matches));
	start(shape, pid);
	good = await_children(pid);
	waits = total(offsetof(struct match, waits));
	slept = total(offsetof(struct match, slept));
	ksft_print_msg("%lu waits, %lu sleeps, %.1f s\n", waits, slept,
		       (from_now(0) - begin) / 1e9);
	ksft_test_result(good && slept >= goal(shape), "%s\n", shape->name);
	return shape->pass ? slept : 0;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "sleeps", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{}
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			sleeps_wanted = strtoul(optarg, NULL, 0);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			exit(2);
	}
}

int main(int argc, char **argv)
{
	unsigned long slept = 0;

	parse(argc, argv);
	matches = mmap(NULL, PAIRS * sizeof(*matches), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (matches == MAP_FAILED)
		die("mmap");
	errno = -bed_open(&bed);
	if (errno)
		die("no device and /dev/vgpuctl of its own");
	ksft_print_header();
	ksft_set_plan(ARRAY_SIZE(shapes) + 2);
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		slept += run_shape(&shapes[i]);
	ksft_test_result(slept >= sleeps_wanted, "%lu sleeps on bells, none too long\n", slept);
	ksft_test_result(!bed_close(&bed), "nothing is left\n");
	ksft_finished();
}
