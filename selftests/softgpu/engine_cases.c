// SPDX-License-Identifier: MIT
/*
 * Single instructions with operands that are easy to get wrong, and what the
 * PTX manual says comes out.
 */
#include "engine_test.h"

#include <inttypes.h>

struct insn_case {
	char		kind;		/* of the result: h w q f d p */
	const char	*text;
	uint64_t	a, b, c, want;
};

static const char head[] =
	".version 8.0\n.target sm_75\n.address_size 64\n"
	".visible .entry k(.param .u64 out, .param .u64 pa, .param .u64 pb, .param .u64 pc)\n"
	"{\n.reg .b64 %rd<8>; .reg .b32 %r<8>; .reg .b16 %h<8>;\n"
	".reg .f32 %f<8>; .reg .f64 %d<8>; .reg .pred %p<8>;\n"
	"ld.param.u64 %rd0, [out]; ld.param.u64 %rd1, [pa];\n"
	"ld.param.u64 %rd2, [pb]; ld.param.u64 %rd3, [pc];\n"
	"cvt.u32.u64 %r1, %rd1; cvt.u32.u64 %r2, %rd2; cvt.u32.u64 %r3, %rd3;\n"
	"cvt.u16.u64 %h1, %rd1; cvt.u16.u64 %h2, %rd2; cvt.u16.u64 %h3, %rd3;\n"
	"mov.b32 %f1, %r1; mov.b32 %f2, %r2; mov.b32 %f3, %r3;\n"
	"mov.b64 %d1, %rd1; mov.b64 %d2, %rd2; mov.b64 %d3, %rd3;\n"
	"setp.ne.u32 %p3, %r3, 0; mov.u64 %rd4, 0; mov.u32 %r4, 0;\n";

static const char *tail_of(char kind)
{
	switch (kind) {
	case 'h': return "cvt.u64.u16 %rd4, %h4;";
	case 'w': return "cvt.u64.u32 %rd4, %r4;";
	case 'f': return "mov.b32 %r4, %f4; cvt.u64.u32 %rd4, %r4;";
	case 'd': return "mov.b64 %rd4, %d4;";
	case 'p': return "selp.u64 %rd4, 1, 0, %p4;";
	default: return "";
	}
}

static void run_case(const struct insn_case *c, uint64_t *out)
{
	struct sg_fault fault = { 0 };
	struct sg_module *mod;
	char text[4096];
	CUresult res;

	snprintf(text, sizeof(text), "%s%s\n%s\nst.global.u64 [%%rd0], %%rd4;\nret;\n}\n", head,
		 c->text, tail_of(c->kind));
	if (load_text(text, &mod) != CUDA_SUCCESS) {
		test_failures++;
		printf("# %s: %s", c->text, test_log);
		return;
	}
	*out = 0x5555;
	res = run_kernel(mod, "k", (struct run){ 0 }, &fault, 4, ARG((uintptr_t)out), ARG(c->a),
			 ARG(c->b), ARG(c->c));
	if (res != CUDA_SUCCESS || *out != c->want) {
		test_failures++;
		printf("# %s a=%" PRIx64 " b=%" PRIx64 " c=%" PRIx64 ": %" PRIx64
		       ", not %" PRIx64 " %s\n", c->text, c->a, c->b, c->c, *out, c->want,
		       fault.text);
	}
	sg_module_unload(mod);
}

static void run_cases(const struct insn_case *c, size_t n)
{
	uint64_t *out = dev_alloc(8);

	for (size_t i = 0; i < n; i++)
		run_case(&c[i], out);
	dev_free(out);
}

#define CASES(name, ...)							\
	TEST(name)								\
	{									\
		static const struct insn_case cases[] = { __VA_ARGS__ };	\
										\
		run_cases(cases, sizeof(cases) / sizeof(*cases));		\
	}

#define MIN32	0x80000000u
#define MIN64	0x8000000000000000u
#define ALL32	0xffffffffu
#define ALL64	0xffffffffffffffffu

