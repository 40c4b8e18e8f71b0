// SPDX-License-Identifier: MIT
/*
 * Any bytes as PTX: they load or are refused with a log that ends in the
 * buffer, and what was loaded can be asked about and goes away.
 */
#include "softgpu/exec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* Nothing is run here, so no handlers are linked. */
sg_op_fn * const *sg_op_table(void)
{
	static sg_op_fn * const none[SG_OP_COUNT];

	return none;
}

static void look_at(struct sg_module *mod)
{
	struct sg_function *f;

	for (unsigned i = 0; (f = sg_module_function_at(mod, i)); i++) {
		const struct sg_function_info *info = sg_function_info(f);

		require(info->param_bytes <= SG_MAX_PARAM_BYTES);
		require(info->static_shared <= SG_SHARED_OPTIN);
		for (unsigned k = 0; k < info->nparams; k++)
			require(info->params[k].offset + info->params[k].size <= info->param_bytes);
		for (uint32_t pc = 0; pc < f->ncode; pc++)
			if (f->code[pc].kind == SG_K_BRANCH)
				require((uint64_t)f->code[pc].imm < f->ncode);
		sg_occupancy(f, 128, 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sg_device *dev;
	char text[128] = "";
	struct sg_log log = { text, sizeof(text), 0 };
	struct sg_module *mod;

	if (!dev)
		dev = sg_device_create(0, 64u << 20);
	if (sg_module_load(dev, (const char *)data, size, &log, &mod) == CUDA_SUCCESS) {
		look_at(mod);
		sg_module_unload(mod);
	} else {
		require(log.used && log.used < sizeof(text) && !text[log.used]);
	}
	return 0;
}
