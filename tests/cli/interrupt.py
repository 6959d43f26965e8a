# SPDX-License-Identifier: Apache-2.0
"""interrupt.py SECONDS COMMAND...: runs the command, sends it SIGINT that long after it began to
catch it, and prints what it said and its exit code. Standard input is a pipe that never ends."""
import signal
import subprocess
import sys
import time


def catches(pid, number):
    with open(f"/proc/{pid}/status") as f:
        caught = next(line for line in f if line.startswith("SigCgt:"))
    return int(caught.split()[1], 16) >> (number - 1) & 1


def main():
    seconds, command = float(sys.argv[1]), sys.argv[2:]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    while process.poll() is None and not catches(process.pid, signal.SIGINT):
        time.sleep(0.001)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    said = process.stdout.read() + process.stderr.read()
    print("$", *command)
    print(f"{said.decode()}exit {process.wait()}")


if __name__ == "__main__":
    main()