CASES(division,
	{ 'w', "div.s32 %r4, %r1, %r2;", MIN32, ALL32, 0, MIN32 },
	{ 'w', "rem.s32 %r4, %r1, %r2;", MIN32, ALL32, 0, 0 },
	{ 'w', "div.s32 %r4, %r1, %r2;", -7u, 2, 0, -3u },
	{ 'w', "rem.s32 %r4, %r1, %r2;", -7u, 2, 0, -1u },
	{ 'w', "div.u32 %r4, %r1, %r2;", 5, 0, 0, ALL32 },
	{ 'w', "rem.u32 %r4, %r1, %r2;", 5, 0, 0, 5 },
	{ 'q', "div.s64 %rd4, %rd1, %rd2;", MIN64, ALL64, 0, MIN64 },
	{ 'q', "rem.s64 %rd4, %rd1, %rd2;", MIN64, ALL64, 0, 0 },
	{ 'q', "div.u64 %rd4, %rd1, %rd2;", ALL64, 10, 0, ALL64 / 10 },
	{ 'h', "div.s16 %h4, %h1, %h2;", 0x8000, 0xffff, 0, 0x8000 },
	{ 'h', "rem.u16 %h4, %h1, %h2;", 0xffff, 10, 0, 5 },
	{ 'h', "div.u16 %h4, %h1, %h2;", 0x1fffe, 2, 0, 0x7fff })

CASES(shifts,
	{ 'w', "shl.b32 %r4, %r1, %r2;", 1, 31, 0, MIN32 },
	{ 'w', "shl.b32 %r4, %r1, %r2;", 1, 32, 0, 0 },
	{ 'w', "shl.b32 %r4, %r1, %r2;", 1, ALL32, 0, 0 },
	{ 'w', "shr.u32 %r4, %r1, %r2;", ALL32, 32, 0, 0 },
	{ 'w', "shr.s32 %r4, %r1, %r2;", MIN32, 40, 0, ALL32 },
	{ 'q', "shl.b64 %rd4, %rd1, %r2;", 1, 64, 0, 0 },
	{ 'q', "shr.s64 %rd4, %rd1, %r2;", MIN64, 70, 0, ALL64 },
	{ 'h', "shr.s16 %h4, %h1, %r2;", 0x8000, 4, 0, 0xf800 },
	{ 'h', "shl.b16 %h4, %h1, %r2;", 0xffff, 16, 0, 0 },
	{ 'w', "shf.l.clamp.b32 %r4, %r1, %r2, %r3;", 0x12345678, 0x9abcdef0, 32, 0x12345678 },
	{ 'w', "shf.l.wrap.b32 %r4, %r1, %r2, %r3;", 0x12345678, 0x9abcdef0, 36, 0xabcdef01 },
	{ 'w', "shf.r.wrap.b32 %r4, %r1, %r2, %r3;", 0x12345678, 0x9abcdef0, 8, 0xf0123456 },
	{ 'w', "shf.r.clamp.b32 %r4, %r1, %r2, %r3;", 0x12345678, 0x9abcdef0, 99, 0x9abcdef0 })

