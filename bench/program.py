"""Programs under measurement: started, put to sleep, woken, weighed and stopped, always by process id.

CPU time is user and system time of the process and its children, read from the kernel's clock of each process
(the account behind `/proc/PID/stat`, in nanoseconds instead of its ticks of 10 ms) plus, for children already gone,
the two `/proc/PID/stat` fields which their parent collected.
"""

import collections
import contextlib
import dataclasses
import os
import signal
import subprocess
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.01
STILL_SECONDS = 0.4
STILL_SHARE = 0.05


class Unfinished(Exception):
    """A program did not get done in the time it was given, or ended by itself."""


@dataclasses.dataclass(frozen=True)
class Cost:
    cpu_seconds: float
    wall_seconds: float


@dataclasses.dataclass(frozen=True)
class Memory:
    resident_bytes: int
    peak_bytes: int


class Program:
    """A child process in a session of its own, which writes all it prints to `log_path`."""

    def __init__(self, name, command, folder, environment=None):
        self.name, self.command, self.folder, self.environment = name, command, folder, environment
        self.log_path = folder / f"{name}.log"
        self.launch()

    def launch(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()

    def own_cpu_seconds(self):
        """CPU time of the process itself; one system call, for frequent sampling."""
        self.check_alive()
        return process_cpu_seconds(self.pid)

    def cpu_seconds(self):
        """CPU time of the process and all its children, running and ended."""
        self.check_alive()
        return sum(process_cpu_seconds(pid) + ended_children_cpu_seconds(pid) for pid in family(self.pid))

    def memory(self):
        self.check_alive()
        each = [process_memory(pid) for pid in family(self.pid)]
        return Memory(sum(memory.resident_bytes for memory in each), sum(memory.peak_bytes for memory in each))

    def log(self):
        return self.log_path.read_bytes()

    def log_end(self):
        return self.log()[-2000:].decode(errors="replace")

    def clear_log(self):
        """Empties the log; the program goes on writing at its new end, since it appends."""
        os.truncate(self.log_path, 0)

    def sleep(self):
        os.killpg(self.pid, signal.SIGSTOP)

    def wake(self):
        os.killpg(self.pid, signal.SIGCONT)

    def is_alive(self):
        return self.process.poll() is None

    def check_alive(self):
        code = self.process.poll()
        if code is not None:
            raise Unfinished(f"{self.name} ended with code {code}; its log ends:\n{self.log_end()}")

    def stop(self):
        if self.process.poll() is None:
            self.wake()
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # what it left behind in its own session
        self.process.wait(20)


def process_cpu_seconds(pid):
    clock = (~pid << 3) | 2  # as clock_getcpuclockid(3) makes it: the scheduler's clock of one process
    try:
        return time.clock_gettime(clock)
    except OSError:
        return 0.0  # ended between listing and reading; its parent accounts for it


def ended_children_cpu_seconds(pid):
    fields = stat_fields(pid)
    return (int(fields[13]) + int(fields[14])) / TICKS_PER_SECOND if fields else 0.0


def stat_fields(pid):
    """The fields of `/proc/PID/stat` after the name, which may hold spaces: [0] is the state, [1] the parent."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def family(pid):
    """`pid` and all its living descendants."""
    children = collections.defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := stat_fields(entry)):
            children[int(fields[1])].append(int(entry))
    found = [pid]
    for member in found:
        found.extend(children[member])
    return found


def process_memory(pid):
    sizes = {}
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                sizes[name] = int(value.split()[0]) * 1024
    return Memory(sizes.get("VmRSS", 0), sizes.get("VmHWM", 0))


def wait_until_still(programs, deadline):
    """Waits until `programs` together use next to no CPU: less than STILL_SHARE of a core over STILL_SECONDS.

    Returns the moments between which they were at work, to about SAMPLE_SECONDS.
    """

    def used():
        return sum(program.own_cpu_seconds() for program in programs)

    start = first_work = last_work = time.monotonic()
    window = collections.deque([(start, used())])
    while True:
        time.sleep(SAMPLE_SECONDS)
        now, cpu = time.monotonic(), used()
        if cpu - window[-1][1] > 0.1 * (now - window[-1][0]):
            first_work = window[-1][0] if first_work == last_work else first_work
            last_work = now
        window.append((now, cpu))
        while len(window) > 2 and now - window[1][0] >= STILL_SECONDS:
            window.popleft()
        span = now - window[0][0]
        if span >= STILL_SECONDS and cpu - window[0][1] < STILL_SHARE * span:
            return first_work, last_work
        if now > deadline:
            names = " and ".join(program.name for program in programs)
            raise Unfinished(f"{names} still busy after {now - start:.0f} s")
