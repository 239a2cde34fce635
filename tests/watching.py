"""Watches a program and all that it begins: which addresses it names, and which files it changes.

strace sees every system call. Where it is missing, an audit hook sees what Python does itself, but not what compiled code does.
Where the machine allows it, the program has a network of its own, so that nothing can leave while it is watched.
"""

import ipaddress
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

NAMES = {"bind", "connect", "sendto", "sendmsg", "sendmmsg"}
"""Calls that name an address."""
MADE = {"mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "creat"}
CHANGED = {"truncate", "chmod", "fchmodat", "unlink", "unlinkat", "rmdir"}
MOVED = {"rename", "renameat", "renameat2", "link", "linkat"}
"""Calls that change files, beside those that open them for writing."""
WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")
FREE = ("/dev/", "/proc/")
"""Devices, shared memory, and what the kernel is told: no files on a disk."""

ADDRESS = "192.0.2.10"
"""Of the machine, in a network of its own: one that documentation uses."""
ENTER = f"""
import fcntl, os, shutil, socket, struct, subprocess, sys
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 0x41))
ip = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
for words in ("address add {ADDRESS}/32 dev lo", "route add local default dev lo src {ADDRESS}") if ip else ():
    subprocess.run([ip, *words.split()], capture_output=True)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A program that brings loopback up (SIOCSIFFLAGS) and becomes another. With `ip` every address seems to be reachable, and
refuses at once."""

HOOK = """
import os, sys
def _watch(log):
    def note(*words):
        os.write(log, ("\\0".join(str(word) for word in words) + "\\n").encode("utf-8", "surrogateescape"))
    def full(path, folder=None):
        if isinstance(path, int):
            return ""
        base = f"/proc/self/fd/{folder}" if isinstance(folder, int) and folder >= 0 else "."
        return os.path.realpath(os.path.join(base, os.fsdecode(path)))
    def hook(event, args):
        if event in ("socket.bind", "socket.connect", "socket.sendto", "socket.sendmsg"):
            where = args[1]
            if isinstance(where, tuple):
                note("address", event, where[0], where[1])
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            if args[0] is not None:
                note("address", event, os.fsdecode(args[0]), args[1] if len(args) > 1 else None)
        elif event == "open":
            if isinstance(args[0], int):
                return
            if args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
                note("file", event, full(args[0]))
        elif event in ("os.mkdir", "os.chmod", "os.remove", "os.rmdir", "os.truncate"):
            note("file", event, full(args[0], args[-1]))
        elif event in ("os.rename", "os.link"):
            note("file", event, full(args[0], args[2]))
            note("file", event, full(args[1], args[3]))
        elif event == "os.symlink":
            note("file", event, full(args[1], args[2]))
    sys.addaudithook(hook)
_watch(os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT))
"""
"""sitecustomize.py of a watched Python."""


@dataclass(frozen=True)
class Seen:
    """What a program said and did."""

    code: int
    said: str
    addresses: tuple[str, ...]
    """Those that it named beyond loopback, and every look for a name."""
    files: tuple[str, ...]
    """Those that it changed outside the folders that it was given."""


Watch = Callable[[Sequence[str], dict[str, str], Path, Sequence[Path]], Seen]
"""Runs a command in an environment and a folder, and watches it; at last the folders that it may change."""


@cache
def closed_network() -> tuple[str, ...]:
    """The words that give a command a network with loopback alone; none where that cannot be had."""
    unshare = shutil.which("unshare")
    for words in [(unshare, "--net"), (unshare, "--net", "--map-root-user")] if unshare else ():
        closed = (*words, sys.executable, "-I", "-c", ENTER)
        if subprocess.run([*closed, sys.executable, "-c", ""], capture_output=True).returncode == 0:
            return closed
    return ()


@cache
def has_strace() -> bool:
    """Whether strace is there and may look."""
    command = ["strace", "-f", "-o", os.devnull, sys.executable, "-c", ""]
    return shutil.which("strace") is not None and subprocess.run(command, capture_output=True).returncode == 0


def watch(command: Sequence[str], environ: dict[str, str], folder: Path, given: Sequence[Path]) -> Seen:
    """With strace where that is there, else from within Python."""
    return (by_strace if has_strace() else by_hook)(command, environ, folder, given)


def by_strace(command: Sequence[str], environ: dict[str, str], folder: Path, given: Sequence[Path]) -> Seen:
    """Every system call, of compiled code too."""
    with TemporaryDirectory() as logs:
        calls = ",".join(sorted(NAMES | MADE | CHANGED | MOVED | {"open", "openat", "openat2", "chdir"}))
        options = ["-ff", "-qq", "-y", "-xx", "-s", "4096", "--signal=none", "--seccomp-bpf"]
        # A file for each thread: lines of several would be torn apart in one.
        strace = [str(shutil.which("strace")), *options, "-e", f"trace=?{calls.replace(',', ',?')}", "-o", f"{logs}/log"]
        done = _run([*closed_network(), *strace, *command], environ, folder)
        addresses, files = list[str](), list[str]()
        for log in Path(logs).iterdir():
            with log.open(encoding="ascii", errors="replace") as lines:
                _read_calls(lines, folder, addresses, files)
    return _seen(done, addresses, files, given)


def by_hook(command: Sequence[str], environ: dict[str, str], folder: Path, given: Sequence[Path]) -> Seen:
    """What Python itself does."""
    with TemporaryDirectory() as place:
        (Path(place) / "sitecustomize.py").write_text(HOOK)
        paths = os.pathsep.join(filter(None, [place, environ.get("PYTHONPATH")]))
        watched = environ | {"PYTHONPATH": paths, "WATCHED": f"{place}/log"}
        done = _run([*closed_network(), *command], watched, folder)
        addresses, files = list[str](), list[str]()
        for line in (Path(place) / "log").read_text(errors="surrogateescape").splitlines():
            kind, event, *what = line.split("\0")
            if kind == "file":
                files.append(f"{event} {what[0]}")
            elif not _on_loopback(what[0]):
                addresses.append(f"{event} {' '.join(what)}")
    return _seen(done, addresses, files, [*given, Path(place)])


def _run(command: Sequence[str], environ: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    return subprocess.run(command, env=environ, cwd=folder, text=True, errors="replace", check=False, **pipes)  # type: ignore[call-overload,no-any-return]


def _seen(done: subprocess.CompletedProcess[str], addresses: Iterable[str], files: Iterable[str], given: Sequence[Path]) -> Seen:
    allowed = tuple(f"{folder.resolve()}/" for folder in given)

    def is_free(line: str) -> bool:
        path = line.partition(" ")[2]
        # Python's own notes beside the modules that it reads.
        above = line.startswith(("mkdir", "os.mkdir")) and any(folder.startswith(f"{path}/") for folder in allowed)
        return not path or path.startswith(FREE) or f"{path}/".startswith(allowed) or "/__pycache__" in path or above

    outside = (line for line in files if not is_free(line))
    return Seen(done.returncode, done.stdout, tuple(dict.fromkeys(addresses)), tuple(dict.fromkeys(outside)))


CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)(?:<(.*)>)?")
TEXT = re.compile(r'(?:(?:AT_FDCWD|\d+)<([\\x0-9a-f]*)>, )?"([\\x0-9a-f]*)"')
WHERE = re.compile(r'sa_family=(AF_\w+)(?:, sin6?_port=htons\((\d+)\))?.*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([\\x0-9a-f]*)"')
FAMILY = re.compile(r"sa_family=(AF_\w+)")
QUIET = {"AF_UNIX", "AF_NETLINK", "AF_UNSPEC"}
"""Sockets that stay on the machine."""
NAME_SERVICE = "53"


def _read_calls(lines: Iterable[str], folder: Path, addresses: list[str], files: list[str]) -> None:
    """One thread's calls. `folder`: where it begins."""
    here = str(folder)
    for line in lines:
        call = CALL.match(line)
        if call is None:
            continue
        name, words, result, opened = call.groups()
        if name in NAMES:
            addresses.extend(_named(name, words))
        elif int(result) < 0:
            continue
        elif name == "chdir":
            here = os.path.join(here, _plain(TEXT.findall(words)[0][1]))
        elif name.startswith("open"):
            if WRITING.search(words):
                files.append(f"{name} {_plain(opened or '')}")
        else:
            files.extend(f"{name} {path}" for path in _paths(name, words, here))


def _named(name: str, words: str) -> Iterator[str]:
    """Addresses in a call's words that are not loopback's, and name services anywhere."""
    found = list(WHERE.finditer(words))
    for family, port, address in (one.groups() for one in found):
        if family in QUIET:
            continue
        if port == NAME_SERVICE or not _on_loopback(_plain(address)):
            yield f"{name} {_plain(address)} {port}"
    if not found:
        yield from (f"{name} {family}" for family in FAMILY.findall(words) if family not in QUIET)


def _paths(name: str, words: str, here: str) -> Iterator[str]:
    """Absolute paths that a call changes."""
    texts = TEXT.findall(words)
    if name.startswith("symlink"):
        texts = texts[1:]  # the first is what the link says
    elif name.startswith("link"):
        texts = texts[1:]
    for base, path in texts:
        yield os.path.normpath(os.path.join(_plain(base) or here, _plain(path)))


def _plain(text: str) -> str:
    r"""What strace wrote as \x2f\x64 ..."""
    return os.fsdecode(bytes.fromhex(text.replace("\\x", "")))


def _on_loopback(address: str) -> bool:
    """An address of loopback, by number: a name would have to be looked for."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address == "localhost"
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
