/* SPDX-License-Identifier: MIT */
/*
 * PID 1 of a test guest. Puts the host's files under a layer of memory, runs
 * one command there, reports on it and on the kernel, and powers off.
 *
 * What to do is in /job of the initramfs: settings NAME=VALUE, each ended by a
 * NUL. The command's output leaves by one virtio port, the report by another,
 * so that neither can be taken for the other, nor for what the kernel says. The
 * report, which guest.py reads:
 *
 *	ready			the command is about to start
 *	exit STATUS		as a shell has it, 128 + N for signal N
 *	timeout			instead of exit
 *	stuck			SIGKILL does not end all processes
 *	taint BITS		/proc/sys/kernel/tainted
 *	leaks LENGTH		followed by what kmemleak says
 *	log LENGTH		followed by the kernel's log
 *	done
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORDS	256
#define LOG_SIZE	(4 << 20)
#define PATH		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PORT_REPORT	"/dev/vport*p1"
#define PORT_OUTPUT	"/dev/vport*p2"
#define P9		"trans=virtio,version=9p2000.L,msize=512000,"

struct words {
	char *word[MAX_WORDS + 1];
	int n;
};

static struct job {
	const char *name;	/* of the host */
	const char *address;	/* of eth0; NULL: there is none */
	const char *cwd;
	int timeout;		/* seconds */
	bool leaks;		/* look for them */
	struct words modules, env, argv;
} job;

static int report_fd = -1;

__attribute__((format(printf, 1, 2), noreturn))
static void die(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	fprintf(stderr, "init: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, ": %s\n", strerror(error));
	va_end(args);
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die("cannot write");
		data += n;
		len -= n;
	}
}

__attribute__((format(printf, 1, 2)))
static void report(const char *format, ...)
{
	char line[128];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	write_all(report_fd, line, strlen(line));
}

static void report_data(const char *what, const char *data, size_t len)
{
	report("%s %zu\n", what, len);
	write_all(report_fd, data, len);
}

/* Reads a file whole; the caller frees. NULL: it is not there. */
static char *read_file(const char *path, size_t *len)
{
	size_t size = 4096;
	char *data = NULL;
	ssize_t n = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*len = 0;
	if (fd < 0)
		return NULL;
	for (; n > 0; *len += n) {
		if (!data || size - *len < 2) {
			size *= 2;
			data = realloc(data, size);
			if (!data)
				die("no memory for %s", path);
		}
		n = read(fd, data + *len, size - *len - 1);
		if (n < 0)	/* a process is gone */
			n = 0;
	}
	data[*len] = '\0';
	close(fd);
	return data;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, text, strlen(text)) > 0;
	close(fd);
	return good;
}

/* ---- the job ---- */

static void add_word(struct words *words, char *word)
{
	if (words->n == MAX_WORDS) {
		errno = E2BIG;
		die("the job");
	}
	words->word[words->n++] = word;
}

static void read_setting(const char *name, char *value)
{
	if (!strcmp(name, "name"))
		job.name = value;
	else if (!strcmp(name, "address"))
		job.address = value;
	else if (!strcmp(name, "cwd"))
		job.cwd = value;
	else if (!strcmp(name, "timeout"))
		job.timeout = atoi(value);
	else if (!strcmp(name, "leaks"))
		job.leaks = atoi(value);
	else if (!strcmp(name, "module"))
		add_word(&job.modules, value);
	else if (!strcmp(name, "env"))
		add_word(&job.env, value);
	else if (!strcmp(name, "arg"))
		add_word(&job.argv, value);
	else
		die("unknown setting %s", name);
}

static void read_job(void)
{
	size_t len;
	char *data = read_file("/job", &len), *end = data + len;

	if (!data)
		die("/job");
	while (data < end) {
		char *next = data + strlen(data) + 1;
		char *value = strchr(data, '=');

		errno = EINVAL;
		if (!value)
			die("setting %s", data);
		*value = '\0';
		read_setting(data, value + 1);
		data = next;
	}
	errno = EINVAL;
	if (!job.name || !job.cwd || !job.argv.n || job.timeout <= 0)
		die("incomplete job");
}

/* ---- the root ---- */

static void mount_at(const char *type, const char *source, const char *place,
		     unsigned long flags, const char *options)
{
	if (mkdir(place, 0755) && errno != EEXIST)
		die("mkdir %s", place);
	if (mount(source, place, type, flags, options))
		die("mount %s on %s", type, place);
}

static void move(const char *from, const char *to)
{
	if (mount(from, to, NULL, MS_MOVE, NULL))
		die("move %s to %s", from, to);
}

