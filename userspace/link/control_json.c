/* SPDX-License-Identifier: MIT */
/*
 * Messages of a control connection as text, and the proof of an adoption. How
 * they travel is in control.c.
 *
 * What comes is hostile: every member that a type of message needs must be there,
 * of its type, within its range, and printable ASCII if it is text; keys that are
 * not known are passed over. Binary is lower-case hexadecimal.
 */
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "link/control.h"

#define HEX_MAX		64	/* bytes of the longest binary member */

static const char *const types[] = {
	[VGPU_CONTROL_HELLO]	= "hello",
	[VGPU_CONTROL_OPEN]	= "open",
	[VGPU_CONTROL_OPENED]	= "opened",
	[VGPU_CONTROL_ADOPT]	= "adopt",
	[VGPU_CONTROL_ADOPTED]	= "adopted",
	[VGPU_CONTROL_CLOSE]	= "close",
	[VGPU_CONTROL_ENDED]	= "ended",
	[VGPU_CONTROL_PING]	= "ping",
	[VGPU_CONTROL_PONG]	= "pong",
};

#define TYPES	(sizeof(types) / sizeof(types[0]))

/* ---- members of an object, checked ---- */

/*
 * Reads on after a mistake, but does no harm, and remembers the first: so that
 * what is read is a list of members and nothing else.
 */
struct reader {
	const char	*wrong;		/* NULL: nothing yet */
};

static void fail(struct reader *r, const char *wrong)
{
	if (!r->wrong)
		r->wrong = wrong;
}

