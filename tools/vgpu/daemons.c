/* SPDX-License-Identifier: MIT */
/*
 * What daemons say, taken out of their documents member by member: nothing goes on
 * that has another type or is larger than it may be. One table for each kind of
 * object serves to read and to write it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "daemons.h"

#define VERSION		1
#define OBJECTS		16384		/* of an array */

enum kind { TEXT, NUMBER, NUMBERS };

struct field {
	const char	*name;
	enum kind	kind;
	size_t		offset, room;
};

#define FIELD(type, kind, member) \
	{ #member, kind, offsetof(struct type, member), sizeof(((struct type *)0)->member) }

static const struct field far_fields[] = {
	FIELD(vgpu_far, TEXT, name),
	FIELD(vgpu_far, TEXT, address),
	FIELD(vgpu_far, TEXT, state),
	FIELD(vgpu_far, TEXT, error),
	FIELD(vgpu_far, NUMBER, rtt_us),
	FIELD(vgpu_far, TEXT, link),
	{}
};

static const struct field near_session_fields[] = {
	FIELD(vgpu_near_session, TEXT, id),
	FIELD(vgpu_near_session, NUMBER, pid),
	FIELD(vgpu_near_session, NUMBER, uid),
	FIELD(vgpu_near_session, TEXT, program),
	FIELD(vgpu_near_session, NUMBERS, devices),
	FIELD(vgpu_near_session, TEXT, server),
	FIELD(vgpu_near_session, TEXT, state),
	FIELD(vgpu_near_session, TEXT, link),
	FIELD(vgpu_near_session, NUMBER, bytes_out),
	FIELD(vgpu_near_session, NUMBER, bytes_in),
	FIELD(vgpu_near_session, NUMBER, attaches),
	FIELD(vgpu_near_session, NUMBER, seconds),
	{}
};

static const struct field far_session_fields[] = {
	FIELD(vgpu_far_session, TEXT, id),
	FIELD(vgpu_far_session, TEXT, client),
	FIELD(vgpu_far_session, TEXT, identity),
	FIELD(vgpu_far_session, NUMBER, pid),
	FIELD(vgpu_far_session, NUMBER, uid),
	FIELD(vgpu_far_session, TEXT, program),
	FIELD(vgpu_far_session, NUMBERS, gpus),
	FIELD(vgpu_far_session, TEXT, link),
	FIELD(vgpu_far_session, TEXT, state),
	FIELD(vgpu_far_session, NUMBER, seconds),
	FIELD(vgpu_far_session, NUMBER, worker),
	{}
};

/* ---- reading: NULL, or what is wrong ---- */

static const char *number_take(const json_t *from, uint64_t *to)
{
	if (!json_is_integer(from))
		return "not a whole number";
	if (json_integer_value(from) < 0)
		return "less than zero";
	*to = json_integer_value(from);
	return NULL;
}

static const char *numbers_take(const json_t *from, struct vgpu_numbers *to)
{
	const char *wrong = NULL;

	if (!json_is_array(from))
		return "not an array";
	if (json_array_size(from) > VGPU_STATUS_NUMBERS)
		return "too long";
	to->count = json_array_size(from);
	for (unsigned i = 0; i < to->count && !wrong; i++)
		wrong = number_take(json_array_get(from, i), &to->values[i]);
	return wrong;
}

static const char *text_take(const json_t *from, char *to, size_t room)
{
	if (!json_is_string(from))
		return "not a string";
	if (json_string_length(from) >= room)
		return "too long";
	strcpy(to, json_string_value(from));
	return NULL;
}

static const char *field_take(const struct field *f, const json_t *from, void *object)
{
	void *to = (char *)object + f->offset;

	if (!from)
		return "missing";
	switch (f->kind) {
	case TEXT:
		return text_take(from, to, f->room);
	case NUMBER:
		return number_take(from, to);
	default:
		return numbers_take(from, to);
	}
}

static int complain(char why[VGPU_WHY], const char *array, size_t i, const char *member,
		    const char *wrong)
{
	snprintf(why, VGPU_WHY, "%s[%zu]%s%s is %s", array, i, *member ? "." : "", member, wrong);
	return -EPROTO;
}

static int object_take(const json_t *from, const struct field *f, void *object,
		       const char *array, size_t i, char why[VGPU_WHY])
{
	if (!json_is_object(from))
		return complain(why, array, i, "", "not an object");
	for (; f->name; f++) {
		const char *wrong = field_take(f, json_object_get(from, f->name), object);

		if (wrong)
			return complain(why, array, i, f->name, wrong);
	}
	return 0;
}

/* The member @name of @document: memory for *@count objects of @size bytes, filled. */
static int array_take(const json_t *document, const char *name, const struct field *fields,
		      size_t size, void **objects, unsigned *count, char why[VGPU_WHY])
{
	const json_t *array = json_object_get(document, name);
	const size_t n = json_array_size(array);
	char *to;
	int err = 0;

	if (!json_is_array(array) || n > OBJECTS) {
		snprintf(why, VGPU_WHY, "%s is %s", name, n ? "too long" : "not an array");
		return -EPROTO;
	}
	to = calloc(n ? n : 1, size);
	if (!to) {
		snprintf(why, VGPU_WHY, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (size_t i = 0; i < n && !err; i++)
		err = object_take(json_array_get(array, i), fields, to + i * size, name, i, why);
	if (err) {
		free(to);
		return err;
	}
	*objects = to;
	*count = n;
	return 0;
}

static int head_check(const json_t *document, const char *daemon, char why[VGPU_WHY])
{
	const char *name = json_string_value(json_object_get(document, "daemon"));
	const json_t *version = json_object_get(document, "version");

	if (!name || strcmp(name, daemon)) {
		snprintf(why, VGPU_WHY, "that is not %s", daemon);
		return -EPROTO;
	}
	if (!json_is_integer(version) || json_integer_value(version) != VERSION) {
		snprintf(why, VGPU_WHY, "it is of another version than this command");
		return -EPROTO;
	}
	return 0;
}

int vgpu_daemons_take_vgpud(struct vgpu_daemons *d, const json_t *document, char why[VGPU_WHY])
{
	void *fars, *nears;
	unsigned nfars, nnears;
	int err;

	err = head_check(document, "vgpud", why);
	if (!err)
		err = array_take(document, "servers", far_fields, sizeof(*d->fars), &fars, &nfars,
				 why);
	if (err)
		return err;
	err = array_take(document, "sessions", near_session_fields, sizeof(*d->nears), &nears,
			 &nnears, why);
	if (err) {
		free(fars);
		return err;
	}
	free(d->fars);
	free(d->nears);
	d->vgpud = true;
	d->fars = fars;
	d->nfars = nfars;
	d->nears = nears;
	d->nnears = nnears;
	return 0;
}

int vgpu_daemons_take_server(struct vgpu_daemons *d, const json_t *document, char why[VGPU_WHY])
{
	void *served;
	unsigned nserved;
	int err;

	err = head_check(document, "vgpu-server", why);
	if (!err)
		err = array_take(document, "sessions", far_session_fields, sizeof(*d->served),
				 &served, &nserved, why);
	if (err)
		return err;
	free(d->served);
	d->server = true;
	d->served = served;
	d->nserved = nserved;
	return 0;
}

void vgpu_daemons_free(struct vgpu_daemons *d)
{
	free(d->fars);
	free(d->nears);
	free(d->served);
	*d = (struct vgpu_daemons){};
}

/* ---- asking ---- */

static int ask(struct vgpu_daemons *d, const char *path, const char *daemon,
	       int (*take)(struct vgpu_daemons *d, const json_t *document, char why[VGPU_WHY]))
{
	char why[VGPU_WHY], text[VGPU_CLEAN_TEXT(VGPU_WHY)];
	json_t *document;
	int err = vgpu_status_ask(path, &document, why);

	if (!err) {
		err = take(d, document, why);
		json_decref(document);
	}
	if (err && err != -ENOENT)
		vgpu_complain("cannot ask %s at %s: %s", daemon, path,
			      vgpu_text_clean(why, text, sizeof(text)));
	return err;
}

int vgpu_daemons_ask_vgpud(struct vgpu_daemons *d, const struct vgpu_request *r)
{
	return ask(d, r->vgpud_status ? r->vgpud_status : VGPU_VGPUD_STATUS, "vgpud",
		   vgpu_daemons_take_vgpud);
}

int vgpu_daemons_ask_server(struct vgpu_daemons *d, const struct vgpu_request *r)
{
	return ask(d, r->server_status ? r->server_status : VGPU_SERVER_STATUS, "vgpu-server",
		   vgpu_daemons_take_server);
}

/* ---- writing ---- */

static json_t *text_json(const char *in)
{
	char text[VGPU_CLEAN_TEXT(512)];

	return json_string(vgpu_text_clean(in, text, sizeof(text)));
}

static json_t *numbers_json(const struct vgpu_numbers *n)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < n->count && array; i++)
		if (json_array_append_new(array, json_integer(n->values[i]))) {
			json_decref(array);
			array = NULL;
		}
	return array;
}

static json_t *field_json(const struct field *f, const void *object)
{
	const void *from = (const char *)object + f->offset;

	switch (f->kind) {
	case TEXT:
		return text_json(from);
	case NUMBER:
		return json_integer(*(const uint64_t *)from);
	default:
		return numbers_json(from);
	}
}

static json_t *object_json(const struct field *f, const void *object)
{
	json_t *json = json_object();

	for (; f->name && json; f++)
		if (json_object_set_new(json, f->name, field_json(f, object))) {
			json_decref(json);
			json = NULL;
		}
	return json;
}

json_t *vgpu_far_json(const struct vgpu_far *f)
{
	return object_json(far_fields, f);
}

json_t *vgpu_near_session_json(const struct vgpu_near_session *s)
{
	return object_json(near_session_fields, s);
}

json_t *vgpu_far_session_json(const struct vgpu_far_session *s)
{
	return object_json(far_session_fields, s);
}
