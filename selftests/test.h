/* SPDX-License-Identifier: MIT */
/*
 * The least a unit test needs. A test program is a list of functions:
 *
 *	TEST(name) { CHECK(1 + 1 == 2); CHECK_EQ(f(), -EINVAL); }
 *	int main(int argc, char **argv) { return test_main(argc, argv); }
 *
 * It prints TAP, one line a test, and exits with 1 if any failed. Arguments
 * choose tests by name.
 */
#ifndef VGPU_SELFTESTS_TEST_H
#define VGPU_SELFTESTS_TEST_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct test {
	const char	*name;
	void		(*run)(void);
	struct test	*next;
};

static struct test *test_first, **test_last = &test_first;
static int test_failures;
static const char *test_skip_reason;

#define TEST(n)								\
	static void test_##n(void);					\
	__attribute__((constructor)) static void test_add_##n(void)	\
	{								\
		static struct test t = { #n, test_##n, NULL };		\
		*test_last = &t;					\
		test_last = &t.next;					\
	}								\
	static void test_##n(void)

#define CHECK(cond)							\
	do {								\
		if (!(cond)) {						\
			test_failures++;				\
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
		}							\
	} while (0)

#define CHECK_EQ(a, b)							\
	do {								\
		long long a_ = (long long)(a), b_ = (long long)(b);	\
		if (a_ != b_) {						\
			test_failures++;				\
			printf("# %s:%d: %s is %lld, not %s = %lld\n",	\
			       __FILE__, __LINE__, #a, a_, #b, b_);	\
		}							\
	} while (0)

/* Leave the test at once if what follows makes no sense any more. */
#define REQUIRE(cond)							\
	do {								\
		if (!(cond)) {						\
			test_failures++;				\
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			return;						\
		}							\
	} while (0)

#define SKIP(reason)							\
	do {								\
		test_skip_reason = (reason);				\
		return;							\
	} while (0)

static int test_main(int argc, char **argv)
{
	int n = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test *t = test_first; t; t = t->next) {
		bool chosen = argc < 2;

		for (int i = 1; i < argc; i++)
			chosen |= !strcmp(argv[i], t->name);
		if (!chosen)
			continue;
		test_failures = 0;
		test_skip_reason = NULL;
		t->run();
		failed += test_failures != 0;
		printf("%sok %d - %s%s%s\n", test_failures ? "not " : "", ++n,
		       t->name, test_skip_reason ? " # SKIP " : "",
		       test_skip_reason ? test_skip_reason : "");
	}
	printf("1..%d\n", n);
	return failed != 0;
}

#endif /* VGPU_SELFTESTS_TEST_H */
