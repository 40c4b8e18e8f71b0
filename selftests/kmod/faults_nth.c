// SPDX-License-Identifier: MIT
/* Faults made on purpose; see faults_nth.h. */
#include <sys/rseq.h>
#include <sys/syscall.h>

#include "faults_nth.h"
#include "testbed.h"

#define DEBUG	"/sys/kernel/debug/"

static int control = -1;	/* /proc/thread-self/fail-nth */
static bool on, injected;
static unsigned int missing;

/*
 * The kernel writes there when it returns to this thread after another has run, and
 * kills it if a fault (say of the page that is copied after fork) comes in between.
 */
static void leave_rseq(void)
{
	if (__rseq_size)
		syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset,
			sizeof(struct rseq), RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
}

int faults_init(void)
{
	static const char *const settings[][2] = {
		/* allocations that may sleep, of whatever order; nothing in the log */
		{ DEBUG "failslab/ignore-gfp-wait", "N" },
		{ DEBUG "failslab/verbose", "0" },
		{ DEBUG "fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUG "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ DEBUG "fail_page_alloc/min-order", "0" },
		{ DEBUG "fail_page_alloc/verbose", "0" },
		{ DEBUG "fail_usercopy/verbose", "0" },
	};
	int err = 0;

	leave_rseq();
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings) && !err; i++)
		err = write_text(settings[i][0], settings[i][1]);
	control = err ? err : open_node("/proc/thread-self/fail-nth", O_RDWR);
	return control < 0 ? control : 0;
}

static void set(const char *text)
{
	if (pwrite(control, text, strlen(text), 0) < 0 && errno != EFAULT) {
		perror("fail-nth");
		abort();
	}
}

void faults_on(unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	injected = false;
	missing = 0;
	on = true;
	set(text);
}

/*
 * 0 is read once the fault was injected. Reading and writing are copies too, and
 * can be those that fail: then it had not come to that before.
 */
bool faults_off(void)
{
	char text[16] = "";

	if (!on)
		return injected;
	on = false;
	if (pread(control, text, sizeof(text) - 1, 0) > 0)
		missing = strtoul(text, NULL, 10);
	else
		missing = 1;
	injected = !missing;
	set("0");
	set("0");
	return injected;
}

unsigned int faults_missing(void)
{
	return missing;
}
