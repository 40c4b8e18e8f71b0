/* SPDX-License-Identifier: MIT */
/* A driver for the tests of a worker: does what the test says, and counts. */
#ifndef SELFTESTS_SERVER_FAKE_DRIVER_H
#define SELFTESTS_SERVER_FAKE_DRIVER_H

#include "proto/cuda_api.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "gen/driver.h"

struct fake {
	_Atomic bool	busy;		/* streams and events are not ready */
	_Atomic bool	launch_waits;	/* a launch returns when no host function runs */
	_Atomic int	hostfns;	/* that run */
	_Atomic int	current_status;	/* of making a context current */
	_Atomic int	register_status; /* of locking memory of the worker's own */
	_Atomic int	copy_status;	/* of asynchronous copies */
	_Atomic int	memset_status;
	_Atomic int	copied;		/* copies to the device */
	_Atomic int	launched;
	_Atomic int	loaded;
	_Atomic int	devices;	/* there are; by number from FAKE_DEVICE on */
	_Atomic int	retained, released;	/* primary contexts */
	_Atomic int	created, ctx_destroyed;	/* others */
	_Atomic unsigned created_flags;	/* of the last one */
	_Atomic int	ended;		/* primary contexts that were reset */
	_Atomic int	waiting;	/* threads inside a synchronise */
	_Atomic int	destroyed;	/* streams and events */
	_Atomic int	waited_ended;	/* contexts that ended while one was */
	const char	*prints;	/* what a synchronise prints on fd 1 */
};
extern struct fake fake;

#define FAKE_DEVICE	100
#define FAKE_MEMORY	(2u << 20)
extern uint8_t fake_memory[FAKE_MEMORY];	/* of the device */

void fake_driver(struct vgpu_driver *d);

#endif /* SELFTESTS_SERVER_FAKE_DRIVER_H */
