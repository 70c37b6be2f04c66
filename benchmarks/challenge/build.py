"""Build the adapter: `python -m benchmarks.challenge.build HARNESS [--out FOLDER]` (README.md).

HARNESS is a checkout of the challenge, fetched by the user; only its header api/matching_engine_api.h is read.  Makes
cashew_ring.so (our own queue) and cashew_queue.so (the harness's queue) in FOLDER and prints the flags.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

from benchmarks.challenge.host import sources_digest
from benchmarks.measure import ROOT

FLAGS: Final = ("-std=c++20", "-O3", "-march=native", "-fPIC", "-shared", "-Wall", "-Wextra")
SOURCE: Final = Path(__file__).with_name("adapter.cpp")


def libpython() -> str:
    """Name of the shared library that the adapter is linked with; SystemExit if this Python has none."""
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        raise SystemExit("this Python was built without a shared library (--enable-shared): it cannot be embedded")
    return str(Path(sysconfig.get_config_var("LIBDIR")) / sysconfig.get_config_var("INSTSONAME"))


def command(harness: Path, out: Path, *, own_queue: bool) -> list[str]:
    """The compiler's command line for one of the two libraries."""
    library = libpython()
    defines = [
        f'-DCASHEW_PYTHON="{sys.executable}"', f'-DCASHEW_ROOT="{ROOT}"', f'-DCASHEW_LIBPYTHON="{library}"',
        *([] if own_queue else ["-DCASHEW_CHALLENGE_QUEUE"]),
    ]  # fmt: skip
    includes = [f"-I{harness / 'api'}", f"-I{sysconfig.get_path('include')}"]
    name = "cashew_ring.so" if own_queue else "cashew_queue.so"
    folder = str(Path(library).parent)
    return ["g++", *FLAGS, *defines, *includes, str(SOURCE), library, f"-Wl,-rpath,{folder}", "-o", str(out / name)]


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("harness", type=Path, help="a checkout of the challenge")
    parser.add_argument("--out", type=Path, default=Path(), help="where the libraries go (here)")
    options = parser.parse_args(arguments)
    if not (options.harness / "api" / "matching_engine_api.h").is_file():
        print(f"no api/matching_engine_api.h in {options.harness}", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    for own_queue in (True, False):
        line = command(options.harness.resolve(), options.out.resolve(), own_queue=own_queue)
        print(shlex.join(line))
        subprocess.run(line, check=True)
    print(f"sha256 of the core's sources: {sources_digest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
