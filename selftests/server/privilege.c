/* SPDX-License-Identifier: MIT */
/*
 * What a worker is after it gave up its privileges. As root, what root's worker
 * is left with; as another user, that it has nothing that the server was lent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "server/server.h"
#include "test.h"

/* A word in hexadecimal of /proc/self/status, or ~0. */
static unsigned long long status_word(const char *name)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long value = ~0ull;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = strtoull(line + strlen(name), NULL, 16);
	if (f)
		fclose(f);
	return value;
}

/* What @look returns in a child that dropped its privileges for @uid, or 100 and more. */
static int dropped(uid_t uid, bool capable, int (*look)(void))
{
	pid_t parent = getpid(), child = fork();
	int status;

	if (!child)
		_exit(vgpu_privilege_drop(parent, uid, uid, capable) ? 100 : look());
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return 101;
	return WEXITSTATUS(status);
}

static int without_capabilities(void)
{
	if (status_word("CapEff:") || status_word("CapPrm:") || status_word("CapInh:") ||
	    status_word("CapAmb:"))
		return 1;
	if (prctl(PR_GET_DUMPABLE) || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 2;
	/* Another program does not get them back. */
	execl("/bin/sh", "sh", "-c", "grep -q '^CapEff:[[:space:]]*0*$' /proc/self/status", NULL);
	return 3;
}

TEST(no_capabilities_are_left)
{
	CHECK_EQ(dropped(geteuid(), false, without_capabilities), 0);
}

static int capable(void)
{
	return status_word("CapEff:") == 0;
}

TEST(unless_it_is_to_reach_a_client_that_is_root)
{
	CHECK_EQ(dropped(geteuid(), true, capable), geteuid() ? 1 : 0);
}

static int nobody(void)
{
	uid_t real, effective, saved;

	if (getresuid(&real, &effective, &saved) || real != 65534 || effective != 65534 ||
	    saved != 65534)
		return 1;
	return getgroups(0, NULL) || !setuid(0) ? 2 : without_capabilities();
}

/* Whatever it was to keep: that of another user is nothing. */
TEST(another_user)
{
	CHECK_EQ(dropped(65534, false, nobody), geteuid() ? 1 : 0);
	CHECK_EQ(dropped(65534, true, nobody), geteuid() ? 1 : 0);
}

TEST(a_server_that_is_gone)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(vgpu_privilege_drop(1 << 30, geteuid(), getegid(), false) ? 1 : 0);
	waitpid(child, &status, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
