"""Runs a module and counts what the interpreter executes of it, between a SIGUSR1 and a SIGUSR2.

``python -m bench.profile.counted FILE -m MODULE ARGUMENTS...``: the counts are in FILE after the second signal, and
FILE.begun is there after the first.
"""

import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any


class InstructionCounter:
    """Counts the bytecode instructions of every function.

    Args:
        file: where the counts are written.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._instructions: Counter[CodeType] = Counter()
        self._calls: Counter[CodeType] = Counter()

    def begin(self, *_: object) -> None:
        self._instructions.clear()
        self._calls.clear()
        sys.settrace(self._trace)
        self._file.with_suffix(".begun").touch()

    def end(self, *_: object) -> None:
        sys.settrace(None)
        counts = [
            [code.co_filename, code.co_qualname, instructions, self._calls[code]]
            for code, instructions in self._instructions.items()
        ]
        unfinished = self._file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(counts))
        unfinished.rename(self._file)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            self._calls[frame.f_code] += 1
        elif event == "opcode":
            self._instructions[frame.f_code] += 1
        return self._trace


def main() -> None:
    file, _, module = sys.argv[1:4]
    counter = InstructionCounter(Path(file))
    signal.signal(signal.SIGUSR1, counter.begin)
    signal.signal(signal.SIGUSR2, counter.end)
    sys.argv = [module, *sys.argv[4:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
