// SPDX-License-Identifier: MIT
/* Integer arithmetic. Everything wraps, so it is done in unsigned types. */
#include "softgpu/ops.h"

#include <limits.h>

typedef uint16_t u16;
typedef int16_t s16;
typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;
typedef unsigned __int128 u128;
typedef __int128 s128;

/* An operation on 16 bits in registers of 32, on 32 and on 64 bits. */
#define ANY2(name, expr16, expr)						\
	OP2(name##_16, u32, u32, (u16)(expr16))					\
	OP2(name##_32, u32, u32, expr)						\
	OP2(name##_64, u64, u64, expr)

OP1(mov_32, u32, u32, a[i])
OP1(mov_64, u64, u64, a[i])
ANY2(add, a[i] + b[i], a[i] + b[i])
ANY2(sub, a[i] - b[i], a[i] - b[i])
ANY2(mul, a[i] * b[i], a[i] * b[i])
OP3(mad_16, u32, u32, (u16)(a[i] * b[i] + c[i]))
OP3(mad_32, u32, u32, a[i] * b[i] + c[i])
OP3(mad_64, u64, u64, a[i] * b[i] + c[i])
OP1(neg_16, u32, u32, (u16)-a[i])
OP1(neg_32, u32, u32, -a[i])
OP1(neg_64, u64, u64, -a[i])

HANDLER(mov_p)
{
	sg_set_pred(w, in->opd[SG_D], mask, sg_pred(w, in->opd[SG_A]));
}

HANDLER(movi_32)
{
	u32 *d = sg_reg(w, in->opd[SG_D]), v = in->imm;

	EACH(d, v);
}

HANDLER(movi_64)
{
	u64 *d = sg_reg(w, in->opd[SG_D]), v = in->imm;

	EACH(d, v);
}

static inline s32 saturate(s64 v)
{
	return v > INT_MAX ? INT_MAX : v < INT_MIN ? INT_MIN : v;
}

OP2(addsat_s32, s32, s32, saturate((s64)a[i] + b[i]))
OP2(subsat_s32, s32, s32, saturate((s64)a[i] - b[i]))

/* ---- products ---- */

OP2(mulhi_u16, u32, u32, (u32)(u16)a[i] * (u16)b[i] >> 16)
OP2(mulhi_s16, u32, u32, (u16)((s32)(s16)a[i] * (s16)b[i] >> 16))
OP2(mulhi_u32, u32, u32, (u64)a[i] * b[i] >> 32)
OP2(mulhi_s32, s32, s32, (s64)a[i] * b[i] >> 32)
OP2(mulhi_u64, u64, u64, (u128)a[i] * b[i] >> 64)
OP2(mulhi_s64, s64, s64, (s128)a[i] * b[i] >> 64)
OP2(mulw_u16, u32, u32, (u32)(u16)a[i] * (u16)b[i])
OP2(mulw_s16, u32, u32, (u32)((s32)(s16)a[i] * (s16)b[i]))
OP2(mulw_u32, u64, u32, (u64)a[i] * b[i])
OP2(mulw_s32, u64, s32, (u64)((s64)a[i] * b[i]))
OP3(madw_u16, u32, u32, (u32)(u16)a[i] * (u16)b[i] + c[i])
OP3(madw_s16, u32, u32, (u32)((s32)(s16)a[i] * (s16)b[i]) + c[i])
OP3T(madw_u32, u64, u32, u32, u64, (u64)a[i] * b[i] + c[i])
OP3T(madw_s32, u64, s32, s32, u64, (u64)((s64)a[i] * b[i]) + c[i])
OP3(madhi_u16, u32, u32, (u16)(((u32)(u16)a[i] * (u16)b[i] >> 16) + c[i]))
OP3(madhi_s16, u32, u32, (u16)((u32)((s32)(s16)a[i] * (s16)b[i] >> 16) + c[i]))
OP3(madhi_u32, u32, u32, (u32)((u64)a[i] * b[i] >> 32) + c[i])
OP3T(madhi_s32, u32, s32, s32, u32, (u32)((s64)a[i] * b[i] >> 32) + c[i])
OP3(madhi_u64, u64, u64, (u64)((u128)a[i] * b[i] >> 64) + c[i])
OP3T(madhi_s64, u64, s64, s64, u64, (u64)((s128)a[i] * b[i] >> 64) + c[i])

static inline s32 sext24(u32 v)
{
	return (s32)(v << 8) >> 8;
}

OP2(mul24lo_u32, u32, u32, (u32)((u64)(a[i] & 0xffffff) * (b[i] & 0xffffff)))
OP2(mul24lo_s32, u32, u32, (u32)((s64)sext24(a[i]) * sext24(b[i])))
OP2(mul24hi_u32, u32, u32, (u32)((u64)(a[i] & 0xffffff) * (b[i] & 0xffffff) >> 16))
OP2(mul24hi_s32, u32, u32, (u32)((s64)sext24(a[i]) * sext24(b[i]) >> 16))

/* ---- differences, quotients, order ---- */

/* One row for each of u16 s16 u32 s32 u64 s64: storage, value type, name. */
#define US2(name, expr)								\
	OP2(name##_u16, u32, u32, (u16)expr(u16, (u16)a[i], (u16)b[i]))		\
	OP2(name##_s16, u32, u32, (u16)expr(s16, (s16)a[i], (s16)b[i]))		\
	OP2(name##_u32, u32, u32, expr(u32, a[i], b[i]))			\
	OP2(name##_s32, s32, s32, expr(s32, a[i], b[i]))			\
	OP2(name##_u64, u64, u64, expr(u64, a[i], b[i]))			\
	OP2(name##_s64, s64, s64, expr(s64, a[i], b[i]))

#define MIN_OF(T, x, y)	((x) < (y) ? (x) : (y))
#define MAX_OF(T, x, y)	((x) > (y) ? (x) : (y))
US2(min, MIN_OF)
US2(max, MAX_OF)

/*
 * PTX leaves division by zero open; hardware gives all ones and, for the
 * remainder, the dividend. INT_MIN / -1 wraps, where x86 would trap.
 */
#define DIVIDE(T, x, y)	sg_div_##T(x, y)
#define REST(T, x, y)	sg_rem_##T(x, y)

#define DIVISION(T, U, minus_one)						\
	static inline T sg_div_##T(T x, T y)					\
	{									\
		if (y == 0)							\
			return (T)-1;						\
		return minus_one ? (T)(0 - (U)x) : x / y;			\
	}									\
	static inline T sg_rem_##T(T x, T y)					\
	{									\
		if (y == 0)							\
			return x;						\
		return minus_one ? 0 : x % y;					\
	}
DIVISION(u16, u16, false)
DIVISION(s16, u16, y == -1)
DIVISION(u32, u32, false)
DIVISION(s32, u32, y == -1)
DIVISION(u64, u64, false)
DIVISION(s64, u64, y == -1)
US2(div, DIVIDE)
US2(rem, REST)

#define SAD(name, D, S, U)							\
	OP3T(sad_##name, D, S, S, D,						\
	     (D)(U)((U)((name)a[i] < (name)b[i] ?				\
			(U)(name)b[i] - (U)(name)a[i] :				\
			(U)(name)a[i] - (U)(name)b[i]) + (U)c[i]))
SAD(u16, u32, u32, u16)
SAD(s16, u32, u32, u16)
SAD(u32, u32, u32, u32)
SAD(s32, u32, s32, u32)
SAD(u64, u64, u64, u64)
SAD(s64, u64, s64, u64)

OP1(abs_s16, u32, u32, (u16)((s16)a[i] < 0 ? -a[i] : a[i]))
OP1(abs_s32, u32, u32, (s32)a[i] < 0 ? -a[i] : a[i])
OP1(abs_s64, u64, u64, (s64)a[i] < 0 ? -a[i] : a[i])

/* ---- bits ---- */

OP2(and_32, u32, u32, a[i] & b[i])
OP2(and_64, u64, u64, a[i] & b[i])
OP2(or_32, u32, u32, a[i] | b[i])
OP2(or_64, u64, u64, a[i] | b[i])
OP2(xor_32, u32, u32, a[i] ^ b[i])
OP2(xor_64, u64, u64, a[i] ^ b[i])
OP1(not_32, u32, u32, ~a[i])
OP1(not_64, u64, u64, ~a[i])
OP1(cnot_16, u32, u32, (u16)a[i] == 0)
OP1(cnot_32, u32, u32, a[i] == 0)
OP1(cnot_64, u64, u64, a[i] == 0)

/* Counts beyond the width give 0, or the sign. */
OP2(shl_16, u32, u32, (u16)(b[i] > 15 ? 0 : a[i] << (b[i] & 15)))
OP2(shl_32, u32, u32, b[i] > 31 ? 0 : a[i] << (b[i] & 31))
OP2T(shl_64, u64, u64, u32, b[i] > 63 ? 0 : a[i] << (b[i] & 63))
OP2(shr_u16, u32, u32, b[i] > 15 ? 0 : (u32)(u16)a[i] >> (b[i] & 15))
OP2(shr_s16, u32, u32, (u16)((s16)a[i] >> (b[i] > 15 ? 15 : b[i])))
OP2(shr_u32, u32, u32, b[i] > 31 ? 0 : a[i] >> (b[i] & 31))
OP2T(shr_s32, s32, s32, u32, a[i] >> (b[i] > 31 ? 31 : b[i]))
OP2T(shr_u64, u64, u64, u32, b[i] > 63 ? 0 : a[i] >> (b[i] & 63))
OP2T(shr_s64, s64, s64, u32, a[i] >> (b[i] > 63 ? 63 : b[i]))
