// SPDX-License-Identifier: MIT
/*
 * Code images as nvcc makes them of kernels.cu: found, checked, unpacked,
 * trimmed, and cut off or spoilt in every place.
 */
#include "cudafront/cudafront.h"
#include "cudafront/fatbin.h"
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct file {
	uint8_t *bytes; /* malloc'ed, no byte more than length */
	size_t	 length;
};

/* Exactly so long that a sanitizer sees a read beyond it. */
static uint8_t *copy(const void *bytes, size_t length)
{
	uint8_t *p = malloc(length ? length : 1);

	if (!p)
		abort();
	return memcpy(p, bytes, length);
}

/* One of the images, which lie in a folder beside this program. */
static struct file load(const char *name)
{
	static uint8_t buffer[1 << 20];
	char path[4096];
	struct file file = { NULL, 0 };
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	FILE *f;

	if (n < 0)
		abort();
	path[n] = '\0';
	sprintf(strrchr(path, '/'), "/made/%s", name);
	f = fopen(path, "rb");
	if (!f) {
		perror(path);
		exit(1);
	}
	file.length = fread(buffer, 1, sizeof(buffer), f);
	fclose(f);
	file.bytes = copy(buffer, file.length);
	return file;
}

/* PTX as it is handed over: with its NUL. */
static struct file load_text(const char *name)
{
	struct file file = load(name);

	file.bytes = realloc(file.bytes, file.length + 1);
	file.bytes[file.length++] = '\0';
	return file;
}

static struct file load_any(const char *name)
{
	return strstr(name, ".ptx") ? load_text(name) : load(name);
}

static const char *const fatbins[] = {
	"stored.fatbin", "zstd.fatbin",	 "lz4.fatbin",	"small.fatbin",
	"rdc.fatbin",	 "debug.fatbin", "many.fatbin",
};

