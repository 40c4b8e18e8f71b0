/* SPDX-License-Identifier: MIT */
/*
 * Tables for people: columns as wide as what is in them. Cells are strings, which
 * others may have chosen; they reach a terminal without control characters.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "vgpu.h"

#define CELL	512		/* bytes of one */

struct vgpu_table {
	const char *const	*heads;
	unsigned		ncolumns, ncells, room;
	char			**cells;	/* row by row, the heads first */
	int			error;
};

/* Columns that clean text takes. */
static int text_width(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static bool make_room(struct vgpu_table *t)
{
	const unsigned room = t->room ? 2 * t->room : 64;
	char **cells;

	if (t->ncells < t->room)
		return true;
	cells = realloc(t->cells, room * sizeof(*cells));
	if (!cells)
		return false;
	t->cells = cells;
	t->room = room;
	return true;
}

void vgpu_table_cell(struct vgpu_table *t, const char *format, ...)
{
	char text[CELL], clean[VGPU_CLEAN_TEXT(CELL)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!make_room(t)) {
		t->error = -ENOMEM;
		return;
	}
	t->cells[t->ncells] = strdup(vgpu_text_clean(text[0] ? text : "-", clean, sizeof(clean)));
	if (t->cells[t->ncells])
		t->ncells++;
	else
		t->error = -ENOMEM;
}

struct vgpu_table *vgpu_table_open(const char *const *heads, unsigned n)
{
	struct vgpu_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->heads = heads;
	t->ncolumns = n;
	for (unsigned i = 0; i < n; i++)
		vgpu_table_cell(t, "%s", heads[i] + (heads[i][0] == '>'));
	return t;
}

static int column_width(const struct vgpu_table *t, unsigned column)
{
	int width = 0;

	for (unsigned i = column; i < t->ncells; i += t->ncolumns) {
		int w = text_width(t->cells[i]);

		width = w > width ? w : width;
	}
	return width;
}

static void cell_print(FILE *out, const struct vgpu_table *t, unsigned i, int width)
{
	const unsigned column = i % t->ncolumns;
	const bool last = column == t->ncolumns - 1;
	const int blanks = width - text_width(t->cells[i]);

	if (t->heads[column][0] == '>')
		fprintf(out, "%*s%s", blanks, "", t->cells[i]);
	else
		fprintf(out, "%s%*s", t->cells[i], last ? 0 : blanks, "");
	fputs(last ? "\n" : "  ", out);
}

int vgpu_table_print(FILE *out, struct vgpu_table *t)
{
	int *widths = t ? calloc(t->ncolumns, sizeof(*widths)) : NULL;
	int err = widths ? t->error : -ENOMEM;

	for (unsigned i = 0; !err && i < t->ncolumns; i++)
		widths[i] = column_width(t, i);
	for (unsigned i = 0; !err && i < t->ncells; i++)
		cell_print(out, t, i, widths[i % t->ncolumns]);
	free(widths);
	for (unsigned i = 0; t && i < t->ncells; i++)
		free(t->cells[i]);
	if (t)
		free(t->cells);
	free(t);
	return err;
}
