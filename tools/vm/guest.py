# SPDX-License-Identifier: MIT
"""One virtual machine: how QEMU is started, what comes out of it, how it ended.

Three things come out: the command's output and init's report, each by a port of
its own, and the kernel's console. Running several guests together: see vm.
"""

import ctypes
import os
import re
import signal
import socket
import subprocess
import time

import complaints
import initramfs
import kernels

QEMU = "qemu-system-x86_64"
MEGABYTE = 1 << 20
# Seconds after which a guest is taken for dead. init watches the command; the
# kernel watches itself. Generous: an emulated machine on a busy host is slow.
BOOT_TIMEOUT = 300
COMMAND_GRACE = 60
STEP_TIMEOUT = 600      # of what init does after the command
PR_SET_PDEATHSIG = 1
# What follows the first warning is not worth anything: panic_on_warn. The last line
# is because emulated processors may be late, for which the module is not to blame.
COMMAND_LINE = "console=ttyS0 loglevel=5 log_buf_len=1M nokaslr mitigations=off tsc=reliable " \
               "random.trust_cpu=on panic=-1 oops=panic panic_on_warn=1 " \
               "no_timer_check watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=60 " \
               "init_on_alloc=0"     # whoever needs zeros must ask for them

LEVEL = re.compile(r"^<\d+>", re.MULTILINE)
FAILED_BOOT, TIMEOUT, COMPLAINT = 97, 98, 99


def die_with(parent):
    """For a child before exec: it does not outlive its parent."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def parse_report(data):
    """(values by name, whether it is complete) of what init wrote; see init.c."""
    found = {}
    while data:
        line, newline, data = data.partition(b"\n")
        name, _, value = line.decode(errors="replace").partition(" ")
        if not newline:
            return found, False
        if name in ("log", "leaks"):
            length = int(value)
            if len(data) < length:
                return found, False
            value, data = data[:length].decode(errors="replace"), data[length:]
        found[name] = value
    return found, "done" in found


class Guest:
    """A running machine. output and report are what is to be read from it."""

    def __init__(self, name, kernel, options, command, wire=None):
        """options: of vm; wire: (address of eth0, our socket, the other's)"""
        self.name = name
        self.folder = os.path.join(options.folder, name)
        self.console = self.folder + "/console"
        self.received = b""         # of the report
        self.ready = False
        self.late = None            # "boot", "command": what did not end in time
        self.timeout = options.timeout
        self.deadline = time.monotonic() + BOOT_TIMEOUT
        os.mkdir(self.folder)
        self.write_initramfs(kernel, options, command, wire)
        self.output, output = socket.socketpair()
        self.report, report = socket.socketpair()
        ours = os.getpid()
        with output, report:
            self.process = subprocess.Popen(
                self.machine(kernel, options) + self.files(options.share) +
                self.ports(report.fileno(), output.fileno()) + self.network(wire),
                stdin=subprocess.DEVNULL, pass_fds=(output.fileno(), report.fileno()),
                preexec_fn=lambda: die_with(ours))

    def write_initramfs(self, kernel, options, command, wire):
        base, modules = initramfs.base(kernel)
        settings = [("name", self.name), ("cwd", os.getcwd()), ("timeout", str(options.timeout))]
        settings += [("leaks", "%d" % options.leaks)]
        settings += [("address", wire[0])] if wire else []
        settings += [("module", module) for module in modules]
        settings += [("env", "VM_HOST=" + self.name), ("env", "VM_SHARE=/share")]
        settings += [("env", setting) for setting in options.env]
        settings += [("arg", word) for word in command]
        with open(self.folder + "/initramfs", "wb") as file:
            file.write(base + initramfs.job(settings))

    def machine(self, kernel, options):
        return [QEMU, "-name", "vgpu-" + self.name, "-machine", "q35",
                "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(options.cpus),
                "-m", str(options.memory), "-nodefaults", "-no-user-config", "-no-reboot",
                "-display", "none", "-serial", "file:" + self.console,
                "-kernel", kernels.bootable(kernel.image),
                "-initrd", self.folder + "/initramfs", "-append", COMMAND_LINE]

    @staticmethod
    def files(share):
        words = []
        for tag, path, more in (("root", "/", ",readonly=on,multidevs=remap"),
                                ("share", share, "")):
            path = path.replace(",", ",,")
            words += ["-fsdev", "local,id=%s,path=%s,security_model=none%s" % (tag, path, more),
                      "-device", "virtio-9p-pci,fsdev=%s,mount_tag=%s" % (tag, tag)]
        return words

    @staticmethod
    def ports(report, output):
        """Ports 1 and 2, as init.c knows them."""
        words = ["-device", "virtio-serial-pci,max_ports=4"]
        for number, fd in ((1, report), (2, output)):
            words += ["-chardev", "socket,id=port%d,fd=%d" % (number, fd),
                      "-device", "virtserialport,nr=%d,chardev=port%d" % (number, number)]
        return words

    @staticmethod
    def network(wire):
        if not wire:
            return []
        address, ours, theirs = wire
        return ["-netdev", "dgram,id=wire,local.type=unix,local.path=%s,remote.type=unix,"
                           "remote.path=%s" % (ours, theirs),
                "-device", "virtio-net-pci,netdev=wire,romfile=,mac=52:54:00:09:00:%02x"
                % int(address.rpartition(".")[2])]

    def take_report(self, data):
        self.received += data
        step = STEP_TIMEOUT if self.ready else self.timeout + COMMAND_GRACE
        self.ready = self.ready or self.received.startswith(b"ready\n")
        if self.ready:
            self.deadline = time.monotonic() + step

    def check_deadline(self):
        if not self.late and time.monotonic() > self.deadline:
            self.late = "command" if self.ready else "boot"
            self.process.kill()

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def finish(self, stopped):
        """What became of it; stopped: it was not given the time to end."""
        self.stop()
        with open(self.console, errors="replace") as file:
            return Outcome(self, file.read(), stopped)


class Outcome:
    """status: as vm exits with; why: a line unless the command ended by itself."""

    def __init__(self, guest, console, stopped):
        report, complete = parse_report(guest.received)
        self.name = guest.name
        self.console = console
        self.log = LEVEL.sub("", report.get("log", console))
        self.leaks = report.get("leaks", "")
        self.complaints = complaints.find("\n".join((console, self.log)))
        self.complaints += self.leaks.splitlines()[:1]
        if int(report.get("taint", "0")) & complaints.TAINTS:
            self.complaints.append("the kernel is tainted: " + report["taint"])
        if "stuck" in report:
            self.complaints.append("there are processes that cannot be killed")
        self.status, self.why = self.judge(guest, report, complete, stopped)

    def judge(self, guest, report, complete, stopped):
        if self.complaints:
            return COMPLAINT, "the kernel complained"
        if guest.late == "boot" or (not guest.ready and not stopped):
            return FAILED_BOOT, "did not boot"
        if guest.late or "timeout" in report:
            return TIMEOUT, "the command did not end within %d s" % guest.timeout
        if stopped and not complete:
            return TIMEOUT, "was stopped because the other host failed"
        if not complete or "exit" not in report:
            return COMPLAINT, "ended before its command did"
        return int(report["exit"]), None
