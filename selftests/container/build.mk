# SPDX-License-Identifier: MIT
# Containers of podman's with a node of /dev/vgpuN, in a virtual machine.

VM_CHECKS += "selftests/container/run $(B) $(E2E_B)"
