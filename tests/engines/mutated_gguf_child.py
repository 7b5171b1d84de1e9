"""Opens GGUF files one after the other with one engine and writes 4 tokens; one line before and after each.

    python mutated_gguf_child.py ENGINE < LIST_OF_PATHS

The process may take a few GiB, and 5 s of the processor or 60 s by the clock for a file: a signal that nobody
catches ends it. (The clock is for what another process of llama.cpp does.)
"""

import resource
import signal
import sys
from pathlib import Path

import homespun.engines.openvino.engine  # noqa: F401  (its libraries are in before the limit counts)
from homespun.engines.choose import open_engine
from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.errors import HomespunError

LIMIT_BYTES = 8 << 30
LIMIT_CPU_S = 5
LIMIT_S = 60


def main() -> None:
    engine = sys.argv[1]
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    for line in sys.stdin:
        print("begin", line.strip(), flush=True)
        signal.alarm(LIMIT_S)
        signal.setitimer(signal.ITIMER_PROF, LIMIT_CPU_S)
        print("end", _outcome(Path(line.strip()), engine), flush=True)
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _outcome(path: Path, engine: str) -> str:
    options = EngineOptions(threads=1, cache_tokens=512)
    try:
        with open_engine(path, options, engine=engine) as loaded:  # type: ignore[arg-type]
            prompt = tuple(loaded.tokenizer.encode("the an"))
            answer = loaded.generate([Request(prompt, GenerateOptions(max_new_tokens=4))])[0]
            return f"wrote {len(answer.steps)}"
    except HomespunError as error:
        return f"refused {type(error).__name__}: {error}"
    except Exception as error:
        return f"fault {type(error).__name__}: {error}".replace("\n", " ")


main()
