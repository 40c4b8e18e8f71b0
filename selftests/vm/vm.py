#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of the virtual machines: what a guest sees, what comes out, what fails a run.

    vm.py [--kernel debian|debug] [NAME...]

Machines run two at a time; that they do not disturb each other is part of it.
Prints TAP.
"""

import argparse
import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.path.join(HERE, "../../tools/vm")
VM = os.path.join(TOOLS, "vm")
sys.path.insert(0, TOOLS)
sys.path.insert(0, os.path.join(HERE, "../e2e"))
import complaints       # noqa: E402
from harness import Tap, alive, wait_until     # noqa: E402

MISSING, FAILED_BOOT, TIMEOUT, COMPLAINT = 77, 97, 98, 99
COMPLAINTS = (
    "WARNING: CPU: 0 PID: 88 at f+0x11/0x1000 [provoke]",
    "WARNING: possible circular locking dependency detected",
    "BUG: KASAN: slab-out-of-bounds in f+0x1",
    "BUG: sleeping function called from invalid context at mm/slab.h:1",
    "[ BUG: Invalid wait context ]",
    "kernel BUG at mm/slub.c:1!",
    "BUG: unable to handle page fault for address: 0000000000001000",
    "BUG kmalloc-16 (Tainted: G): Poison overwritten",
    "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 40s!",
    "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
    "Oops: 0002 [#1] PREEMPT SMP",
    "Kernel panic - not syncing: hung_task: blocked tasks",
    "general protection fault, probably for non-canonical address",
    "UBSAN: shift-out-of-bounds in f.c:1:2",
    "kmemleak: Cannot allocate a kmemleak_object structure",
    "kmemleak: Memory pool empty, consider increasing CONFIG_DEBUG_KMEMLEAK_MEM_POOL_SIZE",
    "INFO: task insmod:88 blocked for more than 60 seconds.",
    "rcu: INFO: rcu_preempt self-detected stall on CPU",
    "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks: { 1-... }",
    "INFO: trying to register non-static key.",
    "refcount_t: underflow; use-after-free.",
    "ODEBUG: free active (active state 0) object type: timer_list",
    "list_add corruption. prev->next should be next",
    "BUG: Bad page state in process sh  pfn:12345",
    "BUG: Bad rss-counter state mm:0 type:MM_FILEPAGES val:1",
    "sysfs: cannot create duplicate filename '/class/vgpu'",
)
HARMLESS = (
    "kasan: KernelAddressSanitizer initialized",
    "kmemleak: Kernel memory leak detector initialized (mem pool available: 14749)",
    "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "kmemleak: Cannot allocate a scan area, scanning the full object",
    "Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
    "Run /init as init process",
    "vgpu: loading out-of-tree module taints kernel.",
    "FAULT_INJECTION: forcing a failure.",
    "Call Trace:",
    "sh invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
    "Memory cgroup out of memory: Killed process 99 (hog)",
    "program[88]: segfault at 0 ip 00007f0 sp 00007ff error 4 in program",
    "INFO: NMI handler (nmi_cpu_backtrace_handler) took too long to run: 7.661 msecs",
    "rcu: Preemptible hierarchical RCU implementation.",
)


class Test:
    """One run of vm, or something without one; failed() collects what is wrong."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.problems = []
        self.text = ""

    def expect(self, good, problem):
        if not good:
            self.problems.append(problem)
        return good

    def run(self, *words, status, arguments=(), kernel=None):
        """vm run, with words in the guest. Keeps what it says; returns the output."""
        command = [VM, "run", "--kernel", kernel or self.options.kernel, "--cpus", "1", *arguments]
        command += ["--", *words] if words else []
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
        self.text = done.stderr.decode(errors="replace")
        self.expect(done.returncode == status,
                    "status %d instead of %d" % (done.returncode, status))
        return done.stdout

    def expect_said(self, *texts):
        for text in texts:
            self.expect(text in self.text, "'%s' was not said" % text)

    def provoke(self, what):
        """Loads the module in a guest; the kernel is to complain."""
        leaks = [] if what == "leak" else ["--no-leaks"]
        self.run("/sbin/insmod", self.options.module, "what=" + what, status=COMPLAINT,
                 arguments=leaks)
        self.expect_said("vm: host: the kernel complained")


def test_complaints(test):
    """lines of a log are told apart"""
    for line in COMPLAINTS:
        test.expect(complaints.find("[    1.0] " + line), "missed: " + line)
    for line in HARMLESS:
        test.expect(not complaints.find("[    1.0] " + line), "not a complaint: " + line)


