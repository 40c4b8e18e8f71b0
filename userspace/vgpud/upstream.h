/* SPDX-License-Identifier: MIT */
/*
 * A vgpu-server of the configuration, as vgpud has it: the control connection,
 * kept up for as long as vgpud runs, and what the server said of itself. What is
 * said about sessions goes to sessions.h.
 */
#ifndef VGPU_VGPUD_UPSTREAM_H
#define VGPU_VGPUD_UPSTREAM_H

#include "link/control.h"
#include "vgpud/config.h"
#include "vgpud/dial.h"
#include "vgpud/loop.h"

struct vgpud;

enum upstream_state {
	UPSTREAM_IDLE,		/* until .retry */
	UPSTREAM_DIALING,	/* a thread resolves the name */
	UPSTREAM_CONNECTING,
	UPSTREAM_GREETING,	/* TLS, then the hello */
	UPSTREAM_UP,
};

struct vgpu_upstream {
	struct vgpud		*vgpud;
	const struct vgpu_config_server *config;
	unsigned		index;
	char			host[VGPU_CONFIG_TEXT];	/* as its certificate has it */
	enum upstream_state	state;
	uint64_t		generation;	/* of control connections that were up */

	struct vgpu_dial	*dial;
	struct vgpu_watch	watch;
	int			socket;		/* while CONNECTING */
	struct vgpu_control_channel *control;
	bool			broken;		/* it cannot be sent on */
	struct vgpu_timer	timer;		/* the state takes too long; IDLE: try again */
	struct vgpu_timer	ping;
	struct vgpu_timer	missed;		/* it has been down for too long */
	unsigned		backoff;	/* ms */

	char			error[512];	/* why it is not up; empty: it is */
	bool			refused;	/* by TLS or the server: it is reached in vain */
	char			logged[512];
	char			peer[128];	/* where the connection leads, for others like it */
	int64_t			heard;		/* ns, when it said something */
	int64_t			pinged;		/* ns; 0: no answer is awaited */
	int64_t			rtt;		/* ns */
	uint64_t		requests;

	/* What its hello said. */
	bool			known;
	uint32_t		grace;
	uint8_t			nonce[VGPU_NONCE];
	unsigned		ngpus;
	struct {
		char		name[VGPU_NAME_MAX + 1];
		uint64_t	memory;
	}			gpus[VGPU_CONTROL_GPUS];
};

/* Begin to connect, in the background. */
void vgpu_upstream_start(struct vgpu_upstream *u, struct vgpud *d, unsigned index);
void vgpu_upstream_stop(struct vgpu_upstream *u);
/* Somebody waits for it: no pause before the next try. */
void vgpu_upstream_hurry(struct vgpu_upstream *u);
static inline bool vgpu_upstream_up(const struct vgpu_upstream *u)
{
	return u->state == UPSTREAM_UP && !u->broken;
}

/* Queue @m. What cannot be sent is lost with the connection, as if it were cut later. */
void vgpu_upstream_send(struct vgpu_upstream *u, const struct vgpu_control *m);
/* A number for a request. */
uint64_t vgpu_upstream_request(struct vgpu_upstream *u);

/* Certificates were read again: is the server's still good? If not, all that is its ends. */
void vgpu_upstream_recheck(struct vgpu_upstream *u);

/* Sessions have come or gone: the server is asked more often while there are any. */
void vgpu_upstream_watched(struct vgpu_upstream *u);

/* "tls", "ktls", "tcp"; empty: there is no connection. */
const char *vgpu_upstream_link(const struct vgpu_upstream *u);

/* Did connect() of @fd succeed? 0; -EAGAIN: it is under way, this was another's event; -errno. */
int vgpu_connected(int fd);

#endif /* VGPU_VGPUD_UPSTREAM_H */
