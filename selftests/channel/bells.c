// SPDX-License-Identifier: MIT
/*
 * The socket backend's bells and its ways to see the app's end, one by one. What
 * waiting does with them, over any backend, is in waiting.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/internal.h"
#include "channel/socket.h"
#include "test.h"

static const struct vgpu_ring_sizes small = {
	.sq = 4096, .cq = 4096, .up = 4096, .down = 4096,
};

static bool never(void *arg)
{
	return false;
}

static void send_word(struct vgpu_channel *ch)
{
	while (!vgpu_record_reserve(ch, 16))
		sched_yield();
	vgpu_record_commit(ch, 1, 0);
}

static int receive_one(struct vgpu_channel *ch)
{
	uint8_t buf[64] __attribute__((aligned(8)));

	return vgpu_record_receive(ch, buf, sizeof(buf));
}

/* While one side sleeps, a burst of records is one bell, not many. */
TEST(one_bell_for_one_sleep)
{
	struct vgpu_channel *app, *peer;
	uint64_t word = 9 * VGPU_SLEEP_COUNT | VGPU_SLEEP, bells = 0;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	ring_store_sleep(app->our_sleep, word);
	for (int i = 0; i < 20; i++)
		send_word(peer);
	CHECK(read(to_socket(app)->our_bell, &bells, 8) == 8 && bells == 1);
	ring_store_sleep(app->our_sleep, word + VGPU_SLEEP_COUNT);
	send_word(peer);
	CHECK(read(to_socket(app)->our_bell, &bells, 8) == 8 && bells == 1);
	ring_store_sleep(app->our_sleep, 0);
	send_word(peer);
	CHECK(read(to_socket(app)->our_bell, &bells, 8) < 0);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

/* Freed records ring only for a side that waits for room. */
TEST(no_bell_for_room_nobody_wants)
{
	struct vgpu_channel *app, *peer;
	uint64_t bells = 0;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	for (int i = 0; i < 250; i++)
		send_word(app);
	ring_store_sleep(app->our_sleep, VGPU_SLEEP_COUNT | VGPU_SLEEP);
	for (int i = 0; i < 250; i++)
		CHECK_EQ(receive_one(peer), 16);
	CHECK(read(to_socket(app)->our_bell, &bells, 8) < 0);
	ring_store_sleep(app->our_sleep, VGPU_SLEEP_COUNT | VGPU_SLEEP | VGPU_SLEEP_ROOM);
	CHECK_EQ(vgpu_channel_wait(peer, never, NULL, 1), -ETIMEDOUT);
	CHECK(read(to_socket(app)->our_bell, &bells, 8) == 8);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

/* A bell that the other side made blocking and emptied does not hold us. */
TEST(bell_made_blocking)
{
	struct vgpu_channel *app, *peer;

	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	REQUIRE(!fcntl(to_socket(peer)->our_bell, F_SETFL, 0));
	CHECK_EQ(vgpu_channel_wait(peer, never, NULL, 20), -ETIMEDOUT);
	app->ops->bell(app);
	CHECK_EQ(peer->ops->sleep(peer, clock_deadline(1000)), 0);
	CHECK_EQ(peer->ops->sleep(peer, clock_deadline(10)), -ETIMEDOUT);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

/* The app dies, a child of it lives on with the socket. */
static int app_with_child(int *keep)
{
	pid_t app = fork();

	if (app)
		return app;
	close(keep[0]);
	if (!fork()) {
		char c;

		/* Until the test is over. */
		exit(read(keep[1], &c, 1) < 0);
	}
	pause();
	exit(0);
}

TEST(death_of_the_app_is_seen_despite_its_child)
{
	struct vgpu_channel *app, *peer;
	int keep[2], pid;

	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM, 0, keep));
	REQUIRE(!vgpu_channel_pair(&app, &peer, &small));
	pid = app_with_child(keep);
	close(keep[1]);
	to_socket(peer)->pidfd = syscall(SYS_pidfd_open, pid, 0);
	REQUIRE(to_socket(peer)->pidfd >= 0);
	CHECK_EQ(vgpu_channel_wait(peer, never, NULL, 20), -ETIMEDOUT);
	kill(pid, SIGKILL);
	CHECK_EQ(vgpu_channel_wait(peer, never, NULL, 20000), -EPIPE);
	CHECK(vgpu_channel_lost(peer));
	waitpid(pid, NULL, 0);
	close(keep[0]);
	vgpu_channel_close(app);
	vgpu_channel_close(peer);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