GUEST = r"""
set -e
printf 'bytes \000\377\r\n'
echo to stderr >&2
echo again >/dev/stdout
for i in $(seq 2000); do echo "noise $i" >/dev/kmsg; done
echo "$PWD $VM_HOST $(id -u) $GIVEN ${LOST-unset}" >/share/seen
echo changed >"$0.written"
[ "$(cat "$0")" ] && [ "$(cat /proc/1/comm)" = init ]
for place in /sys/fs/cgroup /sys/kernel/debug /sys/kernel/tracing /dev/pts /dev/shm /run; do
	grep -q " $place " /proc/mounts
done
grep -q '^lo:\|127.0.0.1' /proc/net/fib_trie
/sbin/insmod "$MODULE" what=nothing
/sbin/rmmod provoke
sleep 1000 &
sleep 1000 >/dev/null 2>&1 &
exit 42
"""


def test_guest(test):
    """output is unmixed, the status passes, files are the host's and stay as they are"""
    script = test.folder + "/guest script"
    with open(script, "w") as file:
        file.write(GUEST)
    share = test.folder + "/share,here"
    os.environ["LOST"] = "kept"
    output = test.run("sh", script, status=42, arguments=[
        "--share", share, "--env", "GIVEN=with blanks",
        "--env", "MODULE=" + test.options.module, "--no-leaks"])
    test.expect(output == b"bytes \0\xff\r\nto stderr\nagain\n", "output is %r" % output)
    with open(share + "/seen") as file:
        seen = file.read()
    test.expect(seen == "%s host 0 with blanks unset\n" % os.getcwd(), "the guest saw " + seen)
    test.expect(not os.path.exists(script + ".written"), "a guest wrote to the host")


def test_output(test):
    """much output arrives whole; a signal is told as a shell tells it"""
    output = test.run("sh", "-c", "seq 400000; kill -ABRT $$", status=128 + signal.SIGABRT)
    test.expect(output == b"".join(b"%d\n" % i for i in range(1, 400001)),
                "%d bytes arrived" % len(output))


def test_timeout(test):
    """a command that does not end"""
    begin = time.monotonic()
    test.run("sleep", "1234", status=TIMEOUT, arguments=["--timeout", "2"])
    test.expect(time.monotonic() - begin < 60, "it took very long")
    test.expect_said("did not end within 2 s", "init: sleep 1234: in ")


def test_boot(test):
    """a guest that does not boot"""
    test.run("true", *["x"] * 1000, status=FAILED_BOOT)
    test.expect_said("did not boot", "init: the job: Argument list too long")


def test_reset(test):
    """a machine that goes off under the command"""
    test.run("sh", "-c", "echo b >/proc/sysrq-trigger; sleep 9", status=COMPLAINT)
    test.expect_said("ended before its command did")


def test_logged(test):
    """a complaint in the log, whatever the command says"""
    test.run("sh", "-c", "echo '<6>INFO: task x:1 blocked for more than 1 seconds' >/dev/kmsg",
             status=COMPLAINT, arguments=["--no-leaks"])
    test.expect_said("vm: host: the kernel complained", "INFO: task x:1 blocked")


def test_warning(test):
    """a kernel that warns"""
    test.provoke("warn")
    test.expect_said("WARNING: CPU:", "[provoke]")


def test_stuck(test):
    """a process that cannot be killed"""
    test.run("sh", "-c", "/sbin/insmod %s what=hang & sleep 1" % test.options.module,
             status=COMPLAINT, arguments=["--no-leaks"])
    test.expect_said("there are processes that cannot be killed", "what=hang: in hang: ")


SERVER = r"""
import socket, sys
with socket.create_server(("10.9.0.2", 7)) as listener:
    open("/share/listening", "w").close()
    peer, (address, _) = listener.accept()
    print("served", address)
    peer.sendall(b"x" * 1000000)
sys.exit(7)
"""
CLIENT = r"""
import os, socket, time
while not os.path.exists("/share/listening"):
    time.sleep(0.05)
total = 0
with socket.create_connection(("10.9.0.2", 7), 60) as peer:
    while data := peer.recv(1 << 16):
        total += len(data)
print("received", total, end="")
"""


def test_two(test):
    """two hosts talk to each other"""
    for name, text in (("server", SERVER), ("client", CLIENT)):
        with open(os.path.join(test.folder, name), "w") as file:
            file.write(text)
    output = test.run(status=7, arguments=[
        "--topology", "two", "--no-leaks", "--memory", "512",
        "--client", "python3 '%s/client'" % test.folder,
        "--server", "python3 '%s/server'" % test.folder])
    test.expect(sorted(output.splitlines()) ==
                [b"client: received 1000000", b"server: served 10.9.0.1"], "output is %r" % output)


def test_other(test):
    """a host that fails does not leave the other one waiting"""
    begin = time.monotonic()
    output = test.run(status=127, arguments=[
        "--topology", "two", "--memory", "512",
        "--client", "/no/such/command", "--server", "sleep 1234"])
    test.expect(output == b"client: init: cannot run /no/such/command: No such file or directory\n",
                "output is %r" % output)
    test.expect(time.monotonic() - begin < 60, "it took very long")
    test.expect_said("server: was stopped")


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(word) for word in file.read().split()]


