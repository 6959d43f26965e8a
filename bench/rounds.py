# SPDX-License-Identifier: Apache-2.0
"""Taking turns between engines on a machine that may have other work. A round runs every engine for
one burst, in an order that moves on by one each round; ratios are of one round's bursts, so that
what slows the machine for a while slows both sides. A burst during which other processes took more
than a tenth of the processors is measured again when the machine is idle, while there is
patience."""
import json
import os
import statistics
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
CORES = len(os.sched_getaffinity(0))
OTHERS = 0.1       # of all processors
PATIENCE = int(os.environ.get("BENCH_PATIENCE", 40))  # seconds of waiting and measuring again, for one table


def busy_seconds():
    """Processor time used by everything on the machine, and by its host."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, soft, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / TICK


def process_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def wait_for_idle(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = busy_seconds()
        time.sleep(0.1)
        if busy_seconds() - before <= 0.1 * CORES * OTHERS:
            return


class Worker:
    """A process that answers a number with the times of that many calls, in milliseconds."""

    def __init__(self, name, command, calls, unit=1.0):
        self.name, self.calls, self.unit = name, calls, unit
        command = list(map(str, command))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"{name}: did not start: {' '.join(command)}")

    def run(self):
        """(best, median, the processor seconds it took)"""
        before = process_seconds(self.process.pid)
        self.process.stdin.write(f"{self.calls}\n")
        self.process.stdin.flush()
        times = [t * self.unit for t in json.loads(self.process.stdout.readline())]
        return min(times), statistics.median(times), process_seconds(self.process.pid) - before

    def peak(self):
        """MB; the process must still be there."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Command:
    """A command run afresh for each burst. Its figures are its wall time and its peak memory, or
    what `read` makes of its output: (best, median)."""

    def __init__(self, name, command, read=None, before=None):
        self.name, self.command = name, list(map(str, command))
        self.read, self.before = read, before
        self.memory = []  # MB

    def run(self):
        if self.before:
            self.before()
        # Not subprocess, which does not tell what a child used. This process is small on purpose:
        # Linux counts the parent's memory at the time of the start into the child's peak.
        start, end = os.pipe()
        began = time.perf_counter()
        pid = os.posix_spawnp(self.command[0], self.command, os.environ,
                              file_actions=[(os.POSIX_SPAWN_DUP2, end, 1)])
        os.close(end)
        with open(start) as f:
            text = f.read()
        _, status, use = os.wait4(pid, 0)
        ms = (time.perf_counter() - began) * 1e3
        if status:
            raise SystemExit(f"{self.name} failed: {' '.join(self.command)}")
        self.memory.append(use.ru_maxrss / 1024)
        best, median = self.read(text) if self.read else (ms, ms)
        return best, median, use.ru_utime + use.ru_stime

    def peak(self):
        return max(self.memory)

    def close(self):
        pass


class Times:
    def __init__(self, engines):
        self.best = {e.name: float("inf") for e in engines}
        self.medians = {e.name: [] for e in engines}
        self.memory = {}  # MB
        self.disturbed = 0
        self.bursts = 0
        self.patience = PATIENCE

    def median(self, name):
        return statistics.median(self.medians[name])

    def ratio(self, name, to):
        """(median, smallest, largest) over the rounds of name's time in shares of to's."""
        shares = [a / b for a, b in zip(self.medians[name], self.medians[to])]
        return statistics.median(shares), min(shares), max(shares)


def burst(engine, times):
    """Its least disturbed measurement."""
    least = None
    while least is None or (not least[3] and times.patience > 0):
        began = time.monotonic()
        if least:
            wait_for_idle(times.patience)
        busy, started = busy_seconds(), time.monotonic()
        best, median, own = engine.run()
        end = time.monotonic()
        room = (end - started) * CORES
        others = busy_seconds() - busy - own
        # A clock tick is 10 ms: in a short burst one or two of another's are no disturbance.
        quiet = others <= max(OTHERS * room, 2 / TICK)
        times.patience -= end - began if least else 0
        if least is None or others / room < least[0]:
            least = (others / room, best, median, quiet)
    _, best, median, quiet = least
    times.bursts += 1
    times.disturbed += not quiet
    times.best[engine.name] = min(times.best[engine.name], best)
    times.medians[engine.name].append(median)


def interleave(engines, rounds):
    times = Times(engines)
    try:
        for r in range(rounds):
            for k in range(len(engines)):
                burst(engines[(r + k) % len(engines)], times)
        times.memory = {e.name: e.peak() for e in engines}
    finally:
        for e in engines:
            e.close()
    return times
