/* SPDX-License-Identifier: MIT */
/* How vgpud is, for whoever asks: Documentation/status.md says what is in it. */
#include <stdio.h>
#include "vgpud/vgpud.h"

#define NS	1000000000ll

static const char *upstream_state(const struct vgpu_upstream *u)
{
	return u->state == UPSTREAM_UP ? "up" : "connecting";
}

static json_t *describe_upstream(const struct vgpu_upstream *u)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "name", u->config->name, "address",
			 u->config->address, "state", upstream_state(u), "error", u->error,
			 "rtt_us", (json_int_t)(u->rtt / 1000), "link", vgpu_upstream_link(u));
}

static const char *session_state(const struct vgpu_client *s)
{
	switch (s->state) {
	case SESSION_CONNECTING:
		return "connecting";
	case SESSION_RUNNING:
		return "running";
	case SESSION_LOST:
		return "lost";
	default:
		return "opening";
	}
}

static void id_text(const struct vgpu_client *s, char text[2 * VGPU_SESSION_ID + 1])
{
	text[0] = 0;
	for (int i = 0; s->opened && i < VGPU_SESSION_ID; i++)
		snprintf(text + 2 * i, 3, "%02x", s->id[i]);
}

static json_t *describe_devices(const struct vgpu_client *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; s->module >= 0 && i < s->gpus.count; i++)
		json_array_append_new(list, json_integer(s->gpus.gpus[i].number));
	return list;
}

static json_t *describe_session(const struct vgpu_client *s)
{
	struct vgpu_mirror_stats stats = {};
	const char *link = "";
	char id[2 * VGPU_SESSION_ID + 1];

	id_text(s, id);
	if (s->mirror)
		vgpu_mirror_stats(s->mirror, &stats);
	if (s->mirror && vgpu_mirror_attached(s->mirror))
		link = vgpu_stream_kind(vgpu_mirror_stream(s->mirror));
	return json_pack("{s:s, s:I, s:I, s:s, s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "id", id,
			 "pid", (json_int_t)s->pid, "uid", (json_int_t)s->uid, "program",
			 s->program, "devices", describe_devices(s), "server",
			 s->upstream->config->name, "state", session_state(s), "link", link,
			 "bytes_out", (json_int_t)stats.bytes_out, "bytes_in",
			 (json_int_t)stats.bytes_in, "attaches", (json_int_t)stats.attaches,
			 "seconds", (json_int_t)((vgpu_now() - s->since) / NS));
}

json_t *vgpu_describe(void *vgpud)
{
	const struct vgpud *d = vgpud;
	json_t *servers = json_array(), *sessions = json_array();
	const struct vgpu_client *s;

	for (unsigned i = 0; i < d->config->nservers; i++)
		json_array_append_new(servers, describe_upstream(&d->upstreams[i]));
	TAILQ_FOREACH(s, &d->sessions, all)
		json_array_append_new(sessions, describe_session(s));
	/* What had no memory makes the whole NULL. */
	return json_pack("{s:i, s:s, s:o, s:o}", "version", 1, "daemon", "vgpud", "servers",
			 servers, "sessions", sessions);
}