CASES(fields,
	{ 'w', "bfe.u32 %r4, %r1, %r2, %r3;", 0xabcd1234, 8, 8, 0x12 },
	{ 'w', "bfe.s32 %r4, %r1, %r2, %r3;", 0xabcd1234, 24, 8, 0xffffffab },
	{ 'w', "bfe.s32 %r4, %r1, %r2, %r3;", 0xabcd1234, 28, 16, 0xfffffffa },
	{ 'w', "bfe.u32 %r4, %r1, %r2, %r3;", ALL32, 40, 8, 0 },
	{ 'w', "bfe.s32 %r4, %r1, %r2, %r3;", MIN32, 40, 8, ALL32 },
	{ 'w', "bfe.u32 %r4, %r1, %r2, %r3;", ALL32, 0, 0, 0 },
	{ 'w', "bfe.u32 %r4, %r1, %r2, %r3;", ALL32, 0, 255, ALL32 },
	{ 'q', "bfe.s64 %rd4, %rd1, %r2, %r3;", MIN64, 60, 10, 0xfffffffffffffff8 },
	{ 'w', "bfi.b32 %r4, %r1, %r2, 4, 8;", 0xff, 0, 0, 0xff0 },
	{ 'w', "bfi.b32 %r4, %r1, %r2, 28, 16;", 0xff, 0, 0, 0xf0000000 },
	{ 'w', "bfi.b32 %r4, %r1, %r2, 32, 8;", 0xff, 0x77, 0, 0x77 },
	{ 'q', "bfi.b64 %rd4, %rd1, %rd2, 32, 32;", 0xdeadbeef, 0x12345678, 0,
	  0xdeadbeef12345678 },
	{ 'w', "bfind.u32 %r4, %r1;", 0, 0, 0, ALL32 },
	{ 'w', "bfind.s32 %r4, %r1;", ALL32, 0, 0, ALL32 },
	{ 'w', "bfind.s32 %r4, %r1;", -256u, 0, 0, 7 },
	{ 'w', "bfind.shiftamt.u32 %r4, %r1;", 1, 0, 0, 31 },
	{ 'w', "bfind.u64 %r4, %rd1;", 1ull << 40, 0, 0, 40 },
	{ 'w', "clz.b32 %r4, %r1;", 0, 0, 0, 32 },
	{ 'w', "clz.b64 %r4, %rd1;", 0, 0, 0, 64 },
	{ 'w', "popc.b64 %r4, %rd1;", ALL64, 0, 0, 64 },
	{ 'w', "brev.b32 %r4, %r1;", 1, 0, 0, MIN32 },
	{ 'q', "brev.b64 %rd4, %rd1;", 2, 0, 0, 1ull << 62 },
	{ 'w', "bmsk.clamp.b32 %r4, %r1, %r2;", 4, 8, 0, 0xff0 },
	{ 'w', "bmsk.clamp.b32 %r4, %r1, %r2;", 30, 8, 0, 0xc0000000 },
	{ 'w', "bmsk.wrap.b32 %r4, %r1, %r2;", 33, 34, 0, 6 },
	{ 'w', "szext.clamp.s32 %r4, %r1, %r2;", 0x80, 8, 0, 0xffffff80 },
	{ 'w', "szext.wrap.u32 %r4, %r1, %r2;", 0xabcd, 40, 0, 0xcd },
	{ 'w', "fns.b32 %r4, %r1, 0, 2;", 0x16, 0, 0, 2 },
	{ 'w', "prmt.b32 %r4, %r1, %r2, %r3;", 0x33221100, 0x77665544, 0x7531, 0x77553311 },
	{ 'w', "prmt.b32 %r4, %r1, %r2, %r3;", 0x80, 0x7f, 0xc840, 0x00ff7f80 },
	{ 'w', "prmt.b32.f4e %r4, %r1, %r2, %r3;", 0x33221100, 0x77665544, 1, 0x44332211 },
	{ 'w', "prmt.b32.rc8 %r4, %r1, %r2, %r3;", 0x33221100, 0, 2, 0x22222222 },
	{ 'w', "lop3.b32 %r4, %r1, %r2, %r3, 0x96;", 0xf0f0, 0xff00, 0xaaaa,
	  0xf0f0 ^ 0xff00 ^ 0xaaaa },
	{ 'w', "lop3.b32 %r4, %r1, %r2, %r3, 0xca;", 0xff00, 0x1234, 0xabcd, 0x12cd })

