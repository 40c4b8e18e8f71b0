/* SPDX-License-Identifier: MIT */
/*
 * A session: one channel, the worker at its other end, and the devices it
 * serves. A process has one for each server; the first is opened by cuInit().
 */
#ifndef LIBCUDA_SESSION_H
#define LIBCUDA_SESSION_H

#include "proto/cuda_api.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "channel/channel.h"
#include "libcuda/early.h"
#include "proto/proto.h"

struct vgpu_wait;		/* submit.c: a thread that waits for a completion */
struct vgpu_transfer;		/* submit.h: where bytes of down go */

#define VGPU_SESSION_CQ_SIZE	(64u << 10)

struct vgpu_session {
	struct vgpu_channel	*channel;
	int			driver_version;
	int			ndevices;
	bool			remote;		/* VGPU_FEATURE_REMOTE */
	_Atomic bool		mourned;	/* that it is lost was said */
	_Atomic uint64_t	nearest;	/* ns: the shortest that an answer took */
	struct vgpu_early	early;

	pthread_mutex_t		submit;		/* producer of sq, and .building */
	void			*building;	/* the record begun and not committed */
	pthread_mutex_t		upload;		/* producer of up; taken before submit */
	bool			stalled;	/* no room came in time; with upload */

	pthread_mutex_t		receive;	/* consumer of cq and down, and .record */
	pthread_mutex_t		waits;		/* lists of waits and transfers */
	struct vgpu_wait	*waiting;
	struct vgpu_transfer	*transfers;
	_Atomic uint64_t	next_transfer;
	void			*record;	/* private copy of the record at hand */
	size_t			record_room;
};

/* A device as the app counts them (CUDA_VISIBLE_DEVICES applied). */
struct vgpu_device {
	struct vgpu_session	*session;
	int			ordinal;	/* at the session */
	uint64_t		primary;	/* handle of the primary context */
	struct vgpu_device_info	info;
};

/*
 * Open the session(s) and learn the devices, once a process. What vgpu_connect()
 * returns if it fails; what a server refuses with, if it does.
 */
CUresult vgpu_session_init(void);

/* After a good vgpu_session_init(). */
int vgpu_device_count(void);
struct vgpu_device *vgpu_device_get(CUdevice dev);	/* NULL: no such device */

/* This process is a fork child of the one that opened the session. */
extern bool vgpu_forked;

#endif /* LIBCUDA_SESSION_H */