static void load_modules(void)
{
	char path[256];
	int i, fd;

	for (i = 0; i < job.modules.n; i++) {
		snprintf(path, sizeof(path), "/modules/%s", job.modules.word[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			die("module %s", path);
		close(fd);
	}
}

/* /dev, /proc and /sys are mounted first: modules and ports show there. */
static void mount_early(void)
{
	mount_at("devtmpfs", "dev", "/dev", MS_NOSUID, "mode=0755");
	mount_at("proc", "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_at("sysfs", "sys", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

/* The host's files never change: what is written goes to memory. */
static void mount_root(void)
{
	mount_at("9p", "root", "/host", MS_RDONLY, P9 "cache=loose");
	mount_at("tmpfs", "upper", "/upper", 0, "mode=0755");
	if (mkdir("/upper/upper", 0755) || mkdir("/upper/work", 0755))
		die("mkdir /upper");
	mount_at("overlay", "root", "/new", 0,
		 "lowerdir=/host,upperdir=/upper/upper,workdir=/upper/work");
	move("/dev", "/new/dev");
	move("/proc", "/new/proc");
	move("/sys", "/new/sys");
	if (chdir("/new"))
		die("chdir /new");
	move(".", "/");
	if (chroot(".") || chdir("/"))
		die("chroot");
}

static void mount_late(void)
{
	const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	mount_at("devpts", "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
		 "mode=0620,gid=5,ptmxmode=0666");
	mount_at("tmpfs", "shm", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_at("tmpfs", "run", "/run", MS_NOSUID | MS_NODEV, "mode=0755");
	mount_at("cgroup2", "cgroup", "/sys/fs/cgroup", safe, NULL);
	mount_at("debugfs", "debug", "/sys/kernel/debug", safe, NULL);
	mount_at("tracefs", "tracing", "/sys/kernel/tracing", safe, NULL);
	mount_at("9p", "share", "/share", 0, P9 "cache=none");
	if (symlink("/proc/self/fd", "/dev/fd") ||
	    symlink("/proc/self/fd/0", "/dev/stdin") ||
	    symlink("/proc/self/fd/1", "/dev/stdout") ||
	    symlink("/proc/self/fd/2", "/dev/stderr"))
		die("symlink in /dev");
}

/*
 * The first memory cgroup makes the kernel patch its allocators while they run,
 * which not every QEMU emulates well on several processors: better now than in
 * the middle of a test. The patch stays.
 */
static void patch_early(void)
{
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir("/sys/fs/cgroup/first", 0755);
	rmdir("/sys/fs/cgroup/first");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "-memory");
}

/* ---- the network ---- */

static void bring_up(int fd, const char *name)
{
	struct ifreq req = { 0 };

	strncpy(req.ifr_name, name, sizeof(req.ifr_name) - 1);
	if (ioctl(fd, SIOCGIFFLAGS, &req))
		die("%s", name);
	req.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &req))
		die("%s", name);
}

static void set_address(int fd, const char *name, const char *text, int which)
{
	struct ifreq req = { 0 };
	struct sockaddr_in address = { .sin_family = AF_INET };

	strncpy(req.ifr_name, name, sizeof(req.ifr_name) - 1);
	errno = EINVAL;
	if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
		die("address %s", text);
	memcpy(&req.ifr_addr, &address, sizeof(address));
	if (ioctl(fd, which, &req))
		die("address of %s", name);
}

static void set_up_network(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || sethostname(job.name, strlen(job.name)))
		die("network");
	bring_up(fd, "lo");
	if (job.address) {
		set_address(fd, "eth0", job.address, SIOCSIFADDR);
		set_address(fd, "eth0", "255.255.255.0", SIOCSIFNETMASK);
		bring_up(fd, "eth0");
	}
	close(fd);
}

/* ---- ports ---- */

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

/* There is one such device; ports show some time after its driver is there. */
static int open_port(const char *pattern)
{
	glob_t found;
	int fd, i;

	for (i = 0; glob(pattern, 0, NULL, &found) && i < 2000; i++)
		pause_ms(5);
	if (i == 2000)
		die("%s", pattern);
	fd = open(found.gl_pathv[0], O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s", found.gl_pathv[0]);
	globfree(&found);
	return fd;
}

/* ---- the command ---- */

static void run_child(int out)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (chdir(job.cwd))
		fprintf(stderr, "init: no folder %s\n", job.cwd);
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	environ = job.env.word;
	execvp(job.argv.word[0], job.argv.word);
	fprintf(stderr, "init: cannot run %s: %s\n", job.argv.word[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* The command writes to a pipe, not to the port: a port cannot be reopened. */
static pid_t start(int *output)
{
	pid_t pid;
	int fds[2];

	add_word(&job.env, PATH);
	add_word(&job.env, "HOME=/root");
	add_word(&job.env, "LANG=C.UTF-8");
	putenv(PATH);
	if (pipe2(fds, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		run_child(fds[1]);
	close(fds[1]);
	*output = fds[0];
	return pid;
}

/* Moves what is in the pipe; false: there are no writers any more. */
static bool forward(int from, int to)
{
	char buffer[65536];
	ssize_t n = read(from, buffer, sizeof(buffer));

	if (n > 0)
		write_all(to, buffer, n);
	return n > 0 || (n < 0 && errno == EINTR);
}

/* Buries the dead; true: pid was one of them. */
static bool reap(pid_t pid, int *status)
{
	bool found = false;
	pid_t dead;
	int how;

	while ((dead = waitpid(-1, &how, WNOHANG)) > 0) {
		if (dead != pid)
			continue;
		*status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
		found = true;
	}
	return found;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* false: the command did not end in time */
static bool wait_command(pid_t pid, int output, int port, int *status)
{
	long left, end = now_ms() + job.timeout * 1000L;
	struct signalfd_siginfo info;
	struct pollfd fds[2] = { { .fd = output, .events = POLLIN }, { .events = POLLIN } };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	fds[1].fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	while (!reap(pid, status)) {
		left = end - now_ms();
		if (left <= 0)
			return false;
		poll(fds, 2, left);
		if (fds[0].revents && !forward(output, port))
			fds[0].fd = -1;
		while (fds[1].revents && read(fds[1].fd, &info, sizeof(info)) > 0)
			;
	}
	return true;
}

/* ---- the end ---- */

/* One line of the kernel's log on a process. */
static void show_process(const char *pid)
{
	static const char *const names[] = { "cmdline", "stat", "wchan" };
	char path[64], line[512], *text[3] = { NULL };
	size_t len[3], i;

	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, names[i]);
		text[i] = read_file(path, &len[i]);
	}
	if (text[0] && text[1] && text[2] && len[0]) {
		for (i = 0; i < len[0] - 1; i++)
			text[0][i] = text[0][i] ? text[0][i] : ' ';
		snprintf(line, sizeof(line), "init: %.200s: in %.60s: %.32s\n",
			 text[0], text[2], text[1]);
		write_file("/dev/kmsg", line);
	}
	for (i = 0; i < 3; i++)
		free(text[i]);
}

/* Whom something that does not end is waiting for, into the kernel's log. */
static void show_processes(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc)))
		if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name))
			show_process(entry->d_name);
	if (proc)
		closedir(proc);
	/* stacks of tasks in uninterruptible sleep */
	write_file("/proc/sysrq-trigger", "w");
}