CASES(carries,
	{ 'w', "add.cc.u32 %r5, %r1, %r2; addc.u32 %r4, 0, 0;", ALL32, 1, 0, 1 },
	{ 'w', "add.cc.u32 %r5, %r1, %r2; addc.cc.u32 %r6, %r5, %r3; addc.u32 %r4, 0, 5;",
	  ALL32, 1, ALL32, 6 },
	{ 'w', "sub.cc.u32 %r5, %r1, %r2; subc.u32 %r4, 10, 3;", 1, 2, 0, 6 },
	{ 'w', "sub.cc.u32 %r5, %r1, %r2; subc.u32 %r4, 10, 3;", 2, 2, 0, 7 },
	{ 'q', "add.cc.u64 %rd5, %rd1, %rd2; addc.u64 %rd4, 0, 0;", ALL64, ALL64, 0, 1 },
	{ 'w', "mad.lo.cc.u32 %r5, %r1, %r2, %r3; madc.hi.u32 %r4, %r1, %r2, 0;", ALL32, ALL32,
	  ALL32, 0xffffffff },
	{ 'w', "mad.hi.cc.u32 %r5, %r1, %r2, %r3; addc.u32 %r4, 0, 0;", ALL32, ALL32, 2, 1 })

CASES(products,
	{ 'w', "mul.hi.s32 %r4, %r1, %r2;", MIN32, MIN32, 0, 0x40000000 },
	{ 'w', "mul.hi.u32 %r4, %r1, %r2;", ALL32, ALL32, 0, 0xfffffffe },
	{ 'q', "mul.hi.s64 %rd4, %rd1, %rd2;", ALL64, ALL64, 0, 0 },
	{ 'q', "mul.hi.u64 %rd4, %rd1, %rd2;", ALL64, ALL64, 0, ALL64 - 1 },
	{ 'q', "mul.wide.s32 %rd4, %r1, %r2;", ALL32, 5, 0, (uint64_t)-5 },
	{ 'q', "mad.wide.u32 %rd4, %r1, %r2, %rd3;", ALL32, ALL32, 1, 0xfffffffe00000002 },
	{ 'w', "mul.wide.s16 %r4, %h1, %h2;", 0xffff, 2, 0, -2u },
	{ 'w', "mul24.lo.s32 %r4, %r1, %r2;", 0xffffff, 3, 0, -3u },
	{ 'w', "mad24.lo.u32 %r4, %r1, %r2, %r3;", 0x1000002, 3, 1, 7 },
	{ 'h', "mad.lo.s16 %h4, %h1, %h2, %h3;", 0x100, 0x100, 7, 7 },
	{ 'w', "sad.s32 %r4, %r1, %r2, %r3;", MIN32, 0x7fffffff, 1, 0 },
	{ 'w', "abs.s32 %r4, %r1;", MIN32, 0, 0, MIN32 },
	{ 'w', "add.sat.s32 %r4, %r1, %r2;", 0x7fffffff, 1, 0, 0x7fffffff },
	{ 'w', "add.sat.s32 %r4, %r1, %r2;", -7u, 5, 0, -2u },
	{ 'w', "add.sat.s32 %r4, %r1, %r2;", MIN32, -1u, 0, MIN32 },
	{ 'w', "sub.sat.s32 %r4, %r1, %r2;", MIN32, 1, 0, MIN32 },
	{ 'w', "sub.sat.s32 %r4, %r1, %r2;", 0x7fffffff, -1u, 0, 0x7fffffff },
	{ 'w', "sub.sat.s32 %r4, %r1, %r2;", 5, 7, 0, -2u },
	{ 'w', "min.s32 %r4, %r1, %r2;", ALL32, 1, 0, ALL32 },
	{ 'w', "min.u32 %r4, %r1, %r2;", ALL32, 1, 0, 1 },
	{ 'h', "max.s16 %h4, %h1, %h2;", 0xffff, 1, 0, 1 },
	{ 'w', "dp4a.s32.s32 %r4, %r1, %r2, %r3;", 0xff01ff01, 0x02020202, 10, 10 },
	{ 'w', "dp4a.u32.s32 %r4, %r1, %r2, %r3;", 0xff, 0xff, 0, -255u },
	{ 'w', "dp2a.lo.s32.u32 %r4, %r1, %r2, %r3;", 0xffff0002, 0x0304, 1, 1 + 8 - 3 },
	{ 'w', "dp2a.hi.u32.u32 %r4, %r1, %r2, %r3;", 0x00010002, 0x03040000, 0, 8 + 3 },
	{ 'w', "vabsdiff4.u32.u32.u32.add %r4, %r1, %r2, %r3;", 0x10203040, 0x40302010, 1,
	  1 + 0x30 + 0x10 + 0x10 + 0x30 })

