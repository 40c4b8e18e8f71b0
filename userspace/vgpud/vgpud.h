/* SPDX-License-Identifier: MIT */
/*
 * vgpud: what its files share. One thread does all of it (loop.h); beside it there
 * are a thread for each name that is being resolved (dial.h) and one for each
 * session that copies registered memory (copier.h).
 *
 *	intake		programs that come, by the module or the socket
 *	session		one of them: its life, what is said about it to its server
 *	attach		its data connection: made, lost, made again
 *	flow		its bytes, and when nobody looks for them
 *	upstream	a server: the control connection
 *	devices		which virtual GPU is which GPU of which server
 */
#ifndef VGPU_VGPUD_VGPUD_H
#define VGPU_VGPUD_VGPUD_H

#include <sys/queue.h>
#include "daemon/daemon.h"
#include "vgpud/config.h"
#include "vgpud/devices.h"
#include "vgpud/loop.h"
#include "vgpud/session.h"
#include "vgpud/upstream.h"

struct vgpu_intake;

TAILQ_HEAD(vgpu_session_list, vgpu_client);

struct vgpud {
	struct vgpu_loop	loop;
	const struct vgpu_config *config;
	char			hostname[64];
	struct vgpu_tls		*tls;		/* NULL: all servers are plain */
	struct vgpu_upstream	upstreams[VGPU_CONFIG_SERVERS];
	struct vgpu_devices	*devices;	/* NULL: no module */
	struct vgpu_intake	*intake;
	struct vgpu_status	*status;	/* NULL: none */
	struct vgpu_watch	status_watch;
	struct vgpu_watch	signals;
	bool			stop;

	struct vgpu_session_list sessions;	/* all, the oldest first */
	unsigned		nsessions;	/* with those that are over */
	struct vgpu_session_list active;	/* looked at in turn */
	unsigned		nactive;
	struct vgpu_session_list over;		/* to be freed */
};

/* ---- vgpud.c ---- */

/* Everything there is to have before the first program comes. -errno; it was logged. */
int vgpud_start(struct vgpud *d, const struct vgpu_config *config);
/* Serve until a signal ends it. */
void vgpud_run(struct vgpud *d);
/*
 * Programs over the socket lose their sessions. Those over the module do not: their
 * channels are frozen when this process ends, and the next vgpud goes on with them.
 */
void vgpud_stop(struct vgpud *d);

/* ---- intake.c ---- */

/* From where programs come. -errno; it was logged. */
int vgpu_intake_open(struct vgpud *d);
void vgpu_intake_close(struct vgpud *d);
bool vgpu_intake_has_module(const struct vgpud *d);

/* ---- describe.c ---- */

json_t *vgpu_describe(void *vgpud);

#endif /* VGPU_VGPUD_VGPUD_H */
