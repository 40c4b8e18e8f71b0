// SPDX-License-Identifier: MIT
/*
 * Reading of cubins, which are ELF files: how long one is, whether all in it
 * lies inside, and what parameters its kernels take. Nothing here trusts a
 * byte, and nothing need be aligned.
 */
#include "internal.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifndef EM_CUDA
#define EM_CUDA 190
#endif

#define INFO_PREFIX ".nv.info"
#define SHT_NV_INFO SHT_LOPROC

struct cubin {
	const uint8_t *bytes;
	size_t	       length;
	Elf64_Ehdr     header;
	uint64_t       nsections;
	uint64_t       names; /* section that holds the sections' names */
};

/* A section of strings; the last byte is NUL, so that each string ends. */
struct strings {
	const char *text;
	uint64_t    size;
};

static void read_section(const struct cubin *c, uint64_t index, Elf64_Shdr *section)
{
	memcpy(section, c->bytes + c->header.e_shoff + index * sizeof(*section), sizeof(*section));
}

/* Numbers that do not fit the header are found in the first section. */
static int count_sections(struct cubin *c)
{
	Elf64_Shdr first;

	c->nsections = c->header.e_shnum;
	c->names = c->header.e_shstrndx;
	if (!c->header.e_shoff)
		return c->nsections ? -EINVAL : 0;
	if (c->header.e_shentsize != sizeof(first) ||
	    !cudafront_inside(c->header.e_shoff, sizeof(first), c->length))
		return -EINVAL;
	read_section(c, 0, &first);
	if (!c->nsections)
		c->nsections = first.sh_size;
	if (c->names == SHN_XINDEX)
		c->names = first.sh_link;
	if (c->nsections > (c->length - c->header.e_shoff) / sizeof(first))
		return -EINVAL;
	return 0;
}

static int open_cubin(struct cubin *c, const void *elf, size_t length)
{
	const unsigned char *ident = c->header.e_ident;
	size_t segments;

	c->bytes = elf;
	c->length = length;
	if (length < sizeof(c->header))
		return -EINVAL;
	memcpy(&c->header, elf, sizeof(c->header));
	if (memcmp(ident, ELFMAG, SELFMAG) || ident[EI_CLASS] != ELFCLASS64 ||
	    ident[EI_DATA] != ELFDATA2LSB || c->header.e_machine != EM_CUDA)
		return -EINVAL;
	segments = c->header.e_phnum * sizeof(Elf64_Phdr);
	if (segments && (c->header.e_phentsize != sizeof(Elf64_Phdr) ||
			 !cudafront_inside(c->header.e_phoff, segments, length)))
		return -EINVAL;
	return count_sections(c);
}

static void extend(size_t *end, uint64_t offset, uint64_t size)
{
	if (offset + size > *end)
		*end = offset + size;
}

static bool extend_by_segments(const struct cubin *c, size_t *end)
{
	for (unsigned i = 0; i < c->header.e_phnum; i++) {
		Elf64_Phdr segment;

		memcpy(&segment, c->bytes + c->header.e_phoff + i * sizeof(segment),
		       sizeof(segment));
		if (!cudafront_inside(segment.p_offset, segment.p_filesz, c->length))
			return false;
		extend(end, segment.p_offset, segment.p_filesz);
	}
	return true;
}

static bool extend_by_sections(const struct cubin *c, size_t *end)
{
	for (uint64_t i = 1; i < c->nsections; i++) {
		Elf64_Shdr section;

		read_section(c, i, &section);
		if (section.sh_type == SHT_NULL || section.sh_type == SHT_NOBITS)
			continue;
		if (!cudafront_inside(section.sh_offset, section.sh_size, c->length))
			return false;
		extend(end, section.sh_offset, section.sh_size);
	}
	return true;
}

static size_t cubin_length(const struct cubin *c)
{
	size_t end = sizeof(c->header);

	if (c->header.e_phnum)
		extend(&end, c->header.e_phoff, c->header.e_phnum * sizeof(Elf64_Phdr));
	extend(&end, c->header.e_shoff, c->nsections * sizeof(Elf64_Shdr));
	if (!extend_by_segments(c, &end) || !extend_by_sections(c, &end))
		return 0;
	return end;
}

size_t cudafront_elf_length(const void *elf, size_t limit)
{
	struct cubin c;

	return open_cubin(&c, elf, limit) ? 0 : cubin_length(&c);
}

/* Only after cubin_length() found everything inside: all but the first, which is none. */
static bool read_strings(const struct cubin *c, uint64_t index, struct strings *strings)
{
	Elf64_Shdr section;

	if (!index || index >= c->nsections)
		return false;
	read_section(c, index, &section);
	if (section.sh_type != SHT_STRTAB || !section.sh_size)
		return false;
	strings->text = (const char *)c->bytes + section.sh_offset;
	strings->size = section.sh_size;
	return !strings->text[strings->size - 1];
}

static bool check_symbols(const struct cubin *c, const Elf64_Shdr *section)
{
	struct strings names;

	if (section->sh_entsize != sizeof(Elf64_Sym) || section->sh_size % sizeof(Elf64_Sym) ||
	    !read_strings(c, section->sh_link, &names))
		return false;
	for (uint64_t at = 0; at < section->sh_size; at += sizeof(Elf64_Sym)) {
		Elf64_Sym symbol;

		memcpy(&symbol, c->bytes + section->sh_offset + at, sizeof(symbol));
		if (symbol.st_name >= names.size)
			return false;
		if (symbol.st_shndx >= c->nsections && symbol.st_shndx < SHN_LORESERVE)
			return false;
	}
	return true;
}