#define NAN32	0x7fc00001u
#define CANON	0x7fffffffu
#define ONE	0x3f800000u
#define INF32	0x7f800000u
#define NZERO	0x80000000u

CASES(floats,
	{ 'f', "min.f32 %f4, %f1, %f2;", NAN32, ONE, 0, ONE },
	{ 'f', "max.f32 %f4, %f1, %f2;", ONE, NAN32, 0, ONE },
	{ 'f', "min.f32 %f4, %f1, %f2;", NAN32, NAN32, 0, CANON },
	{ 'f', "min.NaN.f32 %f4, %f1, %f2;", NAN32, ONE, 0, CANON },
	{ 'f', "min.f32 %f4, %f1, %f2;", 0, NZERO, 0, NZERO },
	{ 'f', "max.f32 %f4, %f1, %f2;", NZERO, 0, 0, 0 },
	{ 'f', "add.f32 %f4, %f1, %f2;", INF32, INF32 | NZERO, 0, CANON },
	{ 'f', "add.ftz.f32 %f4, %f1, %f2;", 0x00400000, 0x00300000, 0, 0 },
	{ 'f', "add.f32 %f4, %f1, %f2;", 0x00400000, 0x00300000, 0, 0x00700000 },
	{ 'f', "mul.ftz.f32 %f4, %f1, %f2;", 0x80800000, 0x3f000000, 0, NZERO },
	{ 'f', "add.rz.f32 %f4, %f1, %f2;", ONE, 0x33800001, 0, ONE },
	{ 'f', "add.rp.f32 %f4, %f1, %f2;", ONE, 0x20000000, 0, 0x3f800001 },
	{ 'f', "add.rm.f32 %f4, %f1, %f2;", 0xbf800000, 0xa0000000, 0, 0xbf800001 },
	{ 'f', "mul.rz.f32 %f4, %f1, %f2;", 0x7f7fffff, 0x40000000, 0, 0x7f7fffff },
	{ 'f', "fma.rn.f32 %f4, %f1, %f2, %f3;", 0x3f800001, 0x3f800001, 0xbf800002, 0x28800000 },
	{ 'f', "add.sat.f32 %f4, %f1, %f2;", ONE, ONE, 0, ONE },
	{ 'f', "add.sat.f32 %f4, %f1, %f2;", NAN32, ONE, 0, 0 },
	{ 'f', "add.sat.f32 %f4, %f1, %f2;", 0x3e800000, 0x3e800000, 0, 0x3f000000 },
	{ 'f', "add.sat.f32 %f4, %f1, %f2;", 0xbf800000, 0x3f000000, 0, 0 },
	{ 'f', "rcp.rn.f32 %f4, %f1;", 0x40400000, 0, 0, 0x3eaaaaab },
	{ 'f', "rcp.rz.f32 %f4, %f1;", 0x40400000, 0, 0, 0x3eaaaaaa },
	{ 'f', "div.rp.f32 %f4, %f1, %f2;", ONE, 0x40400000, 0, 0x3eaaaaab },
	{ 'f', "sqrt.rn.f32 %f4, %f1;", 0xbf800000, 0, 0, CANON },
	{ 'f', "rsqrt.approx.f32 %f4, %f1;", 0x40800000, 0, 0, 0x3f000000 },
	{ 'f', "ex2.approx.ftz.f32 %f4, %f1;", 0x40400000, 0, 0, 0x41000000 },
	{ 'f', "lg2.approx.f32 %f4, %f1;", 0, 0, 0, 0xff800000 },
	{ 'f', "copysign.f32 %f4, %f1, %f2;", NZERO, ONE, 0, 0xbf800000 },
	{ 'd', "min.f64 %d4, %d1, %d2;", 0x7ff8000000000000, 0x3ff0000000000000, 0,
	  0x3ff0000000000000 },
	{ 'd', "add.rp.f64 %d4, %d1, %d2;", 0x3ff0000000000000, 1, 0, 0x3ff0000000000001 },
	{ 'd', "fma.rz.f64 %d4, %d1, %d2, %d3;", 0x3ff0000000000001, 0x3ff0000000000001, 0,
	  0x3ff0000000000002 },
	{ 'd', "rcp.approx.ftz.f64 %d4, %d1;", 0x4000000000000000, 0, 0, 0x3fe0000000000000 },
	{ 'd', "rcp.approx.ftz.f64 %d4, %d1;", 1, 0, 0, 0x7ff0000000000000 },
	{ 'p', "setp.lt.f32 %p4, %f1, %f2;", NAN32, ONE, 0, 0 },
	{ 'p', "setp.ltu.f32 %p4, %f1, %f2;", NAN32, ONE, 0, 1 },
	{ 'p', "setp.ne.f32 %p4, %f1, %f2;", NAN32, NAN32, 0, 0 },
	{ 'p', "setp.neu.f32 %p4, %f1, %f2;", NAN32, NAN32, 0, 1 },
	{ 'p', "setp.eq.f32 %p4, %f1, %f2;", 0, NZERO, 0, 1 },
	{ 'p', "setp.nan.f64 %p4, %d1, %d2;", 0x7ff8000000000000, 0, 0, 1 },
	{ 'p', "setp.lt.ftz.f32 %p4, %f1, %f2;", 0, 0x00400000, 0, 0 },
	{ 'p', "testp.subnormal.f32 %p4, %f1;", 0x00400000, 0, 0, 1 },
	{ 'p', "testp.normal.f32 %p4, %f1;", 0, 0, 0, 0 },
	{ 'w', "set.gt.u32.f32 %r4, %f1, %f2;", ONE, 0, 0, ALL32 },
	{ 'f', "set.gt.f32.s32 %f4, %r1, %r2;", 5, 4, 0, ONE },
	{ 'f', "slct.f32.f32 %f4, %f1, %f2, %f3;", ONE, 0, NAN32, 0 },
	{ 'f', "slct.f32.s32 %f4, %f1, %f2, %r3;", ONE, 0, 0, ONE })

