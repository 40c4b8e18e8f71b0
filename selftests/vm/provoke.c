// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that does what a kernel must complain about: the parameter `what`
 * says which. Tests that tools/vm notices.
 */

#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>

static char *what = "";
module_param(what, charp, 0);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DECLARE_WAIT_QUEUE_HEAD(queue);

/* The compiler must not find out. */
static int size_of_array = 16;

static void warn(void)
{
	WARN(1, "on purpose");
}

/* SIGKILL does not end a process that waits here. */
static void hang(void)
{
	wait_event(queue, false);
}

static void lock_in_both_orders(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void write_behind(void)
{
	char *array = kmalloc(size_of_array, GFP_KERNEL);

	if (!array)
		return;
	OPTIMIZER_HIDE_VAR(array);
	array[size_of_array] = 1;
	kfree(array);
}

static void shift_too_far(void)
{
	int distance = 2 * size_of_array;

	OPTIMIZER_HIDE_VAR(distance);
	pr_info("%d\n", 1 << distance);
}

/* Ten, as some register or stack may remember one. */
static void leak(void)
{
	void *memory;
	int i;

	for (i = 0; i < 10; i++) {
		memory = kmalloc(size_of_array, GFP_KERNEL);
		OPTIMIZER_HIDE_VAR(memory);
	}
}

static const struct {
	const char *name;
	void (*do_it)(void);
} table[] = {
	{ "nothing", NULL },
	{ "warn", warn },
	{ "hang", hang },
	{ "lock", lock_in_both_orders },
	{ "write", write_behind },
	{ "shift", shift_too_far },
	{ "leak", leak },
};

static int __init provoke_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		if (strcmp(what, table[i].name))
			continue;
		if (table[i].do_it)
			table[i].do_it();
		return 0;
	}
	return -EINVAL;
}

static void __exit provoke_exit(void)
{
}

module_init(provoke_init);
module_exit(provoke_exit);
MODULE_DESCRIPTION("what a kernel must complain about");
MODULE_LICENSE("GPL");
