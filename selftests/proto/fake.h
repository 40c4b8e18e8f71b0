/* SPDX-License-Identifier: MIT */
/*
 * A worker for tests of the generated decoders: its hooks and its driver (made
 * by vapigen --fakes) only look at every byte they are given, and remember it.
 */
#ifndef VGPU_SELFTESTS_PROTO_FAKE_H
#define VGPU_SELFTESTS_PROTO_FAKE_H

#include "gen/driver.h"

#define FAKE_BYTES	40	/* of each out bytes */
#define FAKE_DEVICES	2

extern struct vgpu_driver fake_driver;

extern CUresult fake_status;	/* what every hook and driver function returns */
extern const char *fake_name;	/* the last that was called; NULL: none */
extern unsigned fake_puts;	/* numbers that were bound to handles */
extern unsigned fake_ends;	/* handles that were ended, as their number was refused */

/* What the last call saw: a hash of its in arguments in their order. */
extern uint64_t fake_seen;

void fake_begin(const char *name);
void fake_see(const void *bytes, size_t length);
void fake_see_number(uint64_t n);

/* Handles of the driver are made of the client's numbers: these see the number. */
void fake_see_handle(const void *handle);
void *fake_handle(void);

/* Fill an out argument with 1, 2, 3, ...; its length. */
size_t fake_fill(void *out, size_t length);

#endif /* VGPU_SELFTESTS_PROTO_FAKE_H */