CASES(predicates,
	{ 'p', "setp.lt.s32 %p4, %r1, %r2;", ALL32, 0, 0, 1 },
	{ 'p', "setp.lt.u32 %p4, %r1, %r2;", ALL32, 0, 0, 0 },
	{ 'p', "setp.lo.u32 %p4, %r1, %r2;", 1, 2, 0, 1 },
	{ 'p', "setp.hs.u64 %p4, %rd1, %rd2;", ALL64, 2, 0, 1 },
	{ 'p', "setp.eq.and.s32 %p4|%p5, %r1, %r2, %p3;", 1, 1, 0, 0 },
	{ 'p', "setp.eq.or.s32 %p5|%p4, %r1, %r2, !%p3;", 1, 1, 0, 1 },
	{ 'p', "setp.eq.xor.s32 %p5|%p4, %r1, %r2, %p3;", 1, 2, 1, 0 },
	{ 'p', "setp.lt.s16 %p4, %h1, %h2;", 0xffff, 0, 0, 1 },
	{ 'p', "mov.pred %p4, -1; not.pred %p4, %p4;", 0, 0, 0, 0 },
	{ 'p', "setp.ne.u32 %p5, %r1, 0; and.pred %p4, %p5, %p3;", 1, 0, 1, 1 },
	{ 'w', "@%p3 mov.u32 %r4, 7; @!%p3 mov.u32 %r4, 9;", 0, 0, 0, 9 },
	{ 'w', "selp.b32 %r4, %r1, %r2, %p3;", 3, 4, 1, 3 })

