/* SPDX-License-Identifier: MIT */
/*
 * Devices and events for people. Strings that others chose do not reach a
 * terminal as they are.
 */
#include <string.h>
#include "daemons.h"

/* ---- values ---- */

const char *vgpu_size_format(uint64_t bytes, char text[VGPU_SIZE_TEXT])
{
	static const char units[] = "BKMGTPE";
	uint64_t whole = bytes, tenths = 0;
	int unit = 0, written;

	while (whole >= 1024) {
		int shift = 10 * ++unit;
		uint64_t rest = bytes & ((1ull << shift) - 1);

		tenths = (10 * rest + (1ull << (shift - 1))) >> shift;
		whole = (bytes >> shift) + tenths / 10;	/* 1023.96K is 1M */
		tenths %= 10;
	}
	written = snprintf(text, VGPU_SIZE_TEXT, "%u", (unsigned)whole);
	if (tenths)
		written += snprintf(text + written, VGPU_SIZE_TEXT - written, ".%u",
				    (unsigned)tenths);
	snprintf(text + written, VGPU_SIZE_TEXT - written, "%c", units[unit]);
	return text;
}

/*
 * Bytes of the character that @in begins with, if it is well-formed UTF-8 and
 * no control character; else 0.
 */
static unsigned character_length(const unsigned char *in)
{
	static const uint32_t least[] = { 0, 0x20, 0xa0, 0x800, 0x10000 };
	unsigned length = *in < 0x80 ? 1 : *in >> 5 == 0x06 ? 2 : *in >> 4 == 0x0e ? 3 :
		*in >> 3 == 0x1e ? 4 : 0;
	uint32_t code = length == 1 ? *in : *in & (0x7f >> length);

	for (unsigned i = 1; i < length; i++) {
		if (in[i] >> 6 != 2)
			return 0;
		code = code << 6 | (in[i] & 0x3f);
	}
	if (code < least[length] || code == 0x7f || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return 0;
	return length;
}

const char *vgpu_text_clean(const char *in, char *text, size_t size)
{
	static const char replacement[] = "\xef\xbf\xbd";	/* U+FFFD */
	size_t used = 0;

	while (*in) {
		unsigned length = character_length((const unsigned char *)in);
		unsigned room = length ? length : sizeof(replacement) - 1;

		if (used + room >= size)
			break;
		memcpy(text + used, length ? in : replacement, room);
		used += room;
		in += length ? length : 1;
	}
	text[used] = '\0';
	return text;
}

/* ---- list ---- */

static void lead_add(struct vgpu_table *t, const struct vgpu_lead *lead)
{
	vgpu_table_cell(t, "%s", lead ? lead->far.name : "");
	vgpu_table_cell(t, "%s", lead ? lead->far.link : "");
	vgpu_table_cell(t, "%s", lead ? lead->far.state : "");
	if (lead)
		vgpu_table_cell(t, "%u", lead->sessions);
	else
		vgpu_table_cell(t, "-");
}

int vgpu_devices_print(FILE *out, const struct vgpu_nl_device *devices, unsigned count,
		       const struct vgpu_daemons *daemons)
{
	static const char *const heads[] = {
		"DEVICE", "STATE", "NAME", ">MEMORY", ">CHANNELS",
		">CHARGED", "BACKEND", "SERVER", "LINK", "CONNECTION",
		">SESSIONS",
	};
	struct vgpu_table *t = vgpu_table_open(heads, sizeof(heads) / sizeof(*heads));
	char size[VGPU_SIZE_TEXT];
	struct vgpu_lead lead;

	for (const struct vgpu_nl_device *d = devices; t && d < devices + count; d++) {
		vgpu_table_cell(t, "vgpu%u", d->number);
		vgpu_table_cell(t, "%s", vgpu_device_state_name(d->state));
		vgpu_table_cell(t, "%s", d->name);
		vgpu_table_cell(t, "%s", vgpu_size_format(d->memory, size));
		vgpu_table_cell(t, "%llu", (unsigned long long)d->channels);
		vgpu_table_cell(t, "%s", vgpu_size_format(d->charged, size));
		vgpu_table_cell(t, "%s", d->backend);
		lead_add(t, vgpu_daemons_lead(daemons, d, &lead) ? &lead : NULL);
	}
	return vgpu_table_print(out, t);
}

/* ---- show ---- */

/* Of a string that is printed. */
#define LONGEST	512

static void string_print(FILE *out, const char *label, const char *value)
{
	char text[VGPU_CLEAN_TEXT(LONGEST)];

	fprintf(out, "%-16s %s\n", label,
		value[0] ? vgpu_text_clean(value, text, sizeof(text)) : "-");
}

static void count_print(FILE *out, const char *label, uint64_t value)
{
	fprintf(out, "%-16s %llu\n", label, (unsigned long long)value);
}

static void bytes_print(FILE *out, const char *label, uint64_t bytes)
{
	char text[VGPU_SIZE_TEXT];

	fprintf(out, "%-16s %s", label, vgpu_size_format(bytes, text));
	fprintf(out, bytes < 1024 ? "\n" : " (%llu bytes)\n", (unsigned long long)bytes);
}

static void budget_print(FILE *out, const char *label, uint64_t bytes)
{
	if (bytes)
		bytes_print(out, label, bytes);
	else
		string_print(out, label, "a quarter of the host's memory");
}

void vgpu_lead_print(FILE *out, const struct vgpu_lead *lead)
{
	string_print(out, "server", lead->far.name);
	string_print(out, "address", lead->far.address);
	string_print(out, "link", lead->far.link);
	string_print(out, "connection", lead->far.state);
	if (lead->far.error[0])
		string_print(out, "error", lead->far.error);
	if (lead->far.rtt_us)
		fprintf(out, "%-16s %llu us\n", "round trip",
			(unsigned long long)lead->far.rtt_us);
	count_print(out, "sessions", lead->sessions);
}

void vgpu_device_print(FILE *out, const struct vgpu_nl_device *d)
{
	char uuid[VGPU_UUID_TEXT];

	fprintf(out, "%-16s /dev/vgpu%u\n", "device", d->number);
	string_print(out, "state", vgpu_device_state_name(d->state));
	string_print(out, "name", d->name);
	vgpu_uuid_format(d->uuid, uuid);
	string_print(out, "uuid", uuid);
	string_print(out, "backend", d->backend);
	bytes_print(out, "memory", d->memory);
	budget_print(out, "budget", d->budget);
	budget_print(out, "channel budget", d->channel_budget);
	bytes_print(out, "charged", d->charged);
	count_print(out, "channels", d->channels);
	count_print(out, "channels total", d->channels_total);
	count_print(out, "channels lost", d->channels_lost);
	bytes_print(out, "copied", d->copied);
}

/* ---- monitor ---- */

static void device_event_print(FILE *out, const char *what, const struct vgpu_nl_device *d)
{
	char name[VGPU_CLEAN_TEXT(VGPU_NAME_MAX)], backend[VGPU_CLEAN_TEXT(VGPU_BACKEND_MAX)];
	char memory[VGPU_SIZE_TEXT];

	fprintf(out, "vgpu%u %s state=%s name=\"%s\" memory=%s backend=\"%s\"\n", d->number, what,
		vgpu_device_state_name(d->state), vgpu_text_clean(d->name, name, sizeof(name)),
		vgpu_size_format(d->memory, memory),
		vgpu_text_clean(d->backend, backend, sizeof(backend)));
}

static void channel_event_print(FILE *out, const char *what, const struct vgpu_nl_event *e)
{
	fprintf(out, "vgpu%u channel %llu %s state=%s\n", e->device.number,
		(unsigned long long)e->channel, what, vgpu_channel_state_name(e->channel_state));
}

void vgpu_event_print(FILE *out, const struct vgpu_nl_event *e)
{
	switch (e->cmd) {
	case VGPU_CMD_DEVICE_NEW_NTF:
		return device_event_print(out, "added", &e->device);
	case VGPU_CMD_DEVICE_SET_NTF:
		return device_event_print(out, "changed", &e->device);
	case VGPU_CMD_DEVICE_DEL_NTF:
		return device_event_print(out, "removed", &e->device);
	case VGPU_CMD_CHANNEL_OPEN_NTF:
		return channel_event_print(out, "opened", e);
	case VGPU_CMD_CHANNEL_CHANGE_NTF:
		return channel_event_print(out, "changed", e);
	case VGPU_CMD_CHANNEL_CLOSE_NTF:
		return channel_event_print(out, "closed", e);
	default:
		fprintf(out, "vgpu%u event %u\n", e->device.number, e->cmd);
	}
}
