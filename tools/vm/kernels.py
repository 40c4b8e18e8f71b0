# SPDX-License-Identifier: MIT
"""Which kernels there are, and what a guest needs to boot one.

Nothing is built here: see debug-kernel.
"""

import glob
import gzip
import lzma
import os
import re
import struct
import subprocess
import zlib

import cache

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = os.path.join(HERE, "debug.config")
SOURCES = "/usr/src/linux-source-*.tar.xz"
ELFNOTE_PVH = 18    # XEN_ELFNOTE_PHYS32_ENTRY


class Missing(Exception):
    """Something must be installed or built first; the text says what."""


class Kernel:
    """version, image (a bzImage), build (for make -C), modules (None: all built in)."""

    def __init__(self, version, image, build=None, modules=None):
        self.version = version
        self.image = image
        self.build = build
        self.modules = modules


def natural(text):
    """Sort key: 6.1.0-56 comes after 6.1.0-9."""
    return [(1, int(part)) if part.isdigit() else (0, part)
            for part in re.findall(r"\d+|\D+", text)]


def debian():
    """The newest of the distribution's kernels that has its headers."""
    for image in sorted(glob.glob("/boot/vmlinuz-*-amd64"), key=natural, reverse=True):
        version = image[len("/boot/vmlinuz-"):]
        modules = "/lib/modules/" + version
        if os.path.isdir(modules + "/build/") and os.access(image, os.R_OK):
            return Kernel(version, image, os.path.realpath(modules + "/build"), modules)
    raise Missing("no Debian kernel with headers; install linux-image-amd64 linux-headers-amd64")


def source():
    found = sorted(glob.glob(SOURCES), key=natural)
    if not found:
        raise Missing("no kernel source; install linux-source, or run tools/setup debug")
    return found[-1]


def compiler():
    return subprocess.check_output(["gcc", "--version"], text=True).splitlines()[0]


def debug_folder():
    """Where the debug kernel is, or will be once it is built."""
    with open(CONFIG, "rb") as file:
        config = file.read()
    with open(os.path.join(HERE, "debug-kernel"), "rb") as file:
        recipe = file.read()
    return os.path.join(cache.folder(), "kernel-" + cache.digest(
        config, recipe, cache.stamp(source()), compiler()))


def debug():
    path = debug_folder()
    if not cache.used(path):
        raise Missing("the debug kernel is not built; run tools/vm/debug-kernel")
    with open(path + "/build/include/config/kernel.release") as file:
        version = file.read().strip()
    return Kernel(version, path + "/bzImage", path + "/build")


def other(image):
    """A bzImage of somebody's own: with its modules, if they are installed."""
    try:
        version = read_version(image)
    except OSError as error:
        raise Missing("%s: %s" % (image, error.strerror)) from None
    modules = "/lib/modules/" + version
    if not os.path.isdir(modules):
        return Kernel(version, image)
    return Kernel(version, image, os.path.realpath(modules + "/build"), modules)


def find(name):
    if name in ("debian", "debug"):
        return debian() if name == "debian" else debug()
    return other(name)


# ---- images; see Documentation/x86/boot.rst of Linux ----

def read_image(path):
    with open(path, "rb") as file:
        data = file.read()
    if data[0x202:0x206] != b"HdrS" or len(data) < 0x250:
        raise Missing("%s is not a bzImage" % path)
    return data


def read_version(path):
    data = read_image(path)
    begin = struct.unpack_from("<H", data, 0x20e)[0] + 0x200
    return data[begin:data.index(b"\0", begin)].split()[0].decode()


def unpack(data):
    """The ELF file in a bzImage; None: packed in a way Python cannot read."""
    sectors = data[0x1f1] or 4
    offset, length = struct.unpack_from("<II", data, 0x248)
    begin = (sectors + 1) * 512 + offset
    payload = data[begin:begin + length - 4]    # the size follows
    try:
        if payload.startswith(b"\xfd7zXZ"):
            return lzma.decompress(payload)
        if payload.startswith(b"\x1f\x8b"):
            return gzip.decompress(payload)
    except (lzma.LZMAError, OSError, EOFError, zlib.error):
        pass
    return None


def notes(elf):
    """(name, type) of the notes of a 64-bit little-endian ELF file."""
    table, = struct.unpack_from("<Q", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x36)
    for at in range(table, table + count * size, size):
        kind, _, here, _, _, length = struct.unpack_from("<IIQQQQ", elf, at)
        end = here + length
        while kind == 4 and here + 12 <= end:
            name, text, what = struct.unpack_from("<III", elf, here)
            yield elf[here + 12:here + 12 + name].rstrip(b"\0"), what
            here += 12 + (name + 3 & ~3) + (text + 3 & ~3)


def bootable(image):
    """What to give QEMU: unpacked if possible, which saves seconds of emulation."""
    data = read_image(image)

    def write(path):
        elf = unpack(data)
        usable = elf and elf[:5] == b"\x7fELF\x02" and (b"Xen", ELFNOTE_PVH) in notes(elf)
        with open(path, "wb") as file:
            file.write(elf if usable else data)
    return cache.keep("image-" + cache.digest(data), write)
