// SPDX-License-Identifier: MIT
/*
 * Context-local storage: what a get finds, when destructors run, and that
 * threads may do all of it at once.
 */
#include "cudafront/internal.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CTX(n) ((CUcontext)(uintptr_t)(0x1000 * (n)))
#define KEY(n) ((void *)(uintptr_t)(0x2000000 + 8 * (n)))

#define NCONTEXTS 8

static atomic_bool dead[NCONTEXTS];
static __thread CUcontext current;

static CUcontext current_context(void)
{
	return current;
}

static bool context_alive(CUcontext ctx)
{
	return !dead[(uintptr_t)ctx / 0x1000];
}

static const struct cudafront_ops ops = {
	.current_context = current_context,
	.context_alive = context_alive,
};

static atomic_int destroyed;

static void count(CUcontext ctx, void *key, void *value)
{
	destroyed++;
}

static bool holds(CUcontext ctx, void *key, void *expected)
{
	void *value = &value;

	return !cudafront_cls_get(&value, ctx, key) && value == expected;
}

static bool misses(CUcontext ctx, void *key)
{
	void *value;

	return cudafront_cls_get(&value, ctx, key) == CUDA_ERROR_INVALID_HANDLE;
}

TEST(put_get_delete)
{
	CHECK(misses(CTX(1), KEY(1)));
	CHECK_EQ(cudafront_cls_put(CTX(1), KEY(1), "a", count), CUDA_SUCCESS);
	CHECK_EQ(cudafront_cls_put(CTX(2), KEY(1), "b", count), CUDA_SUCCESS);
	CHECK_EQ(cudafront_cls_put(CTX(1), KEY(2), NULL, NULL), CUDA_SUCCESS);
	for (int twice = 0; twice < 2; twice++) {
		CHECK(holds(CTX(1), KEY(1), "a"));
		CHECK(holds(CTX(2), KEY(1), "b"));
		CHECK(holds(CTX(1), KEY(2), NULL));
		CHECK(misses(CTX(2), KEY(2)));
	}
	destroyed = 0;
	CHECK_EQ(cudafront_cls_delete(CTX(1), KEY(1)), CUDA_SUCCESS);
	CHECK_EQ(cudafront_cls_delete(CTX(1), KEY(1)), CUDA_ERROR_INVALID_HANDLE);
	CHECK(misses(CTX(1), KEY(1)));
	CHECK(holds(CTX(2), KEY(1), "b"));
	CHECK_EQ(cudafront_cls_delete(CTX(2), KEY(1)), CUDA_SUCCESS);
	CHECK_EQ(cudafront_cls_delete(CTX(1), KEY(2)), CUDA_SUCCESS);
	CHECK_EQ(destroyed, 0);
}

TEST(a_second_put_replaces_the_first)
{
	destroyed = 0;
	CHECK_EQ(cudafront_cls_put(CTX(1), KEY(1), "a", count), CUDA_SUCCESS);
	CHECK(holds(CTX(1), KEY(1), "a"));
	CHECK_EQ(cudafront_cls_put(CTX(1), KEY(1), "b", count), CUDA_SUCCESS);
	CHECK(holds(CTX(1), KEY(1), "b"));
	CHECK_EQ(destroyed, 0);
	cudafront_context_ended(CTX(1));
	CHECK_EQ(destroyed, 1);
}