static uint64_t get_number(struct reader *r, json_t *o, const char *key, uint64_t most,
			   const char *wrong)
{
	json_t *v = json_object_get(o, key);

	if (json_is_integer(v) && json_integer_value(v) >= 0 &&
	    (uint64_t)json_integer_value(v) <= most)
		return json_integer_value(v);
	fail(r, wrong);
	return 0;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static void get_text(struct reader *r, json_t *o, const char *key, char *to, size_t room,
		     const char *wrong)
{
	json_t *v = json_object_get(o, key);

	if (!json_is_string(v) || json_string_length(v) >= room ||
	    !is_printable(json_string_value(v))) {
		fail(r, wrong);
		return;
	}
	memcpy(to, json_string_value(v), json_string_length(v) + 1);
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void get_bytes(struct reader *r, json_t *o, const char *key, uint8_t *to, size_t n,
		      const char *wrong)
{
	json_t *v = json_object_get(o, key);
	const char *text = json_string_value(v);

	if (!text || json_string_length(v) != 2 * n) {
		fail(r, wrong);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			fail(r, wrong);
		to[i] = (unsigned int)high << 4 | ((unsigned int)low & 15);
	}
}

/* How many there are, 1 to @most; 0: it is not such an array. */
static size_t get_array(struct reader *r, json_t *o, const char *key, size_t most,
			const char *wrong)
{
	json_t *v = json_object_get(o, key);
	size_t n = json_is_array(v) ? json_array_size(v) : 0;

	if (n && n <= most)
		return n;
	fail(r, wrong);
	return 0;
}

/* ---- reading each type ---- */

static void read_gpus(struct reader *r, json_t *o, struct vgpu_control *c)
{
	json_t *gpus = json_object_get(o, "gpus");

	c->hello.ngpus = get_array(r, o, "gpus", VGPU_CONTROL_GPUS,
				   "\"gpus\" is not a list of 1 to 64");
	for (uint32_t i = 0; i < c->hello.ngpus; i++) {
		json_t *gpu = json_array_get(gpus, i);

		get_text(r, gpu, "name", c->hello.gpus[i].name, sizeof(c->hello.gpus[i].name),
			 "a GPU has no good \"name\"");
		c->hello.gpus[i].memory = get_number(r, gpu, "memory", INT64_MAX,
						     "a GPU has no good \"memory\"");
	}
}

/* A client's has no GPUs, nor what else only a server says. */
static void read_hello(struct reader *r, json_t *o, struct vgpu_control *c)
{
	c->hello.version = get_number(r, o, "version", UINT32_MAX, "no good \"version\"");
	get_text(r, o, "host", c->hello.host, sizeof(c->hello.host), "no good \"host\"");
	if (!json_object_get(o, "gpus"))
		return;
	c->hello.grace = get_number(r, o, "grace", UINT32_MAX, "no good \"grace\"");
	get_bytes(r, o, "nonce", c->hello.nonce, VGPU_NONCE, "no good \"nonce\"");
	read_gpus(r, o, c);
}

static uint32_t get_ring(struct reader *r, json_t *o, const char *key)
{
	static const char wrong[] = "a ring size that no channel has";
	uint32_t size = get_number(r, o, key, VGPU_RING_MAX, wrong);

	if (size < VGPU_RING_MIN || (size & (size - 1)))
		fail(r, wrong);
	return size;
}

static void read_open(struct reader *r, json_t *o, struct vgpu_control *c)
{
	json_t *rings = json_object_get(o, "rings"), *gpus = json_object_get(o, "gpus");

	c->open.sizes.sq = get_ring(r, rings, "sq");
	c->open.sizes.cq = get_ring(r, rings, "cq");
	c->open.sizes.up = get_ring(r, rings, "up");
	c->open.sizes.down = get_ring(r, rings, "down");
	c->open.pid = get_number(r, o, "pid", INT32_MAX, "no good \"pid\"");
	c->open.uid = get_number(r, o, "uid", UINT32_MAX, "no good \"uid\"");
	get_text(r, o, "program", c->open.program, sizeof(c->open.program), "no good \"program\"");
	c->open.ngpus = get_array(r, o, "gpus", VGPU_CHANNEL_DEVICES,
				  "\"gpus\" is not a list of 1 to 16");
	for (uint32_t i = 0; i < c->open.ngpus; i++) {
		json_t *gpu = json_array_get(gpus, i);

		c->open.gpus[i].ordinal = get_number(r, gpu, "ordinal", VGPU_CONTROL_GPUS - 1,
						     "a GPU has no good \"ordinal\"");
		c->open.gpus[i].number = get_number(r, gpu, "number", VGPU_MINORS - 1,
						    "a GPU has no good \"number\"");
		get_bytes(r, gpu, "uuid", c->open.gpus[i].uuid, 16, "a GPU has no good \"uuid\"");
	}
}

static void read_session(struct reader *r, json_t *o, struct vgpu_control *c)
{
	get_bytes(r, o, "session", c->session, VGPU_SESSION_ID, "no good \"session\"");
}

static void read_text(struct reader *r, json_t *o, struct vgpu_control *c)
{
	get_text(r, o, "text", c->text, sizeof(c->text), "no good \"text\"");
}

/* The answers: good, or a status and why. */
static void read_status(struct reader *r, json_t *o, struct vgpu_control *c)
{
	c->status = get_number(r, o, "status", INT32_MAX, "no good \"status\"");
	if (c->status)
		read_text(r, o, c);
	else
		read_session(r, o, c);
}

static void read_members(struct reader *r, json_t *o, struct vgpu_control *c)
{
	if (c->type != VGPU_CONTROL_HELLO && c->type != VGPU_CONTROL_CLOSE &&
	    c->type != VGPU_CONTROL_ENDED)
		c->request = get_number(r, o, "request", INT64_MAX, "no good \"request\"");
	switch (c->type) {
	case VGPU_CONTROL_HELLO:
		read_hello(r, o, c);
		break;
	case VGPU_CONTROL_OPEN:
		read_open(r, o, c);
		break;
	case VGPU_CONTROL_OPENED:
		read_status(r, o, c);
		if (!c->status)
			get_bytes(r, o, "secret", c->opened.secret, VGPU_SECRET,
				  "no good \"secret\"");
		break;
	case VGPU_CONTROL_ADOPT:
		read_session(r, o, c);
		get_bytes(r, o, "proof", c->adopt.proof, 32, "no good \"proof\"");
		break;
	case VGPU_CONTROL_ADOPTED:
		read_status(r, o, c);
		break;
	case VGPU_CONTROL_ENDED:
		read_session(r, o, c);
		read_text(r, o, c);
		break;
	case VGPU_CONTROL_CLOSE:
		read_session(r, o, c);
		break;
	case VGPU_CONTROL_PING:
	case VGPU_CONTROL_PONG:
		break;
	}
}

static enum vgpu_control_type read_type(struct reader *r, json_t *o)
{
	const char *text = json_string_value(json_object_get(o, "type"));

	for (size_t i = VGPU_CONTROL_HELLO; text && i < TYPES; i++)
		if (!strcmp(text, types[i]))
			return i;
	fail(r, "a type of message that is not known");
	return VGPU_CONTROL_PING;
}

const char *vgpu_control_parse(const char *text, size_t length, struct vgpu_control *c)
{
	struct reader r = {};
	json_t *o;

	memset(c, 0, sizeof(*c));
	if (length > VGPU_CONTROL_MAX)
		return "longer than a message may be";
	o = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		return "not a JSON object";
	}
	c->type = read_type(&r, o);
	if (!r.wrong)
		read_members(&r, o, c);
	json_decref(o);
	return r.wrong;
}

/* ---- writing: NULL is out of memory, which whatever it is put into passes on ---- */

/* Names of programs may be anything; what nobody would read is not sent. */
static json_t *text(const char *t)
{
	char clean[VGPU_CONTROL_TEXT];

	snprintf(clean, sizeof(clean), "%s", t);
	for (char *c = clean; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return json_string(clean);
}

static json_t *number(uint64_t n)
{
	return json_integer(n);
}

static json_t *hex(const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char t[2 * HEX_MAX];

	for (size_t i = 0; i < n; i++) {
		t[2 * i] = digits[bytes[i] >> 4];
		t[2 * i + 1] = digits[bytes[i] & 15];
	}
	return json_stringn(t, 2 * n);
}

/* @item is one more of *@list, which is NULL from a mishap on. */
static void append(json_t **list, json_t *item)
{
	if (!json_array_append_new(*list, item))
		return;
	json_decref(*list);
	*list = NULL;
}

static json_t *write_hello(const struct vgpu_control *c)
{
	json_t *gpus;

	if (!c->hello.ngpus)
		return json_pack("{so so}", "version", number(c->hello.version),
				 "host", text(c->hello.host));
	gpus = json_array();
	for (uint32_t i = 0; i < c->hello.ngpus; i++)
		append(&gpus, json_pack("{so so}", "name", text(c->hello.gpus[i].name),
					"memory", number(c->hello.gpus[i].memory)));
	return json_pack("{so so so so so}", "version", number(c->hello.version),
			 "host", text(c->hello.host), "grace", number(c->hello.grace),
			 "nonce", hex(c->hello.nonce, VGPU_NONCE), "gpus", gpus);
}

static json_t *write_rings(const struct vgpu_ring_sizes *s)
{
	return json_pack("{so so so so}", "sq", number(s->sq), "cq", number(s->cq),
			 "up", number(s->up), "down", number(s->down));
}

static json_t *write_open(const struct vgpu_control *c)
{
	json_t *gpus = json_array();

	for (uint32_t i = 0; i < c->open.ngpus; i++)
		append(&gpus, json_pack("{so so so}", "ordinal", number(c->open.gpus[i].ordinal),
					"number", number(c->open.gpus[i].number),
					"uuid", hex(c->open.gpus[i].uuid, 16)));
	return json_pack("{so so so so so so}", "request", number(c->request),
			 "rings", write_rings(&c->open.sizes), "pid", number(c->open.pid),
			 "uid", number(c->open.uid), "program", text(c->open.program),
			 "gpus", gpus);
}

/* An answer that is no. */
static json_t *write_refusal(const struct vgpu_control *c)
{
	return json_pack("{so so so}", "request", number(c->request), "status", number(c->status),
			 "text", text(c->text));
}

static json_t *write_opened(const struct vgpu_control *c)
{
	return json_pack("{so so so so}", "request", number(c->request), "status", number(0),
			 "session", hex(c->session, VGPU_SESSION_ID),
			 "secret", hex(c->opened.secret, VGPU_SECRET));
}

static json_t *write_adopt(const struct vgpu_control *c)
{
	return json_pack("{so so so}", "request", number(c->request),
			 "session", hex(c->session, VGPU_SESSION_ID),
			 "proof", hex(c->adopt.proof, sizeof(c->adopt.proof)));
}

static json_t *write_adopted(const struct vgpu_control *c)
{
	return json_pack("{so so so}", "request", number(c->request), "status", number(0),
			 "session", hex(c->session, VGPU_SESSION_ID));
}

static json_t *write_members(const struct vgpu_control *c)
{
	switch (c->type) {
	case VGPU_CONTROL_HELLO:
		return write_hello(c);
	case VGPU_CONTROL_OPEN:
		return write_open(c);
	case VGPU_CONTROL_OPENED:
		return c->status ? write_refusal(c) : write_opened(c);
	case VGPU_CONTROL_ADOPT:
		return write_adopt(c);
	case VGPU_CONTROL_ADOPTED:
		return c->status ? write_refusal(c) : write_adopted(c);
	case VGPU_CONTROL_CLOSE:
		return json_pack("{so}", "session", hex(c->session, VGPU_SESSION_ID));
	case VGPU_CONTROL_ENDED:
		return json_pack("{so so}", "session", hex(c->session, VGPU_SESSION_ID),
				 "text", text(c->text));
	case VGPU_CONTROL_PING:
	case VGPU_CONTROL_PONG:
		return json_pack("{so}", "request", number(c->request));
	}
	return NULL;
}

char *vgpu_control_format(const struct vgpu_control *c)
{
	json_t *o = write_members(c);
	char *t = NULL;

	if (!json_object_set_new(o, "type", text(types[c->type])))
		t = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return t;
}

/* ---- proof ---- */

void vgpu_control_proof(const uint8_t *session, const uint8_t *secret, const uint8_t *nonce,
			uint8_t proof[32])
{
	uint8_t what[5 + VGPU_SESSION_ID + VGPU_NONCE];
	unsigned int length = 32;

	memcpy(what, "adopt", 5);
	memcpy(what + 5, session, VGPU_SESSION_ID);
	memcpy(what + 5 + VGPU_SESSION_ID, nonce, VGPU_NONCE);
	if (!HMAC(EVP_sha256(), secret, VGPU_SECRET, what, sizeof(what), proof, &length))
		abort();	/* out of memory, with nothing to go on with */
}
