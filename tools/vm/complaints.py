# SPDX-License-Identifier: MIT
"""What in a kernel's log means that the kernel is not well."""

import re

# Not "Call Trace:": the kernel shows one when it kills for want of memory in a
# group, and when a fault was injected.
PATTERN = re.compile("|".join([
    r"\bWARNING: ",                             # also of lockdep
    r"\bBUG\b",                                 # also of KASAN, slabs, atomic sleep
    r"\bOops\b",
    r"Kernel panic",
    r"general protection fault",
    r"double fault",
    r"(kernel|stack) stack overflow|stack guard page",
    r"stack is corrupted",
    r"invalid opcode: ",
    r"\bKASAN\b|\bUBSAN\b|\bODEBUG\b",
    # not "new suspected memory leaks": init reports those that are there in the end;
    # nor "Cannot allocate a scan area": that is a fault made on purpose, and harmless
    r"kmemleak: (Memory pool empty|Cannot allocate a kmemleak_object|Found object by alias)",
    r"refcount_t: ",
    r"INFO: task .* blocked for more than",
    r"INFO: trying to register non-static key",
    r"INFO: lockdep is turned off",
    r"INFO: rcu_.*stall",
    r"soft lockup|hard LOCKUP|workqueue lockup",
    r"[Ii]llegal context switch|[Vv]oluntary context switch within RCU",
    r"DEBUG_LOCKS_WARN_ON",
    r"Bad page |Bad rss-counter|bad p[mug4]d\b",
    r"list_(add|del) corruption|list corruption",
    r"Objects remaining in ",
    r"cannot create duplicate filename",
    r"unregister_netdevice: waiting for",
]))

# Of /proc/sys/kernel/tainted: machine check, bad page, died, warned, soft lockup.
# Modules from outside the tree and unsigned ones taint too; that is no complaint.
TAINTS = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14


def find(log):
    """The lines of a log that are complaints, each once."""
    return list(dict.fromkeys(line for line in log.splitlines() if PATTERN.search(line)))
