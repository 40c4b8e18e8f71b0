# SPDX-License-Identifier: MIT
"""The first files of a guest: our init, the modules it needs for the rest, its job."""

import os
import stat
import subprocess

import cache
import kernels

INIT = os.path.join(kernels.HERE, "init.c")
MODPROBE = "/sbin/modprobe"
CFLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-static"]
# Without these no root, no report, no wire; those they depend on come with them.
MODULES = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "virtio_net"]


def entry(name, mode, data=b"", device=(0, 0)):
    """One file of a cpio archive; Documentation/driver-api/early-userspace of Linux."""
    path = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def archive(entries):
    return b"".join(entries) + entry("TRAILER!!!", 0)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def compile_init():
    """Path of init, built."""
    def write(path):
        subprocess.run(["gcc", *CFLAGS, "-o", path, INIT], check=True)
        os.chmod(path, 0o755)
    return cache.keep("init-" + cache.digest(read(INIT), *CFLAGS, kernels.compiler()), write)


def module_files(kernel):
    """The modules to load, dependencies first."""
    if not kernel.modules:
        return []
    if not os.path.exists(MODPROBE):
        raise kernels.Missing("no %s; install kmod" % MODPROBE)
    shown = subprocess.run(
        [MODPROBE, "--set-version", kernel.version, "--show-depends", "--all", *MODULES],
        check=True, capture_output=True, text=True).stdout.splitlines()
    paths = [line.split()[1] for line in shown if line.startswith("insmod ")]
    return list(dict.fromkeys(paths))


def base(kernel):
    """(archive that is the same for each run, names of the modules in it)."""
    files = module_files(kernel)
    init = compile_init()

    def write(path):
        entries = [entry("dev", stat.S_IFDIR | 0o755),
                   entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
                   entry("modules", stat.S_IFDIR | 0o755),
                   entry("init", stat.S_IFREG | 0o755, read(init))]
        entries += [entry("modules/" + os.path.basename(file), stat.S_IFREG | 0o644, read(file))
                    for file in files]
        with open(path, "wb") as out:
            out.write(archive(entries))
    name = "initramfs-" + cache.digest(read(__file__), init, *map(cache.stamp, files))
    return read(cache.keep(name, write)), [os.path.basename(file) for file in files]


def job(settings):
    """The archive with what init is to do: pairs of a name and a value."""
    text = b"".join(b"%s=%s\0" % (name.encode(), os.fsencode(value)) for name, value in settings)
    return archive([entry("job", stat.S_IFREG | 0o600, text)])
