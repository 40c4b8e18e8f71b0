// SPDX-License-Identifier: MIT
/* What systemd is told: on the socket that it names, and nothing without one. */
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/daemon.h"
#include "test.h"

/* A socket of that name, '@' for an abstract one, that the environment names as well. */
static int listen_as(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(a.sun_path, name, strlen(name));
	if (*name == '@')
		a.sun_path[0] = 0;
	CHECK_EQ(bind(fd, (struct sockaddr *)&a,
		      offsetof(struct sockaddr_un, sun_path) + strlen(name)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void hears(const char *name)
{
	int fd = listen_as(name);
	char text[64] = "";

	vgpu_daemon_notify("READY=1");
	CHECK_EQ(recv(fd, text, sizeof(text) - 1, 0), 7);
	CHECK(!strcmp(text, "READY=1"));
	CHECK_EQ(recv(fd, text, sizeof(text) - 1, 0), -1);
	close(fd);
}

TEST(a_path)
{
	char folder[] = "/tmp/vgpu-notify-XXXXXX", name[64];

	CHECK(mkdtemp(folder));
	snprintf(name, sizeof(name), "%s/notify", folder);
	hears(name);
	unlink(name);
	/* nobody listens any more: nothing happens */
	vgpu_daemon_notify("READY=1");
	rmdir(folder);
}

TEST(an_abstract_name)
{
	char name[64];

	snprintf(name, sizeof(name), "@vgpu-notify-%d", getpid());
	hears(name);
}

TEST(no_name_and_a_long_one)
{
	char name[200];
	int fd;

	snprintf(name, sizeof(name), "@vgpu-notify-%d", getpid());
	fd = listen_as(name);
	unsetenv("NOTIFY_SOCKET");
	vgpu_daemon_notify("READY=1");
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	setenv("NOTIFY_SOCKET", name, 1);
	vgpu_daemon_notify("READY=1");
	CHECK_EQ(recv(fd, name, sizeof(name), 0), -1);
	close(fd);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