/*
 * Kills everything and waits: drivers release what processes held while
 * somebody is still looking. Their last words are forwarded.
 */
static void end_processes(int output, int port)
{
	struct pollfd fd = { .fd = output, .events = POLLIN };
	long end = now_ms() + 10000;
	bool alive;
	int status;

	do {
		kill(-1, SIGKILL);
		if (poll(&fd, 1, 5) > 0 && !forward(output, port))
			fd.fd = -1;
		alive = waitpid(-1, &status, WNOHANG) >= 0;
	} while (alive && now_ms() < end);
	while (fd.fd >= 0 && poll(&fd, 1, 0) > 0 && forward(output, port))
		;
	if (alive) {
		show_processes();
		report("stuck\n");
	}
}

/*
 * Two scans, as what changed since the one before is not reported; neither is,
 * in a scan, what was allocated in the five seconds before it.
 */
static void report_leaks(void)
{
	static const char path[] = "/sys/kernel/debug/kmemleak";
	static const char off[] = "kmemleak has turned itself off\n";
	long old = now_ms() + 5500;
	bool scanned;
	size_t len;
	char *text;

	if (!job.leaks || access(path, W_OK))
		return;
	scanned = write_file(path, "scan");
	if (now_ms() < old)
		pause_ms(old - now_ms());
	if (!scanned || !write_file(path, "scan")) {
		report_data("leaks", off, sizeof(off) - 1);
		return;
	}
	text = read_file(path, &len);
	if (!text)
		die("%s", path);
	report_data("leaks", text, len);
	free(text);
}

static void report_kernel(void)
{
	char *log = malloc(LOG_SIZE);
	size_t len;
	int n;
	char *taint = read_file("/proc/sys/kernel/tainted", &len);

	if (!log || !taint)
		die("the kernel's log");
	report("taint %s", taint);
	n = klogctl(3, log, LOG_SIZE);	/* SYSLOG_ACTION_READ_ALL */
	if (n < 0)
		die("the kernel's log");
	report_data("log", log, n);
}

static void run(void)
{
	int output, status = 0, port = open_port(PORT_OUTPUT);
	pid_t pid;

	report("ready\n");
	pid = start(&output);
	if (wait_command(pid, output, port, &status)) {
		end_processes(output, port);
		report("exit %d\n", status);
		report_leaks();
	} else {
		show_processes();
		end_processes(output, port);
		report("timeout\n");
	}
	report_kernel();
	report("done\n");
}

int main(void)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	umask(022);
	read_job();
	mount_early();
	load_modules();
	mount_root();
	mount_late();
	patch_early();
	set_up_network();
	report_fd = open_port(PORT_REPORT);
	run();
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
