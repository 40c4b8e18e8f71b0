#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The command vgpu against the real module; prints TAP.

    vgpu_tool.py [PATH_OF_VGPU]         (default: $VGPU_BUILD/vgpu)

As root, in a VM that has the module loaded and nobody else at work: it makes
devices, numbers from 900 on and the lowest that is free, and removes them. What
vgpu reads and prints without a module is tested in selftests/vgpu.
"""

import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time

VGPU = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.environ["VGPU_BUILD"], "vgpu")
UUID = "11111111-2222-3333-4444-aabbccddeeff"
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
SYSFS = "/sys/class/vgpu/"
SETUP = 0xC030BB01      # _IOWR(0xBB, 0x01, struct vgpu_ioc_setup), 48 bytes
ACCEPT = 0xBB40
TESTS = []


def test(function):
    TESTS.append(function)
    return function


# ---- what tests are made of ----

def run(*words, through=(), output=subprocess.PIPE):
    return subprocess.run([*through, VGPU, *words], stdout=output, stderr=subprocess.PIPE,
                          text=True, timeout=60)


def does(*words, through=()):
    """What it prints; it succeeds and does not complain."""
    done = run(*words, through=through)
    assert (done.returncode, done.stderr) == (0, ""), (words, done)
    return done.stdout


def shows(device):
    return json.loads(does("show", "-j", device))


def refuses(text, *words, through=(), status=1, output=subprocess.PIPE):
    """It prints nothing, complains with @text, and ends with @status."""
    done = run(*words, through=through, output=output)
    assert done.returncode == status and not done.stdout, (words, done)
    assert done.stderr.startswith(("vgpu: ", "usage: ")) and text in done.stderr, (words, done)


def sysfs(device, attribute):
    with open(os.path.join(SYSFS, device, attribute)) as file:
        return file.read().rstrip("\n")


def there_is(device):
    assert os.path.exists(SYSFS + device) == os.path.exists("/dev/" + device)
    return os.path.exists(SYSFS + device)


@contextlib.contextmanager
def opened(path):
    fd = os.open(path, os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


def set_up(device):
    fcntl.ioctl(device, SETUP, struct.pack("=QII4IQQ", 0, 0, 0, 4096, 4096, 4096, 4096, 0, 0))


@contextlib.contextmanager
def channel():
    """A daemon that has accepted a channel of the least size on vgpu900."""
    with opened("/dev/vgpuctl") as ctl:
        with opened("/dev/vgpu900") as device:
            set_up(device)
            peer = fcntl.ioctl(ctl, ACCEPT, 0)
            yield
        os.close(peer)


# ---- list, show ----

@test
def lists():
    devices = json.loads(does("list", "-j"))["devices"]
    assert {"vgpu%d" % d["device"] for d in devices} == set(os.listdir(SYSFS))
    assert devices == sorted(devices, key=lambda d: d["device"])
    assert [d["uuid"] for d in devices if d["device"] == 900] == [UUID]
    lines = does("list").splitlines()
    assert lines[0].split() == ("DEVICE STATE NAME MEMORY CHANNELS CHARGED BACKEND SERVER LINK "
                                "CONNECTION SESSIONS").split()
    assert [line.split()[0] for line in lines[1:]] == ["vgpu%d" % d["device"] for d in devices]


@test
def members_of_json():
    assert list(shows("900")) == [
        "device", "node", "name", "uuid", "state", "backend", "memory", "budget",
        "channel_budget", "charged", "channels", "channels_total", "channels_lost", "copied",
        "server"]
    assert shows("900")["server"] is None       # there is no daemon


@test
def show_takes_each_name():
    for name in ("900", "vgpu900", "/dev/vgpu900", UUID, "GPU-" + UUID.upper()):
        assert shows(name)["node"] == "/dev/vgpu900"
        assert does("show", name).startswith("device           /dev/vgpu900\n")


@test
def show_what_is_not_there():
    refuses("vgpu: 901: no such device: see vgpu list", "show", "901")
    refuses("no such device", "show", "/dev/vgpu901")
    refuses("no such device", "show", "4294967295", "-j")
    refuses("no device has this UUID", "show", UUID.replace("1", "9"))


@test
def everybody_may_look():
    does("list", through=AS_NOBODY)
    does("show", "900", through=AS_NOBODY)


@test
def not_from_other_network_namespaces():
    refuses("from the initial network namespace only", "list", through=["unshare", "-n"])


@test
def full_disk():
    with open("/dev/full", "w") as full:
        refuses("vgpu: cannot write", "list", output=full)
        refuses("vgpu: cannot", "show", "-j", "900", output=full)


# ---- add ----

@test
def add_takes_the_lowest_number():
    number = 0
    while there_is("vgpu%d" % number):
        number += 1
    device = "vgpu%d" % number
    assert does("add") == device + "\n" and there_is(device)
    shown = shows(device)
    assert shown["uuid"] != UUID and shown["uuid"] == sysfs(device, "uuid")
    assert (shown["state"], shown["name"], shown["memory"]) == ("unbound", "", 0)
    does("rm", device)
    assert not there_is(device)


@test
def add_with_everything():
    made = json.loads(does(
        "add", "-j", "-n", "901", "--uuid", "GPU-01234567-89AB-CDEF-0123-456789ABCDEF",
        "--name", "Tesla T4", "--backend", "local:3", "--memory", "16G", "--budget", "2GiB",
        "--channel-budget", "65536K"))
    assert made == shows("901")
    assert (made["device"], made["uuid"]) == (901, "01234567-89ab-cdef-0123-456789abcdef")
    assert (made["name"], made["backend"]) == ("Tesla T4", "local:3")
    assert (made["memory"], made["budget"], made["channel_budget"]) == (
        16 << 30, 2 << 30, 64 << 20)


@test
def add_what_is_there():
    refuses("vgpu: add: the number or the UUID is taken", "add", "-n", "900")
    refuses("is taken", "add", "-n", "901", "--uuid", UUID)
    assert not there_is("vgpu901")


@test
def add_the_last():
    refuses("numbers go from 0 to 1023", "add", "-n", "1024", status=2)
    assert does("add", "-n", "1023") == "vgpu1023\n"
    does("rm", "1023")


@test
def longest_strings():
    name, backend = "n" * 63, "b" * 127
    made = json.loads(does("add", "-j", "-n", "901", "--name", name, "--backend", backend))
    assert (made["name"], made["backend"]) == (name, backend)
    assert (sysfs("vgpu901", "name"), sysfs("vgpu901", "backend")) == (name, backend)


# ---- set ----

@test
def set_each():
    does("set", "900", "--name", "A 1")
    does("set", "vgpu900", "--backend", "far away")
    does("set", UUID, "--memory", "3T")
    does("set", "/dev/vgpu900", "--budget", "5M", "--channel-budget", "4M")
    shown = shows("900")
    assert (shown["name"], shown["backend"], shown["memory"]) == ("A 1", "far away", 3 << 40)
    assert (shown["budget"], shown["channel_budget"]) == (5 << 20, 4 << 20)
    assert sysfs("vgpu900", "memory") == str(3 << 40)


@test
def set_the_largest():
    does("set", "900", "--memory", str((1 << 64) - 1))
    assert sysfs("vgpu900", "memory") == str((1 << 64) - 1)
    assert shows("900")["memory"] == 2.0 ** 64


@test
def set_nothing_again():
    does("set", "900", "--name", "x", "--backend", "y", "--budget", "1M")
    does("set", "900", "--name", "", "--backend", "", "--budget", "0")
    shown = shows("900")
    assert (shown["name"], shown["backend"], shown["state"]) == ("", "", "unbound")
    assert "budget           a quarter of the host's memory\n" in does("show", "900")


@test
def strings_that_are_not_printable_ascii():
    for string in ("a\nb", "\x1b[31m", "\x7f", "\u00dc", b"\xff"):
        refuses("not printable ASCII", "set", "900", "--name", string)
        refuses("not printable ASCII", "set", "900", "--backend", string)
        refuses("not printable ASCII", "add", "-n", "901", "--name", string)
    assert sysfs("vgpu900", "name") == "" and not there_is("vgpu901")


@test
def set_what_is_not_there():
    refuses("vgpu: 901: no such device", "set", "901", "--name", "x")


# ---- rm ----

@test
def rm():
    does("rm", UUID)
    assert not there_is("vgpu900")
    refuses("no such device", "rm", "vgpu900")


@test
def rm_several():
    does("add", "-n", "901")
    does("add", "-n", "902")
    refuses("vgpu: 903: no such device", "rm", "900", "903", "vgpu901")
    assert [there_is("vgpu%d" % n) for n in (900, 901, 902)] == [False, False, True]


@test
def rm_what_is_open():
    with opened("/dev/vgpu900"):
        refuses("vgpu: vgpu900 is open: fuser -v /dev/vgpu900 shows by whom", "rm", "900")
    does("rm", "900")


@test
def rm_what_has_a_channel():
    with channel():
        refuses("vgpu: vgpu900 is in use by 1 channel: stop their programs first", "rm", "900")
        shown = shows("900")
        assert (shown["channels"], shown["channels_total"]) == (1, 1)
        assert shown["charged"] == 6 * 4096
    shown = shows("900")
    assert (shown["channels"], shown["channels_total"], shown["charged"]) == (0, 1, 0)
    does("rm", "900")


# ---- states, events ----

@test
def states():
    does("set", "900", "--backend", "b")
    assert shows("900")["state"] == "down"
    with opened("/dev/vgpuctl"):
        assert shows("900")["state"] == "ready"
        assert shows("900")["state"] == sysfs("vgpu900", "state")
    assert shows("900")["state"] == "down"


class Monitor:
    """vgpu monitor, which has been heard of a first event."""

    def __init__(self, *words, through=()):
        self.out = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*through, VGPU, "monitor", *words],
                                        stdout=self.out, stderr=subprocess.STDOUT)
        self.until("heard", lambda: does("set", "900", "--name", "heard"))
        does("set", "900", "--name", "")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.out.close()

    def lines(self):
        """Of devices from 900 on, from the first one after those of the beginning."""
        size = os.fstat(self.out.fileno()).st_size
        text = os.pread(self.out.fileno(), size, 0).decode()
        lines = [line for line in text.splitlines() if "vgpu90" in line or ":90" in line]
        last = max((i for i, line in enumerate(lines) if "heard" in line), default=-1)
        return text, lines[last + 2:]

    def until(self, what, do=lambda: None):
        end = time.monotonic() + 20
        while what not in self.lines()[0]:
            assert time.monotonic() < end, self.lines()
            do()
            time.sleep(0.02)


def live():
    """What one can do with a device, a daemon and a channel."""
    does("add", "-n", "901", "--memory", "1M", "--name", "N")
    does("set", "901", "--backend", "X")
    does("rm", "901")
    does("set", "900", "--backend", "Y")
    with channel():
        pass
    does("set", "900", "--name", "last")


@test
def monitor():
    with Monitor() as events:
        live()
        events.until("last")
        lines = events.lines()[1]
    number = lines[6].split()[2]
    assert lines == [
        'vgpu901 added state=unbound name="N" memory=1M backend=""',
        'vgpu901 changed state=down name="N" memory=1M backend="X"',
        'vgpu901 removed state=down name="N" memory=1M backend="X"',
        'vgpu900 changed state=down name="" memory=0B backend="Y"',
        'vgpu900 changed state=ready name="" memory=0B backend="Y"',
        'vgpu900 channel %s opened state=waiting' % number,
        'vgpu900 channel %s changed state=active' % number,
        'vgpu900 channel %s changed state=lost' % number,
        'vgpu900 channel %s closed state=lost' % number,
        'vgpu900 changed state=down name="" memory=0B backend="Y"',
        'vgpu900 changed state=down name="last" memory=0B backend="Y"',
    ], lines


@test
def monitor_in_json():
    with Monitor("-j") as events:
        live()
        events.until("last")
        seen = [json.loads(line) for line in events.lines()[1]]
    assert [(e["event"], e.get("state") or e["channel_state"]) for e in seen] == [
        ("device_add", "unbound"), ("device_set", "down"), ("device_rm", "down"),
        ("device_set", "down"), ("device_set", "ready"),
        ("channel_open", "waiting"), ("channel_change", "active"),
        ("channel_change", "lost"), ("channel_close", "lost"),
        ("device_set", "down"), ("device_set", "down")], seen
    number = seen[5]["channel"]
    assert seen[5] == {"event": "channel_open", "device": 900, "channel": number,
                       "channel_state": "waiting"}
    assert {e["channel"] for e in seen if "channel" in e} == {number}
    shown = shows("900")
    del shown["server"]                         # the kernel does not know
    assert seen[-1] == {"event": "device_set", **shown}


@test
def everybody_may_monitor():
    with Monitor(through=AS_NOBODY):
        pass


@test
def a_monitor_that_is_too_slow_says_so():
    with Monitor() as events:
        events.process.send_signal(signal.SIGSTOP)
        with opened("/dev/vgpuctl"):
            for _ in range(500):
                with opened("/dev/vgpu900") as device:
                    set_up(device)
        events.process.send_signal(signal.SIGCONT)
        events.until("vgpu: events were lost")
        does("set", "900", "--name", "last")
        events.until("last")


@test
def monitor_on_a_full_disk():
    with open("/dev/full", "w") as full, \
            subprocess.Popen([VGPU, "monitor"], stdout=full, stderr=subprocess.PIPE) as events:
        end = time.monotonic() + 20
        while events.poll() is None and time.monotonic() < end:
            does("set", "900", "--name", "x")
        events.kill()
        assert events.wait() == 1 and events.stderr.read().startswith(b"vgpu: monitor: ")


# ---- who may, and what nobody can ----

@test
def changes_need_root():
    for words in (["add", "-n", "901"], ["set", "900", "--name", "x"], ["rm", "900"]):
        refuses("CAP_SYS_ADMIN", *words, through=AS_NOBODY)
        # root of its own namespace is nobody here
        refuses("run it as root of this host", *words, through=["unshare", "-U", "-r"])
    assert there_is("vgpu900") and not there_is("vgpu901") and sysfs("vgpu900", "name") == ""


@test
def wrong_command_lines():
    for text, words in (
            ("usage: ", []),
            ("there is no command lst", ["lst"]),
            ("show: which device?", ["show"]),
            ("show: one device only", ["show", "900", "900"]),
            ("list: takes no device", ["list", "900"]),
            ("add: takes no device", ["add", "901"]),
            ("set: nothing to change was given", ["set", "900"]),
            ("rm: which device?", ["rm"]),
            ("vgpu900x: not a device", ["rm", "900", "vgpu900x"]),
            ("not a size", ["set", "900", "--memory", "lots"]),
            ("longer than 63 bytes", ["set", "900", "--name", "x" * 64]),
            ("unrecognized option '--uuid'", ["set", "900", "--uuid", UUID])):
        refuses(text, *words, status=2)
    assert does("help") == does("rm", "--help") and there_is("vgpu900")


# ---- run ----

def attempt(function):
    """None, or why it failed."""
    try:
        does("add", "-n", "900", "--uuid", UUID)
        function()
    except (AssertionError, OSError, ValueError, KeyError, IndexError,
            subprocess.TimeoutExpired) as error:
        line = error.__traceback__
        while line.tb_next:
            line = line.tb_next
        return "line %d: %s: %s" % (line.tb_lineno, type(error).__name__, error)
    finally:
        for device in ("vgpu900", "vgpu901", "vgpu902", "vgpu1023"):
            if there_is(device):
                run("rm", device)
    return None


def main():
    if os.geteuid() or not os.path.exists(SYSFS):
        sys.exit("Bail out! needs root and the module")
    failed = 0
    for number, function in enumerate(TESTS, 1):
        why = attempt(function)
        failed += why is not None
        if why:
            print("# " + why.replace("\n", "\n# "))
        print("%sok %d - %s" % ("not " if why else "", number, function.__name__), flush=True)
    print("1..%d" % len(TESTS))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
