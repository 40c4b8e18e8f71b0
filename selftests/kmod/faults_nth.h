/* SPDX-License-Identifier: MIT */
/*
 * Faults made on purpose in system calls of this thread: an allocation or a copy
 * from or to user memory that fails. See Documentation/fault-injection of Linux.
 */
#ifndef VGPU_SELFTESTS_KMOD_FAULTS_NTH_H
#define VGPU_SELFTESTS_KMOD_FAULTS_NTH_H

#include <stdbool.h>

/* Have the kernel ready for it: 0 or -errno (-ENOENT: it was built without). */
int faults_init(void);

/* From now on the @nth place that can fail does, once. */
void faults_on(unsigned int nth);
/*
 * No more. Did it come to that? Asked again, the answer is the same until the next
 * faults_on().
 */
bool faults_off(void);
/* How many places faults_on() was short of, if it did not come to that. */
unsigned int faults_missing(void);

#endif /* VGPU_SELFTESTS_KMOD_FAULTS_NTH_H */
