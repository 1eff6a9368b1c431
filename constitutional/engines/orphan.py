"""vLLM's processes follow ours into death.

A process killed with SIGKILL can't stop its children, and vLLM's engine process, left alone, stays in memory for ever with
the model and its KV cache. vLLM loads this function in each of its processes, as a plugin; where the process was started for
one of our engines, a thread waits for the end of the process that started it, and then ends this one.
"""

from __future__ import annotations

import multiprocessing
import os
import threading

MARK = "CONSTITUTIONAL_ENGINE"
"""Environment variable that our engines set for the processes they start."""


def follow_parent() -> None:
    """End this process as soon as the one that started it is gone. Does nothing in processes that are not ours."""
    parent = multiprocessing.parent_process()
    if MARK not in os.environ or parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="follow-parent", daemon=True).start()
