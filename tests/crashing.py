"""Killing real processes at moments of their work, whatever the machine's speed."""

import json
import random
import signal
import time
from collections import Counter


def asked(log):
    """The hash of every request that a scripted engine was sent, as its log has them."""
    return log.read_text().split() if log.exists() else []


def times_asked_again(log):
    """How many requests were sent a second time, or more often."""
    return sum(times - 1 for times in Counter(asked(log)).values())


def generated_in_all(out):
    """How many generations the manifest of a run counts, over all processes that worked on it."""
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))["timings"]["generated"]


def kill_moments(seed, requests, kills):
    """After how many requests each process is killed, the earliest first; the same for the same seed."""
    return sorted(random.Random(seed).sample(range(requests), kills))


def kill_after(process, log, requests, delay=0.0):
    """SIGKILL a process as soon as so many requests were sent in all, and `delay` seconds more; or see it end before."""
    while len(asked(log)) < requests and process.poll() is None:
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()
