"""What native code inside a worker tries: against the walls, and against the protocol."""

from __future__ import annotations

import platform
from functools import partial

from derl_runtime.sandbox import SandboxLimits
from derl_runtime.sandbox.worker.seccomp import number
from tests.hostile.cases import HANGS, Case, body

_X86 = platform.machine() == "x86_64"
# Calls that no list of ours names: numbers of x86_64 and aarch64.
_CALLS = {
    "process_vm_readv": (310, 270),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "pidfd_getfd": (438, 438),
    "init_module": (175, 105),
    "setuid": (105, 146),
    "personality": (135, 92),
    "inotify_init1": (294, 26),
    "kexec_load": (246, 104),
    "sched_setaffinity": (203, 122),
}
_NUMBERS = {name: both[0 if _X86 else 1] for name, both in _CALLS.items()}
_OWN = {n: number(n) for n in ("prctl", "seccomp", "clone", "clone3", "execve", "socketpair",
                               "prlimit64", "rt_sigaction", "landlock_create_ruleset")}  # fmt: skip

killed = partial(body, restricted="violation")
denied = partial(body, restricted="crash", says="PermissionError: [Errno 13]")
broken = partial(body, restricted="protocol")

OS = [
    # Files: CPython itself asks for some, so they are refused instead of killed.
    denied("open_file", 'return len(open("/etc/passwd").read())'),
    denied("open_for_writing", 'open("/tmp/derl-hostile", "w").close()\nreturn 1'),
    denied("open_own_memory", 'open("/proc/self/mem", "rb").close()\nreturn 1'),
    denied("open_proc", 'open("/proc/1/environ", "rb").close()\nreturn 1'),
    denied("list_directory", 'return len(os.listdir("/"))'),
    denied("stat", 'return os.stat("/etc/passwd").st_size'),
    killed("chmod", 'os.chmod("/tmp", 0o777)\nreturn 1'),
    killed("unlink", 'os.unlink("/tmp/derl-hostile")\nreturn 1'),
    killed("mkdir", 'os.mkdir("/tmp/derl-hostile")\nreturn 1'),
    # Network.
    killed("tcp", "socket.socket(socket.AF_INET, socket.SOCK_STREAM)\nreturn 1"),
    killed("udp", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nreturn 1"),
    killed("ipv6", "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\nreturn 1"),
    killed("unix_socket", "socket.socket(socket.AF_UNIX)\nreturn 1"),
    killed("netlink", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)\nreturn 1"),
    killed("socketpair", "socket.socketpair()\nreturn 1"),
    # Processes, threads, programs.
    killed("fork", "return os.fork()"),
    killed("fork_bomb", "while True:\n    os.fork()"),
    killed("thread", "threading.Thread(target=len).start()\nreturn 1"),
    killed("execve", 'os.execve("/bin/sh", ["sh"], {})'),
    killed("system", 'return os.system("true")'),
    killed("setsid", "os.setsid()\nreturn 1"),
    killed("ptrace", "return LIBC.ptrace(16, os.getpid() - 1, 0, 0)"),
    killed("kill_parent", "os.kill(os.getppid(), 9)\nreturn 1"),
    killed("kill_all", "os.kill(-1, 9)\nreturn 1"),
    killed("kill_itself", "os.kill(os.getpid(), 9)\nreturn 1"),
    killed("tgkill_another", f"syscall({number('tgkill')}, 1, 1, 6)\nreturn 1"),
    killed("tgkill_other_signal",
           f"syscall({number('tgkill')}, os.getpid(), os.getpid(), 9)\nreturn 1"),
    # Memory that is code.
    killed("executable_mmap", "mmap.mmap(-1, 4096, prot=7)\nreturn 1"),
    killed("executable_mprotect",
           "m = mmap.mmap(-1, 4096)\n"
           "a = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
           "return LIBC.mprotect(ctypes.c_void_p(a), 4096, 7)"),
    # The walls themselves.
    killed("raise_limits", "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (99, 99))\n"
           "return 1"),
    killed("catch_signal", "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nreturn 1"),
    killed("sleep", "time.sleep(0.01)\nreturn 1"),
    *(killed(f"call_{name}", f"syscall({n}, 0, 0, 0, 0, 0)\nreturn 1")
      for name, n in {**_NUMBERS, **_OWN}.items()),
    *([killed("x32_call", "syscall(0x40000000 + 39)\nreturn 1"),
       killed("call_out_of_range", "syscall(9999)\nreturn 1")] if _X86 else []),
    # What a worker inherits.
    body("inherited_descriptors",
         "n = 0\nfor fd in range(256):\n    try:\n        os.lseek(fd, 0, 1)\n        n += 1\n"
         "    except OSError as e:\n        n += e.errno == 29\nreturn n", "value"),
    body("inherited_environment",
         'return len(set(os.environ) - {"PYTHONHASHSEED", "LC_ALL", "MALLOC_ARENA_MAX", '
         '"LC_CTYPE"})', "value"),
    body("write_into_the_job", 'return os.write(0, b"x")', "crash", says="OSError"),
    body("write_to_standard_error", 'return os.write(2, b"x")', "crash", says="OSError"),
    body("segfault", "ctypes.string_at(0)", "crash"),
    body("abort", "LIBC.abort()", "crash"),
    body("bus_error_of_stack", "ctypes.memset(ctypes.addressof(ctypes.c_int()) - (1 << 40), 1, 9)",
         "crash"),
]  # fmt: skip

_SMALL = SandboxLimits(deadline=3.0, cpu=3.0, memory=128 << 20)

PROTOCOL = [
    body("never_replies", "while True:\n    pass", "timeout", limits=HANGS),
    body("closes_the_pipe_and_hangs", "os.close(1)\nwhile True:\n    pass", "timeout",
         limits=HANGS),
    broken("closes_the_pipe_and_ends", "os.close(1)\nos._exit(0)"),
    broken("ends_without_reply", "os._exit(0)"),
    body("exit_code", "os._exit(3)", "crash"),
    body("system_exit", "raise SystemExit(0)", "crash"),
    body("keyboard_interrupt", "raise KeyboardInterrupt", "crash"),
    broken("endless_output", 'while True:\n    say(b"x" * 65536)'),
    body("dribbles", 'say(b"\\0")\nwhile True:\n    os.sched_yield()', "timeout", limits=HANGS),
    broken("dribbles_too_much", 'while True:\n    say(b"\\0")'),
    broken("header_only", "say(reply([1.0])[:5])\nos._exit(0)"),
    broken("part_of_the_header", "say(reply([1.0])[:2])\nos._exit(0)"),
    broken("part_of_the_values", "say(reply([1.0])[:9])\nos._exit(0)"),
    broken("without_the_marks", "say(reply([1.0])[:-1])\nos._exit(0)"),
    broken("too_many_values", "say(reply([1.0, 2.0]))\nos._exit(0)"),
    broken("no_values", "say(reply([]))\nos._exit(0)"),
    broken("trailing_byte", 'say(reply([1.0]) + b"x")\nos._exit(0)'),
    broken("two_replies", "say(reply([1.0]))\nreturn 1"),
    broken("count_of_four_billion", 'say(struct.pack("<BI", 0, 0xFFFFFFFF))\nos._exit(0)'),
    broken("unknown_status", 'say(b"\\xff" + reply([1.0])[1:])\nos._exit(0)'),
    broken("declarations_for_values", 'say(struct.pack("<BI", 1, 0))\nos._exit(0)'),
    broken("pickle", 'say(pickle.dumps([1.0]))\nos._exit(0)'),
    broken("json", 'say(b\'{"values": [1.0]}\')\nos._exit(0)'),
    broken("mark_of_two", 'say(reply([1.0])[:-1] + b"\\2")\nos._exit(0)'),
    body("nan_in_the_frame", 'say(reply([float("nan")]))\nos._exit(0)', "nonfinite"),
    body("infinity_in_the_frame", 'say(reply([float("inf")]))\nos._exit(0)', "nonfinite"),
    body("nan_marked_absent", 'say(reply([float("nan")])[:-1] + b"\\1")\nos._exit(0)',
         "nonfinite"),
    broken("message_longer_than_it_says",
           'say(struct.pack("<BI", 4, 3) + b"abcdef")\nos._exit(0)'),
    broken("message_too_long", 'say(struct.pack("<BI", 4, 5000) + b"a" * 5000)\nos._exit(0)'),
    body("message_of_control_characters",
         'say(struct.pack("<BI", 4, 6) + b"\\x1b[2J\\r\\n")\nos._exit(0)', "crash"),
    body("message_no_utf8", 'say(struct.pack("<BI", 4, 3) + b"\\xff\\xfe\\xed")\nos._exit(0)',
         "crash"),
    body("reply_then_crash", "say(reply([1.0]))\nctypes.string_at(0)", "crash"),
    body("reply_then_hang", "say(reply([1.0]))\nwhile True:\n    pass", "timeout", limits=HANGS),
    body("memory_in_c", "p = LIBC.malloc(ctypes.c_size_t(1 << 40))\nreturn 1 / p", "crash"),
    body("memory_in_python", "x = bytearray(1 << 30)\nreturn 1", "crash|oom", limits=_SMALL),
    body("stack_overflow_in_c",
         "F = ctypes.CFUNCTYPE(None)\nL = []\ndef g():\n    L[0]()\nL.append(F(g))\ng()",
         "crash|timeout|violation", limits=HANGS),
]  # fmt: skip

RAW: dict[str, list[Case]] = {"os": OS, "protocol": PROTOCOL}
# Behind the first walls of the monty engine, which let a program start: no other file than its own.
STARTING = {
    "starting": [
        denied("open_file", 'return len(open("/etc/passwd").read())'),
        denied("open_proc", 'open("/proc/self/maps").close()\nreturn 1'),
        denied("list_directory", 'return len(os.listdir("/"))'),
        denied("run_a_program", 'os.execve("/bin/sh", ["sh"], {})'),
        body("run_a_copy", 'fd = syscall(319 if os.uname().machine == "x86_64" else 279, b"x", 0)\n'
             "return fd", "violation"),
        killed("tcp", "socket.socket(socket.AF_INET, socket.SOCK_STREAM)\nreturn 1"),
        killed("unix_socket", "socket.socket(socket.AF_UNIX)\nreturn 1"),
        killed("kill_parent", "os.kill(os.getppid(), 9)\nreturn 1"),
        killed("setsid", "os.setsid()\nreturn 1"),
        killed("ptrace", "return LIBC.ptrace(16, os.getpid() - 1, 0, 0)"),
        body("forked_child_is_killed_too",
             "if os.fork() == 0:\n    while True:\n        pass\nreturn 1", "value"),
    ]
}  # fmt: skip
# Harmless answers that are checked: what a worker can count of its surroundings.
VALUES = {"inherited_descriptors": 3.0, "inherited_environment": 0.0}
