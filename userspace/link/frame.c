/* SPDX-License-Identifier: MIT */
/* The checks of what comes from the network, before anything is done with it. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <string.h>
#include "link/frame.h"

_Static_assert(sizeof(struct vgpu_preface) == 72, "fixed");
_Static_assert(sizeof(struct vgpu_frame) == 16, "fixed");
_Static_assert(sizeof(struct vgpu_resume) == 56, "fixed");
_Static_assert(sizeof(struct vgpu_publish) == 40, "fixed");
_Static_assert(sizeof(struct vgpu_pull_wire) == 32, "fixed");

/* ---- preface ---- */

static const uint8_t nothing[VGPU_SESSION_ID + sizeof(uint64_t) + 32];

const char *vgpu_preface_check(const struct vgpu_preface *p)
{
	if (p->magic != VGPU_PREFACE_MAGIC)
		return "this is no vgpu connection";
	if (p->version != VGPU_WIRE_VERSION)
		return "the two hosts have versions of vgpu that do not go together";
	if (p->flags & ~(VGPU_PREFACE_PLAIN | VGPU_PREFACE_VERBS) || p->reserved)
		return "the preface has unknown flags";
	if (p->kind == VGPU_PREFACE_SESSION)
		return p->epoch ? NULL : "the preface has no epoch";
	if (p->kind != VGPU_PREFACE_CONTROL)
		return "the preface is of an unknown kind";
	return memcmp(p->session, nothing, sizeof(nothing)) ?
		"the preface of a control connection names a session" : NULL;
}

static void prove(const struct vgpu_preface *p, const uint8_t *secret, uint8_t *proof)
{
	unsigned int length = sizeof(p->proof);

	HMAC(EVP_sha256(), secret, VGPU_SECRET, (const uint8_t *)p,
	     offsetof(struct vgpu_preface, proof), proof, &length);
}

void vgpu_preface_session(struct vgpu_preface *p, const uint8_t *session,
			  const uint8_t *secret, uint64_t epoch, uint32_t flags)
{
	*p = (struct vgpu_preface){
		.magic = VGPU_PREFACE_MAGIC, .version = VGPU_WIRE_VERSION,
		.kind = VGPU_PREFACE_SESSION, .flags = flags, .epoch = epoch,
	};
	memcpy(p->session, session, sizeof(p->session));
	prove(p, secret, p->proof);
}

int vgpu_preface_proves(const struct vgpu_preface *p, const uint8_t *secret)
{
	uint8_t proof[sizeof(p->proof)];

	prove(p, secret, proof);
	return !CRYPTO_memcmp(proof, p->proof, sizeof(proof));
}

/* ---- frames ---- */

#define FROM_CLIENT	(1u << VGPU_ROLE_CLIENT)
#define FROM_WORKER	(1u << VGPU_ROLE_WORKER)
#define FROM_BOTH	(FROM_CLIENT | FROM_WORKER)

static const struct form {
	uint32_t	body;
	uint32_t	payload_min, payload_max;
	uint8_t		from;
	bool		at;		/* it counts something; zero is nothing */
	bool		position;	/* it is a position: any */
} forms[VGPU_FRAME_TYPES] = {
	[VGPU_FRAME_RESUME] = {
		.body = sizeof(struct vgpu_resume), .from = FROM_BOTH,
	},
	[VGPU_FRAME_PUT] = {
		.payload_min = 1, .payload_max = VGPU_FRAME_PAYLOAD, .from = FROM_BOTH,
		.position = true,
	},
	[VGPU_FRAME_PUBLISH] = {
		.body = sizeof(struct vgpu_publish), .from = FROM_BOTH,
	},
	[VGPU_FRAME_PULL] = {
		.body = sizeof(struct vgpu_pull_wire), .from = FROM_WORKER, .at = true,
	},
	[VGPU_FRAME_DATA] = {
		.body = sizeof(struct vgpu_data_wire), .payload_min = 1,
		.payload_max = VGPU_FRAME_PAYLOAD, .from = FROM_CLIENT, .at = true,
	},
	[VGPU_FRAME_STORE] = {
		.body = sizeof(struct vgpu_store_wire), .payload_min = 1,
		.payload_max = VGPU_FRAME_PAYLOAD, .from = FROM_WORKER, .at = true,
	},
	[VGPU_FRAME_FAILED] = {
		.body = sizeof(struct vgpu_failed_wire), .from = FROM_CLIENT, .at = true,
	},
	[VGPU_FRAME_FORGET] = { .from = FROM_WORKER, .at = true },
	[VGPU_FRAME_BYE] = { .payload_max = VGPU_BYE_TEXT, .from = FROM_BOTH },
};

size_t vgpu_frame_body(unsigned int type)
{
	return type < VGPU_FRAME_TYPES ? forms[type].body : 0;
}

const char *vgpu_frame_check(const struct vgpu_frame *f, enum vgpu_role sender)
{
	const struct form *form = &forms[f->type < VGPU_FRAME_TYPES ? f->type : 0];

	if (!form->from)
		return "frame of an unknown type";
	if (!(form->from & 1u << sender))
		return "frame that only the other side may send";
	if (f->flags || f->lane >= (f->type == VGPU_FRAME_PUT ? VGPU_LANES : 1))
		return "frame with an unknown flag or lane";
	if (f->length < form->body + form->payload_min ||
	    f->length > form->body + form->payload_max)
		return "frame of an impossible length";
	if (!form->position && form->at != (f->at != 0))
		return "frame that counts wrongly";
	return NULL;
}
