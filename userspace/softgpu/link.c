// SPDX-License-Identifier: MIT
/*
 * What happens to a module once all of it was read: globals get memory and
 * initial values, .shared variables offsets, instructions their addresses and
 * handlers.
 */
#include "softgpu/exec.h"
#include "softgpu/memory.h"
#include "softgpu/ptx.h"

#include <string.h>

static uint64_t round_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

/* Lays out one space's variables; false: too large. */
static bool layout_globals(struct sg_module *mod, enum sg_space space, uint64_t *bytes)
{
	uint64_t at = 0;

	for (struct sg_var *v = mod->vars; v; v = v->next) {
		if (v->space != space || v->linkage == LINK_EXTERN)
			continue;
		at = round_up(at, v->align);
		v->at = at;
		at += v->size;
		if (at > 1ull << 40)
			return false;
	}
	*bytes = at;
	return true;
}

static CUresult place_globals(struct sg_module *mod, enum sg_space space, CUdeviceptr *base,
			      uint64_t *bytes)
{
	CUresult res;

	if (!layout_globals(mod, space, bytes))
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (!*bytes)
		return CUDA_SUCCESS;
	res = sg_mem_alloc_static(mod->dev, *bytes, base);
	if (res != CUDA_SUCCESS)
		return res;
	for (struct sg_var *v = mod->vars; v; v = v->next) {
		if (v->space != space || v->linkage == LINK_EXTERN)
			continue;
		v->at += *base;
		if (v->init)
			memcpy((void *)(uintptr_t)v->at, v->init, v->size);
	}
	return CUDA_SUCCESS;
}

static uint64_t symbol_value(const struct sg_module *mod, const struct sg_symbol *sym)
{
	if (sym->kind == SYM_FUNC)
		return SG_WINDOW_CODE | (uint64_t)(mod->serial & 0xffffff) << 32 |
		       (uint64_t)sym->func->id << 4;
	return sym->var->at;
}

static bool unresolved(const struct sg_symbol *sym)
{
	return sym->kind == SYM_VAR && sym->var->linkage == LINK_EXTERN && !sym->var->unsized;
}

static const char *relocate_data(struct sg_module *mod)
{
	for (struct sg_var *v = mod->vars; v; v = v->next) {
		for (struct sg_reloc *r = v->relocs; r; r = r->next) {
			uint64_t value;

			if (unresolved(r->sym) || v->linkage == LINK_EXTERN)
				return r->sym->name;
			value = (symbol_value(mod, r->sym) + (uint64_t)r->addend) >> r->shift;
			memcpy((void *)(uintptr_t)(v->at + r->offset), &value, r->bytes);
		}
	}
	return NULL;
}

/* ---- shared memory ---- */

static void place_shared(struct sg_var *v, uint64_t *at)
{
	*at = round_up(*at, v->align);
	v->at = *at;
	*at = *at > UINT32_MAX ? *at : *at + v->size;
}

/*
 * Device functions are shared by the kernels, so what they use comes first
 * and at the same place for each kernel that calls anything.
 */
static uint64_t layout_common(struct sg_module *mod)
{
	uint64_t at = 0;

	mod->dyn_align = 16;
	for (struct sg_var *v = mod->vars; v; v = v->next) {
		if (v->space != SG_SHARED)
			continue;
		if (v->unsized && v->align > mod->dyn_align)
			mod->dyn_align = v->align;
		if (v->common && !v->unsized)
			place_shared(v, &at);
	}
	return at;
}

/* The .shared variable that the instruction of @r names; NULL: something else. */
static struct sg_var *shared_of(const struct sg_reloc *r)
{
	struct sg_var *v = r->sym->kind == SYM_VAR ? r->sym->var : NULL;

	return v && v->space == SG_SHARED && !v->unsized ? v : NULL;
}

static bool uses_common(const struct sg_function *f)
{
	for (struct sg_reloc *r = f->relocs; r; r = r->next)
		if (shared_of(r) && shared_of(r)->common)
			return true;
	return f->calls;
}

