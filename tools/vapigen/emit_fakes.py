# SPDX-License-Identifier: MIT
"""A C file of hooks and driver functions that only look at their arguments, for
tests and fuzzers of the decoders. See selftests/proto/fake.h."""
from emit_public import prototype
from emit_serve import hook_prototype
from spec import KINDS
from text import banner, function


def look(arg):
    """Statements that feed an argument to the log, or fill it."""
    if arg.type == "bytes" and arg.out:
        return [f"\t*{arg.name}_len = fake_fill({arg.name}, FAKE_BYTES);"]
    if not arg.sent:
        return [f"\tfake_fill({arg.name}, sizeof(*{arg.name}));"]
    if arg.type == "bytes":
        return [f"\tfake_see({arg.name}, {arg.name}_len);"]
    if arg.type == "string":
        return [f"\tif ({arg.name})", f"\t\tfake_see({arg.name}, strlen({arg.name}) + 1);"]
    if arg.type in ("chunk", "struct"):
        return [f"\tfake_see({arg.name}, sizeof(*{arg.name}));"]
    return [f"\tfake_see_number((uint64_t){arg.name});"]


def body(call, looks):
    return [f'\tfake_begin("{call.name}");', *looks, "\treturn fake_status;"]


def hook(call):
    looks = [line for a in call.args for line in look(a)]
    return hook_prototype(call, ")") + ["{", *body(call, looks), "}", ""]


def driver_look(arg):
    """As look(), of an argument as the driver knows it."""
    if arg.made:
        return [f"\t*{arg.name} = fake_handle();"]
    if arg.type == "handle":
        return [f"\tfake_see_handle({arg.name});"]
    if not arg.out and arg.type == "enum":
        return [f"\tfake_see_number((uint32_t){arg.name});"]
    return look(arg)


def driver_function(call):
    looks = [line for a in call.args for line in driver_look(a)]
    return function("static CUresult ", f"fake_{call.name}", prototype(call), body(call, looks))


def end_function(arg):
    """What undoes the making of a handle."""
    return function("static CUresult ", f"fake_{arg.end}", [f"{KINDS[arg.of][0]} handle"],
                    ["\tfake_ends++;", "\treturn CUDA_SUCCESS;"])


def source(spec):
    direct = [c for c in spec.calls if not c.server_hook]
    lines = banner(spec, "Hooks and a driver for tests.")
    lines += ['#include "gen/driver.h"', '#include "gen/serve.h"', "#include <string.h>",
              '#include "fake.h"', ""]
    for call in spec.calls:
        lines += hook(call) if call.server_hook else driver_function(call)
    ends = {a.end: a for c in direct for a in c.args if a.end}
    for arg in ends.values():
        lines += end_function(arg)
    lines += ["struct vgpu_driver fake_driver = {"]
    return lines + [f"\t.{n} = fake_{n}," for n in [c.name for c in direct] + list(ends)] + ["};"]
