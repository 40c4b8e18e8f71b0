/* SPDX-License-Identifier: MIT */
/* What a worker gives up before it reads the first byte of its client. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "server/server.h"

static int become(uid_t uid, gid_t gid)
{
	if (geteuid())
		return 0;
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	/* For good? */
	if (uid && !setuid(0))
		return -EPERM;
	return 0;
}

/* For good, since no new privileges come by another program. */
static int shed_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

	return syscall(SYS_capset, &head, none) ? -errno : 0;
}

int vgpu_privilege_drop(int server, uid_t uid, gid_t gid, bool capable)
{
	int err = become(uid, gid);

	if (err)
		return err;
	/* Becoming another user clears the death signal, so it is set after that. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0))
		return -errno;
	if (!capable)
		err = shed_capabilities();
	if (err)
		return err;
	/* It may have died before. */
	return getppid() == server ? 0 : -ESRCH;
}