CASES(conversions,
	{ 'w', "cvt.rzi.s32.f32 %r4, %f1;", 0x4f800000, 0, 0, 0x7fffffff },
	{ 'w', "cvt.rzi.s32.f32 %r4, %f1;", 0xcf800000, 0, 0, MIN32 },
	{ 'w', "cvt.rzi.s32.f32 %r4, %f1;", NAN32, 0, 0, 0 },
	{ 'w', "cvt.rzi.u32.f32 %r4, %f1;", 0xbf800000, 0, 0, 0 },
	{ 'w', "cvt.rzi.u32.f32 %r4, %f1;", 0x4f000000, 0, 0, MIN32 },
	{ 'q', "cvt.rzi.s64.f32 %rd4, %f1;", NAN32, 0, 0, MIN64 },
	{ 'w', "cvt.rzi.s32.f64 %r4, %d1;", 0x7ff8000000000000, 0, 0, MIN32 },
	{ 'w', "cvt.rni.s32.f32 %r4, %f1;", 0x40200000, 0, 0, 2 },
	{ 'w', "cvt.rpi.s32.f32 %r4, %f1;", 0x40066666, 0, 0, 3 },
	{ 'w', "cvt.rmi.s32.f32 %r4, %f1;", 0xc0066666, 0, 0, -3u },
	{ 'w', "cvt.rzi.u8.f32 %r4, %f1;", 0x43960000, 0, 0, 255 },
	{ 'f', "cvt.rn.f32.s32 %f4, %r1;", 16777217, 0, 0, 0x4b800000 },
	{ 'f', "cvt.rp.f32.s32 %f4, %r1;", 16777217, 0, 0, 0x4b800001 },
	{ 'f', "cvt.rn.f32.u64 %f4, %rd1;", ALL64, 0, 0, 0x5f800000 },
	{ 'f', "cvt.rz.f32.u64 %f4, %rd1;", ALL64, 0, 0, 0x5f7fffff },
	{ 'd', "cvt.rn.f64.u64 %d4, %rd1;", 0x20000000000001, 0, 0, 0x4340000000000000 },
	{ 'd', "cvt.rp.f64.s64 %d4, %rd1;", 0x20000000000001, 0, 0, 0x4340000000000001 },
	{ 'f', "cvt.rz.f32.f64 %f4, %d1;", 0x3fffffffffffffff, 0, 0, 0x3fffffff },
	{ 'f', "cvt.rn.f32.f64 %f4, %d1;", 0x3fffffffffffffff, 0, 0, 0x40000000 },
	{ 'f', "cvt.rmi.f32.f32 %f4, %f1;", 0xbf000000, 0, 0, 0xbf800000 },
	{ 'f', "cvt.rni.f32.f32 %f4, %f1;", 0xbe800000, 0, 0, NZERO },
	{ 'f', "cvt.sat.f32.f32 %f4, %f1;", 0x40000000, 0, 0, ONE },
	{ 'w', "cvt.s32.s8 %r4, %r1;", 0x80, 0, 0, 0xffffff80 },
	{ 'w', "cvt.u32.u8 %r4, %r1;", 0x180, 0, 0, 0x80 },
	{ 'w', "cvt.s32.s16 %r4, %h1;", 0x8000, 0, 0, 0xffff8000 },
	{ 'w', "cvt.u32.u16 %r4, %h1;", 0x18000, 0, 0, 0x8000 },
	{ 'q', "cvt.s64.s32 %rd4, %r1;", MIN32, 0, 0, 0xffffffff80000000 },
	{ 'q', "cvt.u64.u32 %rd4, %r1;", MIN32, 0, 0, MIN32 },
	{ 'w', "cvt.sat.s8.s32 %r4, %r1;", 300, 0, 0, 127 },
	{ 'w', "cvt.sat.s8.s32 %r4, %r1;", -300u, 0, 0, -128u },
	{ 'w', "cvt.sat.s8.s32 %r4, %r1;", -100u, 0, 0, -100u },
	{ 'w', "cvt.sat.u8.s32 %r4, %r1;", -5u, 0, 0, 0 },
	{ 'w', "cvt.sat.u8.s32 %r4, %r1;", 300, 0, 0, 255 },
	{ 'w', "cvt.sat.u8.s32 %r4, %r1;", 200, 0, 0, 200 },
	{ 'w', "cvt.sat.u32.s64 %r4, %rd1;", 1ull << 40, 0, 0, ALL32 },
	{ 'w', "mov.b32 {%h5, %h6}, %r1; mov.b32 %r4, {%h6, %h5};", 0x12345678, 0, 0, 0x56781234 },
	{ 'q', "mov.b64 {%r5, %r6}, %rd1; mov.b64 %rd4, {%r6, %r5};", 0x1122334455667788, 0, 0,
	  0x5566778811223344 })

