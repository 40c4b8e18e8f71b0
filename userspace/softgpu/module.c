// SPDX-License-Identifier: MIT
/* Modules as the driver API sees them: loading, looking up, unloading. */
#include "softgpu/memory.h"
#include "softgpu/ptx.h"

#include <stdlib.h>
#include <string.h>

static uint32_t serials;

static CUresult read_text(struct sg_parser *p, const char *ptx, size_t len)
{
	if (setjmp(p->fail))
		return p->error;
	sg_lex_start(&p->lex, ptx, strnlen(ptx, len));
	sg_parse_module(p);
	return CUDA_SUCCESS;
}

CUresult sg_module_load(struct sg_device *dev, const char *ptx, size_t len, struct sg_log *log,
			struct sg_module **out)
{
	struct sg_module *mod = calloc(1, sizeof(*mod));
	struct sg_parser p = { .mod = mod, .log = log };
	CUresult res;

	if (!mod)
		return CUDA_ERROR_OUT_OF_MEMORY;
	mod->dev = dev;
	mod->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
	p.scope = &mod->scope;
	p.var_tail = &mod->vars;
	p.func_tail = &mod->funcs;
	res = read_text(&p, ptx, len);
	if (res == CUDA_SUCCESS)
		res = sg_module_link(mod, log);
	if (res != CUDA_SUCCESS) {
		sg_module_unload(mod);
		return res;
	}
	*out = mod;
	return CUDA_SUCCESS;
}

void sg_module_unload(struct sg_module *mod)
{
	if (mod->globals)
		sg_mem_free_static(mod->dev, mod->globals);
	if (mod->consts)
		sg_mem_free_static(mod->dev, mod->consts);
	sg_arena_free(&mod->arena);
	free(mod);
}

struct sg_function *sg_module_function(struct sg_module *mod, const char *name)
{
	struct sg_symbol *sym = sg_scope_find(&mod->scope, name, strlen(name));

	if (!sym || sym->kind != SYM_FUNC || !sym->func->entry || !sym->func->defined)
		return NULL;
	return sym->func;
}

struct sg_function *sg_module_function_at(struct sg_module *mod, unsigned index)
{
	for (struct sg_function *f = mod->funcs; f; f = f->next)
		if (f->entry && f->defined && !index--)
			return f;
	return NULL;
}

bool sg_module_global(struct sg_module *mod, const char *name, CUdeviceptr *ptr, size_t *size)
{
	struct sg_symbol *sym = sg_scope_find(&mod->scope, name, strlen(name));
	const struct sg_var *v = sym && sym->kind == SYM_VAR ? sym->var : NULL;

	if (!v || (v->space != SG_GLOBAL && v->space != SG_CONST) || v->linkage == LINK_EXTERN)
		return false;
	if (ptr)
		*ptr = v->at;
	if (size)
		*size = v->size;
	return true;
}

const struct sg_function_info *sg_function_info(const struct sg_function *f)
{
	return &f->info;
}
