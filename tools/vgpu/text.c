/* SPDX-License-Identifier: MIT */
/*
 * Devices and events for people. Strings that others chose do not reach a
 * terminal as they are.
 */
#include <string.h>
#include "vgpu.h"

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

/* Columns that clean text takes. */
static int text_width(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

/* ---- list ---- */

enum column { NODE, STATE, NAME, MEMORY, CHANNELS, IN_USE, BACKEND, COLUMNS };

static const char *const heads[COLUMNS] = {
	"DEVICE", "STATE", "NAME", "MEMORY", "CHANNELS", "CHARGED", "BACKEND",
};

static bool is_number(enum column c)
{
	return c == MEMORY || c == CHANNELS || c == IN_USE;
}

#define CELL	VGPU_CLEAN_TEXT(VGPU_BACKEND_MAX)

/* What stands in column @c of the line of @d, NULL being the head. */
static const char *cell(const struct vgpu_nl_device *d, enum column c, char text[CELL])
{
	if (!d)
		return heads[c];
	switch (c) {
	case NODE:
		snprintf(text, CELL, "vgpu%u", d->number);
		return text;
	case STATE:
		return vgpu_device_state_name(d->state);
	case NAME:
		return d->name[0] ? vgpu_text_clean(d->name, text, CELL) : "-";
	case MEMORY:
		return vgpu_size_format(d->memory, text);
	case CHANNELS:
		snprintf(text, CELL, "%llu", (unsigned long long)d->channels);
		return text;
	case IN_USE:
		return vgpu_size_format(d->charged, text);
	default:
		return d->backend[0] ? vgpu_text_clean(d->backend, text, CELL) : "-";
	}
}

static void widen(int widths[COLUMNS], const struct vgpu_nl_device *d)
{
	char text[CELL];

	for (enum column c = 0; c < COLUMNS; c++) {
		int width = text_width(cell(d, c, text));

		if (width > widths[c])
			widths[c] = width;
	}
}

static void line_print(FILE *out, const int widths[COLUMNS], const struct vgpu_nl_device *d)
{
	char text[CELL];

	for (enum column c = 0; c < COLUMNS; c++) {
		const char *value = cell(d, c, text);
		int blanks = widths[c] - text_width(value);

		if (is_number(c))
			fprintf(out, "%*s%s", blanks, "", value);
		else if (c == COLUMNS - 1)
			fprintf(out, "%s", value);
		else
			fprintf(out, "%s%*s", value, blanks, "");
		fputs(c == COLUMNS - 1 ? "\n" : "  ", out);
	}
}

void vgpu_devices_print(FILE *out, const struct vgpu_nl_device *devices, unsigned count)
{
	int widths[COLUMNS] = {};

	widen(widths, NULL);
	for (unsigned i = 0; i < count; i++)
		widen(widths, &devices[i]);
	line_print(out, widths, NULL);
	for (unsigned i = 0; i < count; i++)
		line_print(out, widths, &devices[i]);
}

/* ---- show ---- */

static void string_print(FILE *out, const char *label, const char *value)
{
	char text[CELL];

	fprintf(out, "%-16s %s\n", label, value[0] ? vgpu_text_clean(value, text, CELL) : "-");
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
	char name[VGPU_CLEAN_TEXT(VGPU_NAME_MAX)], backend[CELL], memory[VGPU_SIZE_TEXT];

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