CASES(halves,
	{ 'h', "cvt.rn.f16.f32 %h4, %f1;", ONE, 0, 0, 0x3c00 },
	{ 'h', "cvt.rn.f16.f32 %h4, %f1;", 0x477ff000, 0, 0, 0x7c00 },
	{ 'h', "cvt.rz.f16.f32 %h4, %f1;", 0x477ff000, 0, 0, 0x7bff },
	{ 'h', "cvt.rn.f16.f32 %h4, %f1;", 0x33000001, 0, 0, 1 },
	{ 'h', "cvt.rn.f16.f32 %h4, %f1;", 0x33000000, 0, 0, 0 },
	{ 'h', "cvt.rn.bf16.f32 %h4, %f1;", 0x3f808000, 0, 0, 0x3f80 },
	{ 'h', "cvt.rn.bf16.f32 %h4, %f1;", 0x3f818000, 0, 0, 0x3f82 },
	{ 'f', "cvt.f32.f16 %f4, %h1;", 1, 0, 0, 0x33800000 },
	{ 'f', "cvt.f32.f16 %f4, %h1;", 0xfc00, 0, 0, 0xff800000 },
	{ 'h', "add.f16 %h4, %h1, %h2;", 0x3c00, 0x3c00, 0, 0x4000 },
	{ 'h', "mul.f16 %h4, %h1, %h2;", 0x7bff, 0x4000, 0, 0x7c00 },
	{ 'h', "fma.rn.f16 %h4, %h1, %h2, %h3;", 0x3c01, 0x3c01, 0xbc02, 0x0010 },
	{ 'w', "fma.rn.f16x2 %r4, %r1, %r2, %r3;", 0x40003c00, 0x40003c00, 0x3c003c00, 0x45004000 },
	{ 'w', "add.bf16x2 %r4, %r1, %r2;", 0x3f803f80, 0x3f803f80, 0, 0x40004000 },
	{ 'h', "fma.rn.bf16 %h4, %h1, %h2, %h3;", 0x3f80, 0x3f80, 0x3f80, 0x4000 },
	{ 'w', "neg.f16x2 %r4, %r1;", 0x3c00bc00, 0, 0, 0xbc003c00 },
	{ 'h', "max.f16 %h4, %h1, %h2;", 0x7e00, 0x3c00, 0, 0x3c00 },
	{ 'p', "setp.gt.f16 %p4, %h1, %h2;", 0x4000, 0x3c00, 0, 1 },
	{ 'p', "setp.gt.f16x2 %p5|%p4, %r1, %r2;", 0x40000000, 0x3c003c00, 0, 1 },
	{ 'w', "set.gt.f16x2.f16x2 %r4, %r1, %r2;", 0x40000000, 0x3c003c00, 0, 0x3c000000 },
	{ 'w', "cvt.rn.f16x2.f32 %r4, %f1, %f2;", ONE, 0x40000000, 0, 0x3c004000 })

int main(int argc, char **argv)
{
	return test_main(argc, argv);
}
