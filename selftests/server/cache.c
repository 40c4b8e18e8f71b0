/* SPDX-License-Identifier: MIT */
/* The images' cache on disk: what it gives back, what it refuses, how it makes room. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "server/cache.h"
#include "test.h"

#define TENANT	"0a1b2c"

static char base[64];

static int open_cache(struct vgpu_cache **c, const char *tenant, uint64_t limit)
{
	const struct vgpu_cache_owner me = { .uid = geteuid(), .gid = getegid() };

	return vgpu_cache_open(c, base, tenant, &me, limit);
}

static struct vgpu_cache *cache(uint64_t limit)
{
	struct vgpu_cache *c = NULL;

	CHECK_EQ(open_cache(&c, TENANT, limit), 0);
	return c;
}

static void path_of(const uint8_t *hash, char *path, size_t room)
{
	int n = snprintf(path, room, "%s/" TENANT "/", base);

	for (int i = 0; i < VGPU_HASH_BYTES; i++)
		n += snprintf(path + n, room - n, "%02x", hash[i]);
}

static int store(struct vgpu_cache *c, const char *text, size_t length)
{
	uint8_t hash[VGPU_HASH_BYTES];

	vgpu_hash(text, length, hash);
	return vgpu_cache_store(c, hash, text, length);
}

static int load(struct vgpu_cache *c, const char *text, size_t length)
{
	uint8_t hash[VGPU_HASH_BYTES];
	void *bytes;
	int err;

	vgpu_hash(text, length, hash);
	err = vgpu_cache_load(c, hash, length, &bytes);
	if (err)
		return err;
	CHECK(!memcmp(bytes, text, length));
	CHECK_EQ(((char *)bytes)[length], 0);
	free(bytes);
	return 0;
}

/* As if it had been used that long ago. */
static void age(const char *text, size_t length, int seconds)
{
	struct timespec then = { .tv_sec = time(NULL) - seconds }, t[2] = { then, then };
	uint8_t hash[VGPU_HASH_BYTES];
	char path[256];

	vgpu_hash(text, length, hash);
	path_of(hash, path, sizeof(path));
	CHECK_EQ(utimensat(AT_FDCWD, path, t, 0), 0);
}

TEST(what_is_stored_comes_back)
{
	struct vgpu_cache *c = cache(1000);

	REQUIRE(c);
	CHECK_EQ(load(c, "one", 3), -ENOENT);
	CHECK_EQ(store(c, "one", 3), 0);
	CHECK_EQ(load(c, "one", 3), 0);
	/* Another program starts. */
	vgpu_cache_close(c);
	c = cache(1000);
	CHECK_EQ(load(c, "one", 3), 0);
	vgpu_cache_close(c);
}

TEST(another_length_is_another_image)
{
	struct vgpu_cache *c = cache(1000);
	uint8_t hash[VGPU_HASH_BYTES];
	void *bytes;

	CHECK_EQ(store(c, "image", 5), 0);
	vgpu_hash("image", 5, hash);
	CHECK_EQ(vgpu_cache_load(c, hash, 4, &bytes), -ENOENT);
	CHECK_EQ(vgpu_cache_load(c, hash, 1ull << 60, &bytes), -ENOENT);
	vgpu_cache_close(c);
}

static void corrupt(const char *text, size_t length)
{
	uint8_t hash[VGPU_HASH_BYTES];
	char path[256];
	int fd;

	vgpu_hash(text, length, hash);
	path_of(hash, path, sizeof(path));
	fd = open(path, O_WRONLY);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "X", 1), 1);
	close(fd);
}

TEST(a_changed_file_is_not_there)
{
	struct vgpu_cache *c = cache(1000);
	uint8_t hash[VGPU_HASH_BYTES];
	char path[256];

	CHECK_EQ(store(c, "to be changed", 13), 0);
	corrupt("to be changed", 13);
	CHECK_EQ(load(c, "to be changed", 13), -ENOENT);
	vgpu_hash("to be changed", 13, hash);
	path_of(hash, path, sizeof(path));
	CHECK(access(path, F_OK));
	CHECK_EQ(store(c, "to be changed", 13), 0);
	CHECK_EQ(load(c, "to be changed", 13), 0);
	vgpu_cache_close(c);
}

TEST(what_is_no_file_is_not_read)
{
	struct vgpu_cache *c = cache(1000);
	uint8_t hash[VGPU_HASH_BYTES];
	char path[256];

	vgpu_hash("pipe", 4, hash);
	path_of(hash, path, sizeof(path));
	REQUIRE(!mkfifo(path, 0600));
	CHECK_EQ(load(c, "pipe", 4), -ENOENT);
	vgpu_hash("link", 4, hash);
	path_of(hash, path, sizeof(path));
	REQUIRE(!symlink("/dev/zero", path));
	CHECK_EQ(load(c, "link", 4), -ENOENT);
	vgpu_cache_close(c);
}