static bool layout_kernel(struct sg_function *f, uint64_t common)
{
	uint64_t at = uses_common(f) ? common : 0;

	for (struct sg_reloc *r = f->relocs; r; r = r->next) {
		struct sg_var *v = shared_of(r);

		if (!v || v->common || v->owner == f)
			continue;
		place_shared(v, &at);
		v->owner = f;
	}
	f->shared_bytes = at > SG_SHARED_OPTIN ? 0 : at;
	return at <= SG_SHARED_OPTIN;
}

static const char *relocate_code(struct sg_module *mod, struct sg_function *f)
{
	for (struct sg_reloc *r = f->relocs; r; r = r->next) {
		if (unresolved(r->sym))
			return r->sym->name;
		f->code[r->pc].imm = (int64_t)(symbol_value(mod, r->sym) + (uint64_t)r->addend);
	}
	return NULL;
}

/* ---- functions ---- */

static uint32_t clamp(uint32_t v, uint32_t lo, uint32_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/*
 * The number of registers is an answer to occupancy questions: never so high
 * that a block of the size the kernel allows would not fit.
 */
static void describe(struct sg_module *mod, struct sg_function *f, struct sg_param *params)
{
	const struct sg_proto *proto = &f->proto;
	uint32_t bytes = 0;

	for (unsigned i = 0; i < proto->nparams; i++) {
		params[i].offset = proto->params[i]->at;
		params[i].size = proto->params[i]->size;
		bytes = params[i].offset + params[i].size;
	}
	f->info = (struct sg_function_info){
		.name = f->name,
		.params = params,
		.nparams = proto->nparams,
		.param_bytes = bytes,
		.static_shared = f->shared_bytes,
		.local = f->local_bytes,
		.constant = mod->const_bytes,
		.regs = clamp(f->regs, 16, clamp(SG_REGS_SM / f->max_threads, 16, 255)),
		.max_threads = f->max_threads,
	};
}

static void bind(struct sg_function *f)
{
	sg_op_fn * const *table = sg_op_table();

	for (uint32_t pc = 0; pc < f->ncode; pc++)
		f->code[pc].fn = table[f->code[pc].op];
}

static CUresult link_function(struct sg_module *mod, struct sg_function *f, uint64_t common,
			      struct sg_log *log)
{
	struct sg_param *params;
	const char *missing;

	mod->table[f->id] = f;
	if (!f->defined)
		return CUDA_SUCCESS;
	if (f->entry && !layout_kernel(f, common)) {
		sg_log_add(log, "kernel '%.100s' uses too much shared memory\n", f->name);
		return CUDA_ERROR_INVALID_PTX;
	}
	missing = relocate_code(mod, f);
	if (missing) {
		sg_log_add(log, "'%.100s' is declared but nowhere defined\n", missing);
		return CUDA_ERROR_INVALID_PTX;
	}
	params = sg_arena_alloc(&mod->arena, (f->proto.nparams + 1) * sizeof(*params));
	if (!params)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (f->entry)
		describe(mod, f, params);
	bind(f);
	return CUDA_SUCCESS;
}

CUresult sg_module_link(struct sg_module *mod, struct sg_log *log)
{
	uint64_t global_bytes = 0, common;
	const char *missing;
	CUresult res;

	mod->table = sg_arena_alloc(&mod->arena, (mod->nfuncs + 1) * sizeof(*mod->table));
	if (!mod->table)
		return CUDA_ERROR_OUT_OF_MEMORY;
	res = place_globals(mod, SG_GLOBAL, &mod->globals, &global_bytes);
	if (res == CUDA_SUCCESS)
		res = place_globals(mod, SG_CONST, &mod->consts, &mod->const_bytes);
	if (res != CUDA_SUCCESS) {
		sg_log_add(log, "no memory for the module's variables\n");
		return res;
	}
	missing = relocate_data(mod);
	if (missing) {
		sg_log_add(log, "'%.100s' is declared but nowhere defined\n", missing);
		return CUDA_ERROR_INVALID_PTX;
	}
	common = layout_common(mod);
	for (struct sg_function *f = mod->funcs; f && res == CUDA_SUCCESS; f = f->next)
		res = link_function(mod, f, common, log);
	return res;
}
