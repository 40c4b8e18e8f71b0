# SPDX-License-Identifier: MIT
"""What a libcuda.so.1 exports: gen/exports.map for the linker, gen/procs.c for
cuGetProcAddress, gen/unsupported.[ch] for functions that nobody wrote."""
from text import banner, made_of, wrapped


def version_script(spec):
    lines = [f"/* {made_of(spec)} */", "{", "global:"]
    return lines + [f"\t{n};" for n in spec.exports] + ["local:", "\t*;", "};"]


# ---- cuGetProcAddress ----

PROCS = """#include "cudafront/cudafront.h"

/*
 * Addresses of symbols by their names alone: cuda.h renames some by macros, and
 * one older than the spec declares not all.
 */
#define SYMBOL(name) extern char symbol_##name[] __asm__(#name);
#define PROC(base, since, name) { #base, since, 0, symbol_##name, NULL },
#define PAIR(base, since, name, since_pt, twin) \\
	{ #base, since, since_pt, symbol_##name, symbol_##twin },
"""


def proc(symbol):
    p = symbol.proc
    words = [p.name, str(p.since), symbol.name]
    if symbol.twin:
        return wrapped("\tPAIR(", words + [str(p.since_pt), symbol.twin], ")")
    return wrapped("\tPROC(", words, ")")


def procs(spec):
    known = sorted((s for s in spec.public if s.proc), key=lambda s: (s.proc.name, s.proc.since))
    lines = banner(spec, "Variants of functions, for cuGetProcAddress.") + PROCS.split("\n")
    lines += [f"SYMBOL({n})" for n in spec.exports]
    lines += ["", "const struct cudafront_proc cudafront_procs[] = {"]
    for symbol in known:
        lines += proc(symbol)
    return lines + ["};", "", "const unsigned cudafront_nprocs =",
                    "\tsizeof(cudafront_procs) / sizeof(cudafront_procs[0]);"]


# ---- functions that nobody wrote ----

UNSUPPORTED_H = """#ifndef VGPU_GEN_UNSUPPORTED_H
#define VGPU_GEN_UNSUPPORTED_H

/*
 * Each exported function has a weak definition that counts the call and returns
 * CUDA_ERROR_NOT_SUPPORTED. With VGPU_TRACE_UNSUPPORTED=1 in the environment, the
 * first call of each is told on stderr.
 */

/* How often @name was called in vain. */
unsigned long vgpu_unsupported_count(const char *name);

#endif /* VGPU_GEN_UNSUPPORTED_H */"""

UNSUPPORTED_C = """#include "gen/unsupported.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cuda.h is not included: its prototypes are not those of these definitions. */
#define NOT_SUPPORTED 801 /* CUDA_ERROR_NOT_SUPPORTED */

static const char *const names[] = {"""

COUNT_C = """};

#define NAMES (sizeof(names) / sizeof(names[0]))

static unsigned long counts[NAMES];

static int unsupported(unsigned n)
{
	const char *trace;

	if (__atomic_fetch_add(&counts[n], 1, __ATOMIC_RELAXED))
		return NOT_SUPPORTED;
	trace = getenv("VGPU_TRACE_UNSUPPORTED");
	if (trace && !strcmp(trace, "1"))
		fprintf(stderr, "vgpu: %s is not supported\\n", names[n]);
	return NOT_SUPPORTED;
}

unsigned long vgpu_unsupported_count(const char *name)
{
	for (unsigned n = 0; n < NAMES; n++)
		if (!strcmp(names[n], name))
			return __atomic_load_n(&counts[n], __ATOMIC_RELAXED);
	return 0;
}

#define UNSUPPORTED(n, name)                                                   \\
	int name(void);                                                        \\
	__attribute__((weak, visibility("default"))) int name(void)            \\
	{                                                                      \\
		return unsupported(n);                                         \\
	}
"""


def unsupported_header(spec):
    return banner(spec, "Functions that nobody wrote.") + UNSUPPORTED_H.split("\n")


def unsupported(spec):
    lines = banner(spec, "Functions that nobody wrote.") + UNSUPPORTED_C.split("\n")
    lines += [f'\t"{n}",' for n in spec.exports] + COUNT_C.split("\n")
    return lines + [f"UNSUPPORTED({i}, {n})" for i, n in enumerate(spec.exports)]
