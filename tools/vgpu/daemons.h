/* SPDX-License-Identifier: MIT */
/*
 * What vgpud and vgpu-server of this host say of themselves, as it was checked:
 * Documentation/status.md describes the documents and each member.
 *
 *	status.c	asking: from a socket to a JSON document
 *	daemons.c	from a document to these structs and back
 *	sessions.c	servers, sessions
 */
#ifndef VGPU_TOOL_DAEMONS_H
#define VGPU_TOOL_DAEMONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vgpu.h"

#define VGPU_VGPUD_STATUS	"/run/vgpu/vgpud.status"
#define VGPU_SERVER_STATUS	"/run/vgpu/server.status"

/* ---- status.c ---- */

/* Room for a line that says what is wrong. */
#define VGPU_WHY	320

/*
 * The document at @path, a new reference: 0; -ENOENT: nobody is there; else
 * -errno and why. A daemon that does not answer is waited for, but not for long.
 */
int vgpu_status_ask(const char *path, json_t **document, char why[VGPU_WHY]);

/* ---- daemons.c ---- */

#define VGPU_STATUS_NUMBERS	64

struct vgpu_numbers {
	unsigned	count;
	uint64_t	values[VGPU_STATUS_NUMBERS];
};

/* A server that vgpud knows. */
struct vgpu_far {
	char		name[64], address[256], state[16], error[512], link[16];
	uint64_t	rtt_us;
};

/* A session as its vgpud sees it, */
struct vgpu_near_session {
	char			id[33], program[64], server[64], state[16], link[16];
	uint64_t		pid, uid, bytes_out, bytes_in, attaches, seconds;
	struct vgpu_numbers	devices;
};

/* and as its server does. */
struct vgpu_far_session {
	char			id[33], client[256], identity[128], program[64];
	char			link[16], state[16];
	uint64_t		pid, uid, seconds, worker;
	struct vgpu_numbers	gpus;
};

struct vgpu_daemons {
	bool				vgpud, server;		/* said something */
	unsigned			nfars, nnears, nserved;
	struct vgpu_far			*fars;
	struct vgpu_near_session	*nears;			/* vgpud's sessions */
	struct vgpu_far_session		*served;		/* the server's */
};

/*
 * Take what a document of vgpud, or of vgpu-server, says. -EPROTO: it is no such
 * document, @why says where; then, and with -ENOMEM, @d is as before.
 */
int vgpu_daemons_take_vgpud(struct vgpu_daemons *d, const json_t *document, char why[VGPU_WHY]);
int vgpu_daemons_take_server(struct vgpu_daemons *d, const json_t *document, char why[VGPU_WHY]);
void vgpu_daemons_free(struct vgpu_daemons *d);

/*
 * Ask one of them, where the command line or custom has it: 0, -ENOENT: it is not
 * there; else -errno, and it was complained about. @d is zeroed before the first.
 */
int vgpu_daemons_ask_vgpud(struct vgpu_daemons *d, const struct vgpu_request *r);
int vgpu_daemons_ask_server(struct vgpu_daemons *d, const struct vgpu_request *r);

/* As JSON, with the members of the documents; NULL: no memory. */
json_t *vgpu_far_json(const struct vgpu_far *f);
json_t *vgpu_near_session_json(const struct vgpu_near_session *s);
json_t *vgpu_far_session_json(const struct vgpu_far_session *s);

/* ---- where a device leads (sessions.c) ---- */

struct vgpu_lead {
	struct vgpu_far	far;
	unsigned	sessions;	/* that use the device */
};

/* False: nobody says. A device of this host's own server leads to one named "local". */
bool vgpu_daemons_lead(const struct vgpu_daemons *d, const struct vgpu_nl_device *device,
		       struct vgpu_lead *lead);
json_t *vgpu_lead_json(const struct vgpu_lead *lead);

/* ---- tables (sessions.c) ---- */

int vgpu_servers_print(FILE *out, const struct vgpu_daemons *d);
int vgpu_near_sessions_print(FILE *out, const struct vgpu_daemons *d);
int vgpu_far_sessions_print(FILE *out, const struct vgpu_daemons *d);

#endif /* VGPU_TOOL_DAEMONS_H */