def run_and_end(test, number):
    """Sends the signal once the guest runs; QEMU and temporary files are to go."""
    place = tempfile.mkdtemp(dir=test.folder)
    process = subprocess.Popen(
        [VM, "run", "--kernel", test.options.kernel, "--", "sh", "-c", "echo up; sleep 1234"],
        env=dict(os.environ, TMPDIR=place), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    test.expect(process.stdout.readline() == b"up\n", "it did not start")
    machines = children(process.pid)
    test.expect(len(machines) == 1, "there is no QEMU")
    process.send_signal(number)
    process.communicate()
    test.expect(wait_until(lambda: not alive(machines), 5) is not None, "QEMU lives")
    return process.returncode, os.listdir(place)


def test_terminated(test):
    """SIGTERM ends the machine and removes its files"""
    status, left = run_and_end(test, signal.SIGTERM)
    test.expect(status == 128 + signal.SIGTERM, "status %d" % status)
    test.expect(not left, "left behind: %s" % left)


def test_killed(test):
    """SIGKILL ends the machine"""
    run_and_end(test, signal.SIGKILL)


def test_missing(test):
    """without QEMU or a kernel"""
    test.run("true", status=MISSING, kernel="/no/such/kernel")
    test.expect_said("No such file")
    test.run("true", status=MISSING, kernel=os.path.abspath(__file__))
    test.expect_said("is not a bzImage")
    tools = tempfile.mkdtemp(dir=test.folder)
    for name in ("python3", "env"):
        os.symlink(shutil.which(name), os.path.join(tools, name))
    done = subprocess.run([VM, "run", "--", "true"], env={"PATH": tools}, capture_output=True)
    test.expect(done.returncode == MISSING, "status %d" % done.returncode)
    test.expect(b"install qemu-system-x86" in done.stderr, done.stderr.decode())


def test_usage(test):
    """arguments that make no sense"""
    for words in ([], ["--topology", "two", "--", "true"], ["--client", "true", "--", "true"],
                  ["--topology", "two", "--client", "true"], ["--cpus", "0", "--", "true"],
                  ["--env", "x", "--", "true"]):
        done = subprocess.run([VM, "run", *words], capture_output=True)
        test.expect(done.returncode == 2, "%s: status %d" % (words, done.returncode))


def test_clean(test):
    """a module that does nothing wrong leaks nothing"""
    test.run("sh", "-c", "/sbin/insmod %s what=nothing && /sbin/rmmod provoke" %
             test.options.module, status=0)


def test_lockdep(test):
    """locks in both orders"""
    test.provoke("lock")
    test.expect_said("possible circular locking dependency")


def test_kasan(test):
    """a write behind an array"""
    test.provoke("write")
    test.expect_said("BUG: KASAN: slab-out-of-bounds in ")


def test_ubsan(test):
    """a shift that is too far"""
    test.provoke("shift")
    test.expect_said("UBSAN: shift-out-of-bounds")


def test_kmemleak(test):
    """memory that is lost"""
    test.provoke("leak")
    test.expect_said("unreferenced object", "leak+0x")


TESTS = {
    "debian": [test_complaints, test_usage, test_missing, test_guest, test_output, test_timeout,
               test_boot, test_reset, test_logged, test_warning, test_stuck, test_two, test_other,
               test_terminated, test_killed],
    "debug": [test_guest, test_timeout, test_warning, test_clean, test_two, test_lockdep,
              test_kasan, test_ubsan, test_kmemleak],
}


def perform(function, options):
    with tempfile.TemporaryDirectory(prefix="vgpu-test-vm-") as folder:
        test = Test(options, folder)
        try:
            function(test)
        except Exception as error:      # a test that breaks is a test that fails
            test.problems.append(repr(error))
        return test


def build_module(kernel, folder):
    shutil.copy(HERE + "/provoke.c", folder)
    with open(folder + "/Kbuild", "w") as file:
        file.write("obj-m := provoke.o\n")
    where = subprocess.check_output([VM, "kernel", kernel, "build"], text=True).strip()
    subprocess.run(["make", "-s", "-C", where, "M=" + folder, "modules"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder + "/provoke.ko"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kernel", choices=sorted(TESTS), default="debian")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    tests = [function for function in TESTS[options.kernel]
             if not options.names or function.__name__[len("test_"):] in options.names]
    ready = subprocess.run([VM, "kernel", options.kernel], capture_output=True, text=True)
    if ready.returncode == MISSING:
        print("1..0 # SKIP " + ready.stderr.strip())
        return 0
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="vgpu-test-vm-") as folder, \
            concurrent.futures.ThreadPoolExecutor(2) as pool:
        options.module = build_module(options.kernel, folder)
        for function, test in zip(tests, pool.map(lambda f: perform(f, options), tests)):
            tap.result(not test.problems, "vm: %s" % function.__doc__,
                       details="\n".join(test.problems + [test.text]))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
