/* SPDX-License-Identifier: MIT */
/*
 * The control connection between a client host's vgpud and a vgpu-server: what
 * they say, and how it is read and written. A message is a length in four bytes,
 * little-endian, and a JSON object of that many; nothing else may be in it. There
 * is one connection for all sessions; it opens them, adopts those that a former
 * daemon opened, and says why one ended.
 *
 *	client			server
 *	hello		->
 *			<-	hello		version, GPUs, grace, nonce
 *	open		->
 *			<-	opened		id and secret, or a refusal
 *	adopt		->			with a proof of the secret
 *			<-	adopted		or a refusal
 *	close		->
 *			<-	ended		of its own accord
 *	ping		->
 *			<-	pong
 */
#ifndef VGPU_LINK_CONTROL_H
#define VGPU_LINK_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/vgpu.h>
#include "link/frame.h"
#include "link/stream.h"

#define VGPU_CONTROL_MAX	(64u << 10)	/* bytes of a message */
#define VGPU_CONTROL_GPUS	64
#define VGPU_CONTROL_TEXT	256
#define VGPU_NONCE		16

enum vgpu_control_type {
	VGPU_CONTROL_HELLO = 1,		/* client: .host; server: all of .hello */
	VGPU_CONTROL_OPEN,
	VGPU_CONTROL_OPENED,
	VGPU_CONTROL_ADOPT,
	VGPU_CONTROL_ADOPTED,
	VGPU_CONTROL_CLOSE,
	VGPU_CONTROL_ENDED,
	VGPU_CONTROL_PING,
	VGPU_CONTROL_PONG,
};

struct vgpu_control {
	enum vgpu_control_type	type;
	uint64_t		request;	/* open, adopt, answers: the client's number */
	uint8_t			session[VGPU_SESSION_ID];
	uint32_t		status;		/* opened, adopted: CUresult, 0: good */
	char			text[VGPU_CONTROL_TEXT];	/* why not; ended: why */
	union {
		struct {
			uint32_t	version;
			char		host[64];	/* who speaks, for logs */
			uint32_t	grace;		/* seconds */
			uint8_t		nonce[VGPU_NONCE];
			uint32_t	ngpus;
			struct {
				char		name[VGPU_NAME_MAX + 1];
				uint64_t	memory;
			}		gpus[VGPU_CONTROL_GPUS];
		} hello;
		struct {
			struct vgpu_ring_sizes	sizes;
			uint32_t	pid, uid;	/* of the app on its host, for logs */
			char		program[64];
			uint32_t	ngpus;
			struct {
				uint32_t	ordinal;	/* of the server's GPUs */
				uint32_t	number;		/* of /dev/vgpuN */
				uint8_t		uuid[16];	/* of the virtual GPU */
			}		gpus[VGPU_CHANNEL_DEVICES];
		} open;
		struct {
			uint8_t		secret[VGPU_SECRET];
		} opened;
		struct {
			uint8_t		proof[32];	/* HMAC-SHA256 by the secret of
							 * "adopt", session, nonce */
		} adopt;
	};
};

/* NULL, and *@c: @length bytes at @text are a good message; else what is wrong. */
const char *vgpu_control_parse(const char *text, size_t length, struct vgpu_control *c);
/* As text, to be freed; NULL: no memory. */
char *vgpu_control_format(const struct vgpu_control *c);
void vgpu_control_proof(const uint8_t *session, const uint8_t *secret, const uint8_t *nonce,
			uint8_t proof[32]);

/* ---- a connection of them (control.c); never blocks ---- */

struct vgpu_control_channel;

/* @s established or not (the handshake is done here); owned from here on. */
int vgpu_control_channel_create(struct vgpu_control_channel **out, struct vgpu_stream *s);
void vgpu_control_channel_close(struct vgpu_control_channel *c);
struct vgpu_stream *vgpu_control_channel_stream(struct vgpu_control_channel *c);
/* Send a message, at once or later; more than 1 MiB that nobody reads is -ENOBUFS. */
int vgpu_control_channel_send(struct vgpu_control_channel *c, const struct vgpu_control *m);
/*
 * Handshake, send what is queued, and take one message: 1; 0: none is there yet;
 * -EPIPE, -EPROTO (vgpu_control_channel_error() has a line).
 */
int vgpu_control_channel_step(struct vgpu_control_channel *c, struct vgpu_control *m);
short vgpu_control_channel_events(const struct vgpu_control_channel *c);
bool vgpu_control_channel_established(const struct vgpu_control_channel *c);
const char *vgpu_control_channel_error(const struct vgpu_control_channel *c);

#endif /* VGPU_LINK_CONTROL_H */
