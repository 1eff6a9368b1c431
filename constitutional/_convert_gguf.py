"""Turn a GGUF file into a safetensors folder: `python -P _convert_gguf.py GGUF FOLDER`, run by `embedded.py`.

A process of its own, for three reasons: the libraries' progress bars and warnings stay out of the user's
terminal, the environment that the converted bytes depend on is the same whoever asks, and the memory is
given back at once. It imports nothing of this package.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path


def convert(gguf: Path, folder: Path) -> None:
    """Dequantise a GGUF file to bfloat16 and save model and tokenizer as `from_pretrained` reads them.

    Without `dequantize=True` the model would load too, but trainers refuse it.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def _stop_when_orphaned() -> None:
    # Returns when the process that asked is gone. Not sys.stdin: its lock, held here, would abort our exit.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_stop_when_orphaned, daemon=True).start()
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
