// SPDX-License-Identifier: MIT
/*
 * Loading the module while memory runs out: each of the last allocations of it, all
 * that are the module's own and some of the kernel's before them, is made to fail.
 * A module that is not loaded has left nothing; one that is can be unloaded.
 *
 * Takes the module of $VGPU_KO, and leaves it loaded as it was found.
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "faults_nth.h"
#include "kselftest.h"
#include "testbed.h"

#define LAST		400	/* places: the module's own are some 300 */
#define ARGUMENTS	"ndevices=2"

static void *image;
static size_t image_size;

static void read_module(void)
{
	const char *path = getenv("VGPU_KO");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat))
		ksft_exit_fail_msg("$VGPU_KO is no module\n");
	image_size = stat.st_size;
	image = malloc(image_size);
	if (!image || read(fd, image, image_size) != stat.st_size)
		ksft_exit_fail_msg("%s cannot be read\n", path);
	close(fd);
}

static int load(void)
{
	return syscall(SYS_init_module, image, image_size, ARGUMENTS) ? -errno : 0;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "vgpu", O_NONBLOCK) ? -errno : 0;
}

static bool is_there(void)
{
	return !access("/sys/class/vgpu", F_OK) || !access("/dev/vgpuctl", F_OK) ||
	       !access("/sys/module/vgpu", F_OK) || !access("/dev/vgpu0", F_OK);
}

/* All places of a load. */
static unsigned int count_places(void)
{
	const unsigned int many = 1000000;

	faults_on(many);
	load();
	faults_off();
	return many - faults_missing();
}

static bool complain(unsigned int nth, const char *what, int err)
{
	ksft_print_msg("place %u: %s: %s\n", nth, what, strerror(-err));
	return false;
}

static bool inject(unsigned int nth, bool *injected)
{
	int err;

	faults_on(nth);
	err = load();
	*injected = faults_off();
	if (!err) {
		err = unload();
		return !err || complain(nth, "cannot be unloaded", err);
	}
	if (!*injected)
		return complain(nth, "fails without a fault", err);
	if (err != -ENOMEM && err != -EFAULT)
		return complain(nth, "fails for another reason", err);
	return !is_there() || complain(nth, "something is left", err);
}

static unsigned int count_in(const char *text, const char *what)
{
	unsigned int n = 0;

	for (text = strstr(text, what); text; text = strstr(text + 1, what))
		n++;
	return n;
}

/*
 * class_register() of Linux 6.1 forgets the name of a class when it fails. What it
 * leaked is taken off the list; a leak of anybody else's stays there, for whoever
 * looks at it after this program.
 */
static bool only_known_leaks(void)
{
	static const char path[] = "/sys/kernel/debug/kmemleak";
	static char text[1 << 20];
	ssize_t n;
	int fd;

	/* What is younger is not looked at, and what has just changed not reported. */
	sleep(6);
	if (write_text(path, "scan") || write_text(path, "scan"))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (size_t len = 0; fd >= 0 && len < sizeof(text) - 1; len += n) {
		n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			break;
	}
	close(fd);
	if (count_in(text, "unreferenced object") != count_in(text, " __class_register+"))
		return false;
	return !write_text(path, "clear");
}

int main(int argc, char **argv)
{
	unsigned int places, count = 0;
	bool good = true, injected = true;
	int err = faults_init();

	if (err)
		ksft_exit_fail_msg("this kernel makes no faults: %s\n", strerror(-err));
	read_module();
	if (unload())
		ksft_exit_fail_msg("the module is in use\n");
	ksft_print_header();
	ksft_set_plan(3);
	places = count_places();
	good = !unload();
	for (unsigned int nth = places > LAST ? places - LAST : 1; good && injected; nth++) {
		good = inject(nth, &injected);
		count += injected;
	}
	ksft_test_result(good && count, "%u faults in loading, of %u places\n", count, places);
	ksft_test_result(only_known_leaks(), "nothing leaked but what Linux is known to leak\n");
	ksft_test_result(!is_there() && !load() && is_there(), "it can be loaded afterwards\n");
	ksft_finished();
}