static const char *const cubins[] = { "sm_75.cubin", "sm_90.cubin", "sm_120.cubin" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- finding and checking ---- */

TEST(images_are_found_with_their_length)
{
	static const struct {
		const char		 *name;
		enum cudafront_image_kind kind;
	} images[] = {
		{ "zstd.fatbin", CUDAFRONT_IMAGE_FATBIN },
		{ "many.fatbin", CUDAFRONT_IMAGE_FATBIN },
		{ "sm_75.cubin", CUDAFRONT_IMAGE_ELF },	   { "sm_120.cubin", CUDAFRONT_IMAGE_ELF },
		{ "kernels.ptx", CUDAFRONT_IMAGE_PTX },
	};

	for (unsigned i = 0; i < COUNT(images); i++) {
		struct file f = load_any(images[i].name);
		struct cudafront_image image;

		CHECK_EQ(cudafront_image_find(f.bytes, &image), CUDA_SUCCESS);
		CHECK_EQ(image.kind, images[i].kind);
		CHECK(image.start == f.bytes);
		CHECK_EQ(image.length, f.length);
		CHECK_EQ(cudafront_image_check(f.bytes, f.length), images[i].kind);
		free(f.bytes);
	}
}

TEST(wrappers_lead_to_their_container)
{
	struct file f = load("zstd.fatbin");
	struct cudafront_image image;

	for (int version = 1; version <= 3; version++) {
		struct fatbin_wrapper w = { FATBIN_WRAPPER_MAGIC, version, (uintptr_t)f.bytes, 0 };

		if (version == 3) {
			CHECK_EQ(cudafront_image_find(&w, &image), CUDA_ERROR_INVALID_IMAGE);
			continue;
		}
		CHECK_EQ(cudafront_image_find(&w, &image), CUDA_SUCCESS);
		CHECK_EQ(image.kind, CUDAFRONT_IMAGE_FATBIN);
		CHECK(image.start == f.bytes);
		CHECK_EQ(image.length, f.length);
		/* An address means nothing to somebody else. */
		CHECK_EQ(cudafront_image_check(&w, sizeof(w)), CUDAFRONT_IMAGE_NONE);
		w.container = 0;
		CHECK_EQ(cudafront_image_find(&w, &image), CUDA_ERROR_INVALID_IMAGE);
		w.container = (uintptr_t)&w;
		CHECK_EQ(cudafront_image_find(&w, &image), CUDA_ERROR_INVALID_IMAGE);
	}
	free(f.bytes);
}

TEST(images_at_any_address)
{
	struct file f = load("stored.fatbin");
	uint8_t *moved = malloc(f.length + 3);
	struct cudafront_image image;

	memcpy(moved + 3, f.bytes, f.length);
	CHECK_EQ(cudafront_image_find(moved + 3, &image), CUDA_SUCCESS);
	CHECK_EQ(image.length, f.length);
	CHECK_EQ(cudafront_image_check(moved + 3, f.length), CUDAFRONT_IMAGE_FATBIN);
	free(moved);
	free(f.bytes);
}

TEST(what_is_no_image)
{
	static const char *const texts[] = { "", "\x01\x02\x03", "\xed\x43\x4e\x7f", "\x7f\x45" };
	static const char host_elf[64] = "\x7f"
					 "ELF\x02\x01\x01";
	struct cudafront_image image;

	for (unsigned i = 0; i < COUNT(texts); i++) {
		CHECK_EQ(cudafront_image_find(texts[i], &image), CUDA_ERROR_INVALID_IMAGE);
		CHECK_EQ(cudafront_image_check(texts[i], strlen(texts[i]) + 1),
			 CUDAFRONT_IMAGE_NONE);
	}
	CHECK_EQ(cudafront_image_find(host_elf, &image), CUDA_ERROR_INVALID_IMAGE);
	CHECK_EQ(cudafront_image_check(host_elf, sizeof(host_elf)), CUDAFRONT_IMAGE_NONE);
	CHECK_EQ(cudafront_image_find(NULL, &image), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cudafront_image_check("", 0), CUDAFRONT_IMAGE_NONE);
	CHECK_EQ(cudafront_image_check(".version 9.0", 12), CUDAFRONT_IMAGE_NONE);
	CHECK_EQ(cudafront_image_check(".version\0" "9.0", 13), CUDAFRONT_IMAGE_NONE);
	CHECK_EQ(cudafront_image_check(".version 9.0", 13), CUDAFRONT_IMAGE_PTX);
	CHECK_EQ(cudafront_image_check("// \xc3\xa4\r\n", 8), CUDAFRONT_IMAGE_PTX);
}

TEST(lengths_must_fit)
{
	struct file f = load("zstd.fatbin");
	uint8_t *longer = calloc(1, f.length + 8);

	memcpy(longer, f.bytes, f.length);
	CHECK_EQ(cudafront_image_check(longer, f.length + 8), CUDAFRONT_IMAGE_NONE);
	free(longer);
	free(f.bytes);
	f = load("sm_75.cubin");
	CHECK_EQ(cudafront_elf_length(f.bytes, f.length), f.length);
	CHECK_EQ(cudafront_elf_length(f.bytes, f.length - 1), 0);
	CHECK_EQ(cudafront_elf_length(f.bytes, 63), 0);
	free(f.bytes);
}

/* ---- entries ---- */

static bool is_ptx(const char *text, size_t length)
{
	return strlen(text) == length && strstr(text, ".version") && strstr(text, ".target sm_") &&
	       strstr(text, ".entry mixed(");
}

static void check_entry(const struct cudafront_entry *e, int *ptx, int *elf)
{
	void *out = NULL;
	size_t length = 0;

	CHECK_EQ(cudafront_entry_unpack(e, &out, &length), CUDA_SUCCESS);
	REQUIRE(out);
	if (e->ptx) {
		CHECK(e->length - length <= 8); /* NULs */
		CHECK(is_ptx(out, length));
		CHECK_EQ(cudafront_image_check(out, length + 1), CUDAFRONT_IMAGE_PTX);
	} else {
		CHECK_EQ(length, e->length);
		CHECK_EQ(cudafront_image_check(out, length), CUDAFRONT_IMAGE_ELF);
		CHECK(length - cudafront_elf_length(out, length) < 8); /* padded */
	}
	++*(e->ptx ? ptx : elf);
	free(out);
}

static void walk(const struct file *f, int *ptx, int *elf)
{
	struct cudafront_entry entry;
	size_t cursor = 0;
	int r;

	*ptx = *elf = 0;
	while ((r = cudafront_fatbin_next(f->bytes, f->length, &cursor, &entry)) > 0)
		check_entry(&entry, ptx, elf);
	CHECK_EQ(r, 0);
	CHECK_EQ(cursor, f->length);
	CHECK_EQ(cudafront_fatbin_next(f->bytes, f->length, &cursor, &entry), 0);
}

static uint64_t flags_of(const char *name, bool ptx)
{
	struct file f = load(name);
	struct cudafront_entry entry;
	size_t cursor = 0;
	uint64_t flags = 0;

	while (cudafront_fatbin_next(f.bytes, f.length, &cursor, &entry) > 0)
		if (entry.ptx == ptx)
			flags = entry.flags;
	free(f.bytes);
	return flags & (FATBIN_LZ4 | FATBIN_ZSTD | FATBIN_DEBUG);
}

TEST(every_way_of_packing)
{
	for (unsigned i = 0; i < COUNT(fatbins); i++) {
		struct file f = load(fatbins[i]);
		bool many = !strcmp(fatbins[i], "many.fatbin");
		int ptx, elf;

		walk(&f, &ptx, &elf);
		CHECK_EQ(elf, many ? 5 : 1);
		CHECK_EQ(ptx, many ? 2 : 1);
		free(f.bytes);
	}
	/* And they are what they are taken for. */
	CHECK_EQ(flags_of("stored.fatbin", true), 0);
	CHECK_EQ(flags_of("zstd.fatbin", true), FATBIN_ZSTD);
	CHECK_EQ(flags_of("zstd.fatbin", false), 0);
	CHECK_EQ(flags_of("lz4.fatbin", true), FATBIN_LZ4);
	CHECK_EQ(flags_of("small.fatbin", false), FATBIN_ZSTD);
	CHECK_EQ(flags_of("debug.fatbin", false), FATBIN_ZSTD | FATBIN_DEBUG);
}

static char *text_of(const char *name)
{
	struct file f = load(name);
	struct cudafront_entry entry;
	size_t cursor = 0, length;
	void *text = NULL;

	while (cudafront_fatbin_next(f.bytes, f.length, &cursor, &entry) > 0)
		if (entry.ptx)
			CHECK_EQ(cudafront_entry_unpack(&entry, &text, &length), CUDA_SUCCESS);
	free(f.bytes);
	return text;
}

TEST(packing_changes_nothing)
{
	char *stored = text_of("stored.fatbin");

	REQUIRE(stored);
	for (unsigned i = 1; i < 4; i++) {
		char *text = text_of(fatbins[i]);

		CHECK(text && !strcmp(text, stored));
		free(text);
	}
	free(stored);
}

static CUresult unpack(struct cudafront_entry entry)
{
	void *out = NULL;
	size_t length;
	CUresult r = cudafront_entry_unpack(&entry, &out, &length);

	if (!r)
		free(out);
	return r;
}

TEST(sizes_that_lie_are_refused)
{
	static const char *const packed[] = { "lz4.fatbin", "zstd.fatbin" };

	for (unsigned i = 0; i < COUNT(packed); i++) {
		struct file f = load(packed[i]);
		struct cudafront_entry entry;
		size_t cursor = 0;

		do
			REQUIRE(cudafront_fatbin_next(f.bytes, f.length, &cursor, &entry) == 1);
		while (!entry.ptx);
		CHECK_EQ(unpack(entry), CUDA_SUCCESS);
		entry.length++;
		CHECK_EQ(unpack(entry), CUDA_ERROR_INVALID_IMAGE);
		entry.length -= 2;
		CHECK_EQ(unpack(entry), CUDA_ERROR_INVALID_IMAGE);
		entry.length = CUDAFRONT_UNPACK_MAX;
		CHECK_EQ(unpack(entry), CUDA_ERROR_INVALID_IMAGE);
		entry.length = (size_t)CUDAFRONT_UNPACK_MAX + 1;
		CHECK_EQ(unpack(entry), CUDA_ERROR_INVALID_IMAGE);
		free(f.bytes);
	}
}

/* ---- trimming ---- */

/* The entries left for a device, as "75 p80 …". */
static CUresult left_for(const char *name, int major, int minor, char *left)
{
	struct file f = load(name);
	struct file trimmed = { NULL, 0 };
	struct cudafront_entry entry;
	size_t cursor = 0;
	void *out = NULL;
	CUresult r = cudafront_fatbin_trim(f.bytes, f.length, major, minor, &out, &trimmed.length);

	*left = '\0';
	trimmed.bytes = out;
	while (!r && cudafront_fatbin_next(trimmed.bytes, trimmed.length, &cursor, &entry) > 0)
		left += sprintf(left, "%s%u ", entry.ptx ? "p" : "", entry.arch);
	if (!r) {
		int ptx, elf;

		CHECK_EQ(cudafront_image_check(out, trimmed.length), CUDAFRONT_IMAGE_FATBIN);
		walk(&trimmed, &ptx, &elf);
	}
	free(out);
	free(f.bytes);
	return r;
}

TEST(trimming_leaves_what_a_device_can_use)
{
	static const struct {
		int	    major, minor;
		const char *left;
	} devices[] = {
		{ 7, 5, "75 " },
		{ 8, 0, "p80 80 " },
		{ 8, 6, "p80 80 86 " },
		{ 8, 9, "p80 80 86 " },
		{ 9, 0, "p80 p90 90 " }, /* sm_90a and compute_90a are for 9.0 alone */
		{ 10, 0, "p80 100 " },
		{ 10, 3, "p80 100 " },
		{ 12, 0, "p80 " },
	};

	for (unsigned i = 0; i < COUNT(devices); i++) {
		char left[256];

		CHECK_EQ(left_for("many.fatbin", devices[i].major, devices[i].minor, left),
			 CUDA_SUCCESS);
		if (strcmp(left, devices[i].left))
			printf("# %d.%d: %s\n", devices[i].major, devices[i].minor, left);
		CHECK(!strcmp(left, devices[i].left));
	}
}

TEST(trimming_may_leave_nothing)
{
	const struct fatbin_header empty = { FATBIN_MAGIC, FATBIN_VERSION, sizeof(empty), 0 };
	char left[256];
	void *out;
	size_t length;

	CHECK_EQ(left_for("many.fatbin", 7, 0, left), CUDA_ERROR_NO_BINARY_FOR_GPU);
	CHECK_EQ(left_for("zstd.fatbin", 7, 2, left), CUDA_ERROR_NO_BINARY_FOR_GPU);
	CHECK_EQ(cudafront_image_check(&empty, sizeof(empty)), CUDAFRONT_IMAGE_FATBIN);
	CHECK_EQ(cudafront_fatbin_trim(&empty, sizeof(empty), 7, 5, &out, &length),
		 CUDA_ERROR_NO_BINARY_FOR_GPU);
	CHECK_EQ(cudafront_fatbin_trim(&empty, sizeof(empty) - 1, 7, 5, &out, &length),
		 CUDA_ERROR_INVALID_IMAGE);
}

/* ---- parameters ---- */

struct known {
	const char	      *kernel;
	int		       count;
	struct cudafront_param params[5];
};

static const struct known kernels[] = {
	{ "none", 0, { { 0, 0 } } },
	{ "mixed", 4, { { 0, 1 }, { 2, 2 }, { 4, 32 }, { 40, 8 } } },
	{ "aligned", 5, { { 0, 1 }, { 16, 16 }, { 32, 8 }, { 40, 1 }, { 48, 8 } } },
	{ "_Z3addIfEvPKT_S2_PS0_i", 4, { { 0, 8 }, { 8, 8 }, { 16, 8 }, { 24, 4 } } },
	{ "large", 2, { { 0, 4000 }, { 4000, 8 } } },
	{ "huge", 3, { { 0, 1 }, { 1, 30000 }, { 30008, 8 } } },
};

static void check_params(const struct file *f, const struct known *k)
{
	struct cudafront_param params[8];

	memset(params, 0xff, sizeof(params));
	CHECK_EQ(cudafront_elf_params(f->bytes, f->length, k->kernel, params, 8), k->count);
	CHECK(!memcmp(params, k->params, k->count * sizeof(params[0])));
	/* No more are stored than there is room for. */
	memset(params, 0xff, sizeof(params));
	CHECK_EQ(cudafront_elf_params(f->bytes, f->length, k->kernel, params, 1), k->count);
	CHECK_EQ(params[1].size, UINT32_MAX);
	CHECK_EQ(cudafront_elf_params(f->bytes, f->length, k->kernel, NULL, 0), k->count);
}

TEST(parameters_of_kernels)
{
	for (unsigned i = 0; i < COUNT(cubins); i++) {
		struct file f = load(cubins[i]);

		for (unsigned k = 0; k < COUNT(kernels); k++)
			check_params(&f, &kernels[k]);
		CHECK_EQ(cudafront_elf_params(f.bytes, f.length, "mixe", NULL, 0), -ENOENT);
		CHECK_EQ(cudafront_elf_params(f.bytes, f.length, "mixedd", NULL, 0), -ENOENT);
		CHECK_EQ(cudafront_elf_params(f.bytes, f.length, "", NULL, 0), -ENOENT);
		CHECK_EQ(cudafront_elf_params(f.bytes, f.length - 1, "mixed", NULL, 0), -EINVAL);
		free(f.bytes);
	}
}

TEST(parameters_of_packed_cubins)
{
	for (unsigned i = 0; i < COUNT(fatbins); i++) {
		struct file f = load(fatbins[i]), cubin;
		struct cudafront_entry entry;
		size_t cursor = 0;

		while (cudafront_fatbin_next(f.bytes, f.length, &cursor, &entry) > 0) {
			if (entry.ptx)
				continue;
			CHECK_EQ(cudafront_entry_unpack(&entry, (void **)&cubin.bytes,
							&cubin.length),
				 CUDA_SUCCESS);
			for (int k = 0; k < 4; k++)
				check_params(&cubin, &kernels[k]);
			free(cubin.bytes);
		}
		free(f.bytes);
	}
}

/* ---- hostile ---- */

/* Everything that reads, on bytes of which nothing is known. Was it accepted? */
static bool read_all(const uint8_t *bytes, size_t length)
{
	struct cudafront_param params[4];
	struct cudafront_entry entry;
	size_t cursor = 0, out_length;
	void *out;

	while (cudafront_fatbin_next(bytes, length, &cursor, &entry) > 0)
		if (entry.length < 1 << 20 && !cudafront_entry_unpack(&entry, &out, &out_length))
			free(out);
	if (!cudafront_fatbin_trim(bytes, length, 8, 6, &out, &out_length))
		free(out);
	cudafront_elf_length(bytes, length);
	cudafront_elf_params(bytes, length, "mixed", params, 4);
	cudafront_elf_params(bytes, length, "huge", params, 4);
	return cudafront_image_check(bytes, length) != CUDAFRONT_IMAGE_NONE;
}

static void cut_off(const char *name)
{
	struct file f = load_any(name);
	size_t accepted = 0;

	/* Large parameters make large constant banks: not every length of those. */
	for (size_t n = 0; n < f.length; n += f.length > 1 << 14 ? 1 + n % 13 : 1) {
		uint8_t *shorter = copy(f.bytes, n);

		accepted += read_all(shorter, n);
		free(shorter);
	}
	CHECK_EQ(accepted, 0);
	CHECK(read_all(f.bytes, f.length));
	free(f.bytes);
}

TEST(cut_off_anywhere)
{
	for (unsigned i = 0; i < COUNT(fatbins); i++)
		cut_off(fatbins[i]);
	for (unsigned i = 0; i < COUNT(cubins); i++)
		cut_off(cubins[i]);
	cut_off("kernels.ptx");
}

/* No claim on what is accepted: nothing may be read or written out of bounds. */
static void spoil(const char *name)
{
	static const uint8_t spoilt[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct file f = load_any(name);
	size_t step = f.length > 1 << 14 ? 7 : 1;

	for (size_t i = 0; i < f.length; i += step) {
		uint8_t was = f.bytes[i];

		f.bytes[i] = spoilt[i % sizeof(spoilt)];
		read_all(f.bytes, f.length);
		f.bytes[i] = was;
	}
	free(f.bytes);
}

TEST(spoilt_anywhere)
{
	for (unsigned i = 0; i < COUNT(fatbins); i++)
		spoil(fatbins[i]);
	for (unsigned i = 0; i < COUNT(cubins); i++)
		spoil(cubins[i]);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
