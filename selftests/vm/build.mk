# SPDX-License-Identifier: MIT
# Tests of the virtual machines that other tests run in.

VM_CHECKS += selftests/vm/vm.py
DEBUG_TESTS += "selftests/vm/vm.py --kernel debug"