TEST(no_context_means_the_current_one)
{
	void *value;

	current = NULL;
	CHECK_EQ(cudafront_cls_get(&value, NULL, KEY(1)), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(cudafront_cls_put(NULL, KEY(1), "a", NULL), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(cudafront_cls_delete(NULL, KEY(1)), CUDA_ERROR_INVALID_CONTEXT);
	CHECK_EQ(cudafront_cls_get(NULL, CTX(1), KEY(1)), CUDA_ERROR_INVALID_VALUE);
	current = CTX(3);
	CHECK_EQ(cudafront_cls_put(NULL, KEY(1), "a", NULL), CUDA_SUCCESS);
	CHECK(holds(CTX(3), KEY(1), "a"));
	CHECK(holds(NULL, KEY(1), "a"));
	CHECK(holds((CUcontext)-1, KEY(1), "a"));
	current = CTX(2);
	CHECK(misses(NULL, KEY(1)));
	current = CTX(3);
	CHECK_EQ(cudafront_cls_delete((CUcontext)-1, KEY(1)), CUDA_SUCCESS);
	current = NULL;
}

/* What the runtime's destructor does: it may call back, and sees its entry gone. */
static void look_again(CUcontext ctx, void *key, void *value)
{
	CHECK(misses(ctx, key));
	CHECK_EQ(cudafront_cls_delete(ctx, key), CUDA_ERROR_INVALID_HANDLE);
	CHECK(!strcmp(value, "mine"));
	CHECK(ctx == CTX(1) && key == KEY(7));
	destroyed++;
}

TEST(destructors_run_when_the_context_ends)
{
	destroyed = 0;
	CHECK_EQ(cudafront_cls_put(CTX(1), KEY(7), "mine", look_again), CUDA_SUCCESS);
	CHECK_EQ(cudafront_cls_put(CTX(1), KEY(8), "no destructor", NULL), CUDA_SUCCESS);
	for (int i = 10; i < 110; i++)
		CHECK_EQ(cudafront_cls_put(CTX(1), KEY(i), "x", count), CUDA_SUCCESS);
	CHECK_EQ(cudafront_cls_put(CTX(2), KEY(7), "other", count), CUDA_SUCCESS);
	CHECK(holds(CTX(1), KEY(7), "mine"));
	cudafront_context_ended(CTX(1));
	CHECK_EQ(destroyed, 101);
	for (int i = 0; i < 110; i++)
		CHECK(misses(CTX(1), KEY(i)));
	CHECK(holds(CTX(2), KEY(7), "other"));
	cudafront_context_ended(CTX(1));
	CHECK_EQ(destroyed, 101);
	cudafront_context_ended(CTX(2));
	CHECK_EQ(destroyed, 102);
}

TEST(nothing_is_put_in_a_dead_context)
{
	dead[4] = true;
	CHECK_EQ(cudafront_cls_put(CTX(4), KEY(1), "a", count), CUDA_ERROR_INVALID_CONTEXT);
	CHECK(misses(CTX(4), KEY(1)));
	dead[4] = false;
	CHECK_EQ(cudafront_cls_put(CTX(4), KEY(1), "a", NULL), CUDA_SUCCESS);
	cudafront_context_ended(CTX(4));
}

static void *get_it(void *arg)
{
	CHECK(holds(CTX(1), KEY(1), "a"));
	return NULL;
}

TEST(values_belong_to_no_thread)
{
	pthread_t thread;

	CHECK_EQ(cudafront_cls_put(CTX(1), KEY(1), "a", count), CUDA_SUCCESS);
	pthread_create(&thread, NULL, get_it, NULL);
	pthread_join(thread, NULL);
	destroyed = 0;
	cudafront_context_ended(CTX(1));
	CHECK_EQ(destroyed, 1);
}

/* ---- many threads ---- */

#define THREADS 4
#define ROUNDS	20000

static atomic_int alive_values, wrong;

static void drop(CUcontext ctx, void *key, void *value)
{
	alive_values--;
}

/* Each thread has its own keys, so what it put is there until a context ends. */
static void *churn(void *arg)
{
	unsigned seed = (uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		CUcontext ctx = CTX(1 + rand_r(&seed) % 3);
		void *key = KEY(100 * (uintptr_t)arg + rand_r(&seed) % 4), *value = NULL;

		switch (rand_r(&seed) % 8) {
		case 0:
			if (cudafront_cls_get(&value, ctx, key)) {
				alive_values++;
				cudafront_cls_put(ctx, key, key, drop);
			}
			break;
		case 1:
			if (!cudafront_cls_delete(ctx, key))
				alive_values--;
			break;
		case 2:
			if (rand_r(&seed) % 64 == 0)
				cudafront_context_ended(ctx);
			break;
		default:
			if (!cudafront_cls_get(&value, ctx, key) && value != key)
				wrong++;
		}
	}
	return NULL;
}

TEST(threads_do_all_of_it_at_once)
{
	pthread_t threads[THREADS];

	alive_values = wrong = 0;
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, churn, (void *)(i + 1));
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 1; i <= 3; i++)
		cudafront_context_ended(CTX(i));
	CHECK_EQ(wrong, 0);
	CHECK_EQ(alive_values, 0);
}

/* A context dies and, at the same time, another thread puts: nothing is left over. */
static void *put_until_dead(void *arg)
{
	while (!cudafront_cls_put(CTX(5), KEY(1), "a", NULL))
		;
	return NULL;
}

TEST(a_put_races_with_the_end)
{
	for (int i = 0; i < 200; i++) {
		pthread_t thread;

		dead[5] = false;
		pthread_create(&thread, NULL, put_until_dead, NULL);
		dead[5] = true;
		cudafront_context_ended(CTX(5));
		CHECK(misses(CTX(5), KEY(1)));
		pthread_join(thread, NULL);
		CHECK(misses(CTX(5), KEY(1)));
	}
}

static atomic_bool stop_forking;

static void *put_always(void *arg)
{
	while (!stop_forking) {
		cudafront_cls_put(CTX(6), KEY(1), "a", NULL);
		cudafront_cls_delete(CTX(6), KEY(1));
	}
	return NULL;
}

TEST(a_forked_child_is_not_stuck)
{
	pthread_t thread;

	stop_forking = false;
	pthread_create(&thread, NULL, put_always, NULL);
	for (int i = 0; i < 50; i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			alarm(10);
			cudafront_cls_delete(CTX(6), KEY(1));
			_exit(0);
		}
		waitpid(pid, &status, 0);
		CHECK_EQ(status, 0);
	}
	stop_forking = true;
	pthread_join(thread, NULL);
}

TEST(a_get_is_quick)
{
	const int n = 2000000;
	struct timespec a, b;
	double ns;

	current = CTX(1);
	for (int i = 0; i < 10; i++)
		cudafront_cls_put(NULL, KEY(1000 * i), "a", NULL);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < n; i++) {
		void *value;

		cudafront_cls_get(&value, NULL, KEY(1000 * (i & 7)));
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	ns = ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / n;
	printf("# a get takes %.1f ns\n", ns);
	CHECK(ns < 2000); /* a lock or a system call would show, a busy machine not */
	cudafront_context_ended(CTX(1));
	current = NULL;
}

int main(int argc, char **argv)
{
	cudafront_init(&ops);
	return test_main(argc, argv);
}