static bool check_relocations(const struct cubin *c, const Elf64_Shdr *section, size_t entry)
{
	return section->sh_entsize == entry && !(section->sh_size % entry) &&
	       section->sh_link < c->nsections && section->sh_info < c->nsections;
}

/*
 * Records of .nv.info: a format, an attribute and a number, which for the
 * format "sized" is that of the bytes that follow. 1: a record; 0: the end.
 */
struct info {
	const uint8_t *at;
	size_t	       left;
	uint8_t	       attribute;
	uint16_t       number;
	const uint8_t *value; /* NULL unless sized */
};

#define INFO_SIZED 4

static int next_info(struct info *info)
{
	uint8_t format;

	if (!info->left)
		return 0;
	if (info->left < 4)
		return -EINVAL;
	format = info->at[0];
	info->attribute = info->at[1];
	memcpy(&info->number, info->at + 2, sizeof(info->number));
	info->at += 4;
	info->left -= 4;
	info->value = NULL;
	if (format != INFO_SIZED)
		return 1;
	if (info->number > info->left)
		return -EINVAL;
	info->value = info->at;
	info->at += info->number;
	info->left -= info->number;
	return 1;
}

static bool check_info(const struct cubin *c, const Elf64_Shdr *section)
{
	struct info info = { .at = c->bytes + section->sh_offset, .left = section->sh_size };
	int r;

	do
		r = next_info(&info);
	while (r > 0);
	return !r;
}

static bool is_info(const char *name)
{
	return !strncmp(name, INFO_PREFIX, strlen(INFO_PREFIX));
}

static bool check_section(const struct cubin *c, const struct strings *names, uint64_t index)
{
	Elf64_Shdr section;

	read_section(c, index, &section);
	if (section.sh_name >= names->size)
		return false;
	switch (section.sh_type) {
	case SHT_SYMTAB:
		return check_symbols(c, &section);
	case SHT_REL:
		return check_relocations(c, &section, sizeof(Elf64_Rel));
	case SHT_RELA:
		return check_relocations(c, &section, sizeof(Elf64_Rela));
	case SHT_NV_INFO:
		return !is_info(names->text + section.sh_name) || check_info(c, &section);
	default:
		return true;
	}
}

bool cudafront_elf_check(const void *elf, size_t length)
{
	struct cubin c;
	struct strings names;

	if (open_cubin(&c, elf, length) || !cubin_length(&c))
		return false;
	if (!c.nsections)
		return true;
	if (!read_strings(&c, c.names, &names))
		return false;
	for (uint64_t i = 1; i < c.nsections; i++)
		if (!check_section(&c, &names, i))
			return false;
	return true;
}

/* ---- parameters ---- */

/*
 * Both kinds of record are 12 bytes and begin with a word, the parameter's
 * ordinal and its offset. The wide one is used by kernels with large parameters.
 */
#define INFO_PARAM	0x17
#define INFO_PARAM_WIDE 0x45
#define INFO_PARAM_SIZE 12

/* More parameters than there are bytes of them cannot be. */
#define PARAMS_MAX 32768

static bool is_param(const struct info *info)
{
	return info->value && info->number == INFO_PARAM_SIZE &&
	       (info->attribute == INFO_PARAM || info->attribute == INFO_PARAM_WIDE);
}

static unsigned read_param(const struct info *info, struct cudafront_param *param)
{
	uint16_t ordinal, offset, wide;
	uint32_t narrow;

	memcpy(&ordinal, info->value + 4, sizeof(ordinal));
	memcpy(&offset, info->value + 6, sizeof(offset));
	memcpy(&wide, info->value + 8, sizeof(wide));
	memcpy(&narrow, info->value + 8, sizeof(narrow));
	param->offset = offset;
	param->size = info->attribute == INFO_PARAM ? narrow >> 18 : wide;
	return ordinal;
}

static int count_params(struct info info)
{
	int count = 0, r;

	while ((r = next_info(&info)) > 0)
		if (is_param(&info) && ++count > PARAMS_MAX)
			return -EINVAL;
	return r ? r : count;
}

/* Each ordinal below the number of parameters must come once. */
static int read_params(struct info info, struct cudafront_param *params, int max)
{
	uint8_t seen[PARAMS_MAX / 8] = { 0 };
	int count = count_params(info);

	while (count > 0 && next_info(&info) > 0) {
		struct cudafront_param param;
		int ordinal;

		if (!is_param(&info))
			continue;
		ordinal = read_param(&info, &param);
		if (ordinal >= count || seen[ordinal / 8] & 1 << ordinal % 8)
			return -EINVAL;
		seen[ordinal / 8] |= 1 << ordinal % 8;
		if (ordinal < max)
			params[ordinal] = param;
	}
	return count;
}

static bool is_info_of(const char *name, const char *kernel)
{
	const size_t prefix = strlen(INFO_PREFIX);

	return is_info(name) && name[prefix] == '.' && !strcmp(name + prefix + 1, kernel);
}

int cudafront_elf_params(const void *elf, size_t length, const char *kernel,
			 struct cudafront_param *params, int max)
{
	struct cubin c;
	struct strings names;

	if (open_cubin(&c, elf, length) || !cubin_length(&c) || !read_strings(&c, c.names, &names))
		return -EINVAL;
	for (uint64_t i = 1; i < c.nsections; i++) {
		Elf64_Shdr section;
		struct info info;

		read_section(&c, i, &section);
		if (section.sh_name >= names.size)
			return -EINVAL;
		if (section.sh_type != SHT_NV_INFO ||
		    !is_info_of(names.text + section.sh_name, kernel))
			continue;
		info = (struct info){ .at = c.bytes + section.sh_offset, .left = section.sh_size };
		return read_params(info, params, max);
	}
	return -ENOENT;
}
