/* SPDX-License-Identifier: MIT */
/*
 * NVIDIA's container of code images, as nvcc writes it. Everything is little
 * endian; an image may lie at any address, so that headers are copied out.
 */
#ifndef VGPU_FATBIN_H
#define VGPU_FATBIN_H

#include <stdint.h>

/* What a program registers: leads to the container. */
#define FATBIN_WRAPPER_MAGIC 0x466243B1u

struct fatbin_wrapper {
	uint32_t magic;
	uint32_t version;   /* 1; 2: relocatable device code */
	uint64_t container; /* address; of version 2: of the linked one */
	uint64_t more;	    /* file name, or the containers before linking */
};
_Static_assert(sizeof(struct fatbin_wrapper) == 24, "as nvcc lays it out");

#define FATBIN_MAGIC   0xBA55ED50u
#define FATBIN_VERSION 1

struct fatbin_header {
	uint32_t magic;
	uint16_t version;
	uint16_t header_size; /* of this */
	uint64_t size;	      /* of all entries, which follow; may be 0 */
};
_Static_assert(sizeof(struct fatbin_header) == 16, "as nvcc lays it out");

/* Others exist, such as 8 for what -dlto leaves to a linker; no driver loads them. */
enum fatbin_kind {
	FATBIN_PTX = 1,
	FATBIN_ELF = 2,
};

#define FATBIN_64BIT	       0x1u
#define FATBIN_DEBUG	       0x2u
#define FATBIN_LINUX	       0x10u
#define FATBIN_LZ4	       0x2000u
#define FATBIN_ZSTD	       0x8000u
#define FATBIN_ARCH_SPECIFIC   0x100000u /* "sm_90a": for this very arch only */
#define FATBIN_FAMILY_SPECIFIC 0x200000u /* "sm_100f": and later minors of its major */

struct fatbin_entry {
	uint16_t kind;
	uint16_t unknown1;
	uint32_t header_size;	  /* of this and the strings behind it */
	uint64_t payload_size;	  /* follows the header; the next entry follows it */
	uint32_t compressed_size; /* exact; 0: stored as it is */
	uint32_t options;	  /* offset in the header */
	uint16_t minor;
	uint16_t major;
	uint32_t arch; /* 75 */
	uint32_t name; /* offset in the header */
	uint32_t name_length;
	uint64_t flags;
	uint64_t unknown2;
	uint64_t unpacked_size; /* 0: stored as it is */
};
_Static_assert(sizeof(struct fatbin_entry) == 64, "as nvcc lays it out");

/* Where fatbin_entry.options points. */
struct fatbin_options {
	uint32_t offset; /* of the text, in the header */
	uint32_t length;
};

#endif /* VGPU_FATBIN_H */
