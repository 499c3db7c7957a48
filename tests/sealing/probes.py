"""A plugin of a method that tries every way out of its process that its author could think of.

Each probe is a function of what the test has laid out. It returns what it got hold of, and nothing
or an exception means that the way is closed. The choices of the model say which way was open.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from genebench import Method, Model, hookimpl
from genebench.specs import MethodSpec, Param

genebench_contract = 1

LIBC = ctypes.CDLL(None, use_errno=True)
PROBES = {}


def probe(function):
    PROBES[function.__name__] = function
    return function


def call(number, *arguments):
    result = LIBC.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "it worked"


# Files: records of rivals, the truth, permissions


@probe
def reads_a_rival(it):
    return Path(it["rival"]).read_text()


@probe
def reads_the_truth(it):
    return Path(it["truth"]).read_bytes()[:10]


@probe
def opens_by_system_call(it):
    return call(257, -100, it["rival"].encode(), os.O_RDONLY, 0)


@probe
def opens_by_openat2(it):
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
    return call(437, -100, it["rival"].encode(), ctypes.byref(how), 24)


@probe
def opens_through_proc_root(it):
    return Path(f"/proc/self/root{it['rival']}").read_text()


@probe
def opens_in_a_child(it):
    return subprocess.run(["cat", it["rival"]], capture_output=True, check=True).stdout


@probe
def follows_a_link_of_its_own(it):
    link = Path(it["scratch"]) / "link"
    link.symlink_to(it["rival"])
    return link.read_text()


@probe
def makes_a_hard_link(it):
    os.link(it["rival"], Path(it["scratch"]) / "hard")
    return "it worked"


@probe
def lists_the_results(it):
    return [name for name in os.listdir(it["results"]) if name != Path(it["scratch"]).name]


@probe
def lists_the_folder_of_the_code(it):
    return os.listdir(Path(it["rival"]).parents[1])


@probe
def knows_size_and_time(it):
    return os.stat(it["rival"])


@probe
def opens_a_path_descriptor(it):
    return os.open(it["rival"], os.O_PATH)


@probe
def watches_a_rival(it):
    return call(254, LIBC.inotify_init(), it["rival"].encode(), 0xFFF) and "it worked"


@probe
def overwrites_a_rival(it):
    return Path(it["rival"]).write_text("worse")


@probe
def replaces_a_rival(it):
    (Path(it["scratch"]) / "worse").write_text("worse")
    return os.rename(Path(it["scratch"]) / "worse", it["rival"]) or "it worked"


@probe
def removes_a_rival(it):
    return os.unlink(it["rival"]) or "it worked"


@probe
def takes_permissions_away(it):
    return os.chmod(it["rival"], 0) or "it worked"


@probe
def takes_permissions_of_its_own_data_away(it):
    # The permissions that it has: a test must not make the file unreadable.
    return os.chmod(it["train"], os.stat(it["train"]).st_mode) or "it worked"


@probe
def changes_times_of_its_own_data(it):
    return os.utime(it["train"]) or "it worked"


@probe
def writes_into_its_own_data(it):
    return os.open(it["train"], os.O_RDWR)


@probe
def writes_beside_code(it):
    folders = {Path(name) for name in sys.path} | {Path(np.__file__).parent, Path(__file__).parent}
    written = []
    for folder in folders:
        try:
            (folder / "planted.pth").write_text("import os")
            written.append(folder)
        except OSError:
            pass
    return written


@probe
def writes_to_the_home_folder(it):
    import pwd

    return (Path(pwd.getpwuid(os.getuid()).pw_dir) / "planted").write_text("x")


# Other processes


@probe
def reads_memory_of_others(it):
    return [Path(f"/proc/{pid}/mem").open("rb").close() for pid in it["processes"]]


@probe
def reads_the_environment_of_others(it):
    return Path(f"/proc/{it['processes'][0]}/environ").read_bytes()


@probe
def reads_the_command_of_others(it):
    return Path(f"/proc/{it['processes'][0]}/cmdline").read_bytes()


@probe
def lists_descriptors_of_others(it):
    return os.listdir(f"/proc/{it['processes'][0]}/fd")


@probe
def lists_processes(it):
    return os.listdir("/proc")


@probe
def traces_others(it):
    return [checked(LIBC.ptrace(0x4206, pid, None, None)) for pid in it["processes"]]


@probe
def copies_memory_of_others(it):
    buffer = ctypes.create_string_buffer(8)
    vector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)
    there = (ctypes.c_uint64 * 2)(it["address"], 8)
    pid = it["processes"][0]
    return call(310, pid, ctypes.byref(vector), 1, ctypes.byref(there), 1, 0)


@probe
def takes_descriptors_of_others(it):
    return call(438, os.pidfd_open(it["processes"][0]), 0, 0) or "it worked"


@probe
def signals_others(it):
    for pid in it["processes"]:
        os.kill(pid, signal.SIGCONT)
    return "it worked"


@probe
def signals_by_descriptor(it):
    signal.pidfd_send_signal(os.pidfd_open(it["processes"][0]), signal.SIGCONT)
    return "it worked"


@probe
def owns_signals_of_a_socket(it):
    import fcntl

    # F_SETOWN lets the kernel send SIGIO to another process.
    ours, _ = socket.socketpair()
    fcntl.fcntl(ours, fcntl.F_SETOWN, it["processes"][0])
    return ""  # harmless unless the signal arrives, for which the test looks


# Descriptors and variables


@probe
def has_descriptors_of_others(it):
    links = [os.readlink(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")[:-1]]
    sockets = [link for link in links if link.startswith("socket")]
    known = ("socket:", "pipe:", "/dev/null", *it["parts"], "anon_inode", "/proc")
    others = [link for link in links if not link.startswith(known)]
    return others + sockets[1:]


@probe
def finds_places_in_variables(it):
    secrets = (it["results"], it["home"], it["secret"])
    return [n for n, v in os.environ.items() if any(s in v for s in secrets)]


# Networks and memory that is shared


@probe
def connects_by_tcp(it):
    with socket.create_connection(("127.0.0.1", it["tcp"]), 2):
        return "it worked"


@probe
def sends_by_udp(it):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(b"truth", ("127.0.0.1", it["udp"]))


@probe
def sends_outside(it):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(b"truth", ("192.0.2.1", 53))


@probe
def connects_to_an_abstract_socket(it):
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect(f"\0{it['abstract']}") or "it worked"


@probe
def connects_to_a_socket_in_a_folder(it):
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect(it["socket"]) or "it worked"


@probe
def finds_system_v_memory(it):
    return LIBC.shmget(it["key"], 0, 0) >= 0


@probe
def finds_a_message_queue(it):
    return LIBC.msgget(it["key"], 0) >= 0


@probe
def finds_posix_memory(it):
    return [n for n in os.listdir("/dev/shm") if n == it["shared"]]


@probe
def finds_a_key(it):
    # keyctl(KEYCTL_SEARCH, the session's keyring, …)
    return call(250, 10, -3, b"user", it["shared"].encode(), 0)


# Undoing what confines it


@probe
def mounts(it):
    return checked(LIBC.mount(b"/", it["scratch"].encode(), None, 4096, None))


@probe
def unmounts(it):
    return [checked(LIBC.umount2(name.encode(), 2)) for name in (it["results"], "/tmp", "/dev/shm")]


@probe
def makes_writable(it):
    return checked(LIBC.mount(None, b"/", None, 32 | 4096, None))


@probe
def enters_other_namespaces(it):
    with Path(f"/proc/{it['processes'][0]}/ns/mnt").open("rb") as file:
        return checked(LIBC.setns(file.fileno(), 0))


@probe
def enters_namespaces_by_process(it):
    return checked(LIBC.setns(os.pidfd_open(it["processes"][0]), 1 << 17))


@probe
def leaves_by_namespaces_of_its_own(it):
    if os.fork() == 0:
        inside = LIBC.unshare((1 << 28) | (1 << 17)) == 0
        if (inside and LIBC.umount2(it["results"].encode(), 2) == 0) or Path(it["rival"]).exists():
            (Path(it["scratch"]) / "left").touch()
        os._exit(0)
    os.wait()
    return (Path(it["scratch"]) / "left").exists()


@probe
def limits_others(it):
    import resource

    pid = it["processes"][0]
    limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    return resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)


@probe
def slows_others_down(it):
    return os.setpriority(os.PRIO_PROCESS, it["processes"][0], 0) or "it worked"


@probe
def has_rights_of_an_administrator(it):
    status = Path("/proc/self/status").read_text()
    return [line for line in status.splitlines() if line.startswith("Cap") and int(line[8:], 16)]


@probe
def makes_namespaces(it):
    return checked(LIBC.unshare((1 << 28) | (1 << 30)))


@probe
def changes_its_root(it):  # last, because nothing else is found afterwards
    os.mkdir(f"{it['scratch']}/root")
    os.chroot(f"{it['scratch']}/root")
    return "it worked"


class Zero(Model):
    def __init__(self, n_targets):
        self.n_targets = n_targets

    def predict(self, landmarks):
        return np.zeros((len(landmarks), self.n_targets), np.float32)


class Prober(Method):
    """Tries all ways out."""

    def fit(self, train, validation_sets, context):
        it = json.loads(self.params["target"])
        model = Zero(len(train.target_genes))
        model.choices = {name: attempt(function, it) for name, function in PROBES.items()}
        shutil.rmtree(context.scratch / "root", ignore_errors=True)
        return dict.fromkeys(validation_sets, model)


def attempt(function, it):
    """Return "open: …" with what a probe got hold of, or "closed: …" with why not."""
    try:
        got = function(it)
    except Exception as error:  # noqa: BLE001  any reason will do
        return f"closed: {type(error).__name__}: {error}"
    return f"open: {got!r:.200}" if got else "closed"


@hookimpl
def genebench_methods():
    target = Param(name="target", default="{}", help="what a test has laid out, as JSON")
    return [
        MethodSpec(
            name="prober", title="t", summary="s", code=f"{__name__}:Prober", params=(target,)
        )
    ]