TEST(the_least_used_makes_room)
{
	static char a[400], b[400], d[400];
	struct vgpu_cache *c = cache(1000);

	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	memset(d, 'd', sizeof(d));
	CHECK_EQ(store(c, a, 400), 0);
	CHECK_EQ(store(c, b, 400), 0);
	age(a, 400, 20);
	age(b, 400, 10);
	/* Reading is using. */
	CHECK_EQ(load(c, a, 400), 0);
	CHECK_EQ(store(c, d, 400), 0);
	CHECK_EQ(load(c, a, 400), 0);
	CHECK_EQ(load(c, b, 400), -ENOENT);
	CHECK_EQ(load(c, d, 400), 0);
	vgpu_cache_close(c);
}

TEST(more_than_the_limit_is_not_stored)
{
	static char large[1001];
	struct vgpu_cache *c = cache(1000);

	CHECK_EQ(store(c, "small", 5), 0);
	CHECK_EQ(store(c, large, sizeof(large)), -EFBIG);
	CHECK_EQ(load(c, "small", 5), 0);
	vgpu_cache_close(c);
}

TEST(what_a_dead_worker_left_goes)
{
	struct timespec t[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct vgpu_cache *c = cache(1000);
	char old[128], new[128];

	snprintf(old, sizeof(old), "%s/" TENANT "/.tmp-1-old", base);
	snprintf(new, sizeof(new), "%s/" TENANT "/.tmp-1-new", base);
	close(open(old, O_CREAT | O_WRONLY, 0600));
	close(open(new, O_CREAT | O_WRONLY, 0600));
	CHECK_EQ(utimensat(AT_FDCWD, old, t, 0), 0);
	CHECK_EQ(store(c, "any", 3), 0);
	CHECK(access(old, F_OK));
	CHECK(!access(new, F_OK));
	vgpu_cache_close(c);
}

TEST(a_folder_others_can_use_is_refused)
{
	struct vgpu_cache *c = cache(1000);
	char path[128];

	vgpu_cache_close(c);
	snprintf(path, sizeof(path), "%s/" TENANT, base);
	REQUIRE(!chmod(path, 0770));
	CHECK_EQ(open_cache(&c, TENANT, 1000), -EPERM);
	REQUIRE(!chmod(path, 0700));
}

TEST(each_tenant_has_a_folder)
{
	struct vgpu_cache *c = cache(1000), *other;

	CHECK_EQ(open_cache(&other, "another", 1000), 0);
	CHECK_EQ(store(c, "mine", 4), 0);
	CHECK_EQ(load(c, "mine", 4), 0);
	CHECK_EQ(load(other, "mine", 4), -ENOENT);
	vgpu_cache_close(c);
	vgpu_cache_close(other);
}

TEST(names_that_lead_elsewhere_are_refused)
{
	static const char *const names[] = { "", ".", "..", ".hidden", "a/b", "/tmp", "../other" };
	struct vgpu_cache *c;

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		CHECK_EQ(open_cache(&c, names[i], 1000), -EINVAL);
}

/* Runs @f as user and group @id of a shared cache; its exit status. */
static int as_user(uid_t id, gid_t group, int (*f)(struct vgpu_cache *c))
{
	const struct vgpu_cache_owner all = { .gid = group, .shared = true };
	struct vgpu_cache *c;
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (vgpu_cache_open(&c, base, "shared", &all, 1000) || setgroups(0, NULL) ||
		    setgid(group) || setuid(id))
			_exit(99);
		_exit(-f(c));
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int store_ours(struct vgpu_cache *c)
{
	umask(077);
	return store(c, "ours", 4);
}

static int load_ours(struct vgpu_cache *c)
{
	return load(c, "ours", 4);
}

/* All that another user of the group would need to keep it for itself. */
static int seize(struct vgpu_cache *c)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/shared", base);
	return chmod(path, 0700) || chown(path, geteuid(), -1) ? -errno : 0;
}

TEST(users_of_a_group_share)
{
	if (geteuid())
		SKIP("only root can be several users");
	REQUIRE(!chmod(base, 0711));
	CHECK_EQ(as_user(70001, 80001, store_ours), 0);
	CHECK_EQ(as_user(70002, 80001, load_ours), 0);
	CHECK_EQ(as_user(70002, 80001, store_ours), 0);
	CHECK_EQ(as_user(70001, 80001, load_ours), 0);
	CHECK_EQ(as_user(70001, 80001, seize), EPERM);
	/* Made anew for another group: what the first one left is not for it. */
	CHECK_EQ(as_user(70003, 80002, load_ours), ENOENT);
	CHECK_EQ(as_user(70003, 80002, store_ours), 0);
	CHECK_EQ(as_user(70003, 80002, load_ours), 0);
}

static void clean(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	CHECK_EQ(system(command), 0);
}

int main(int argc, char **argv)
{
	int failed;

	snprintf(base, sizeof(base), "/tmp/vgpu-cache-XXXXXX");
	if (!mkdtemp(base))
		return 1;
	failed = test_main(argc, argv);
	clean();
	return failed;
}
