"""Compile the kernels ahead of the first start, saying so: `python -m engine.compile`."""

from __future__ import annotations

import sys
import threading
import time


def main() -> int:
    """Compile (or check) the kernels; prints one line when there was nothing to do, and progress otherwise."""
    started = time.monotonic()
    done = threading.Event()

    def tell() -> None:
        while not done.wait(2.0):
            print(f"  compiling the matching core … {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)

    threading.Thread(target=tell, daemon=True).start()
    from engine import apply

    fresh = apply.warm()
    done.set()
    what = "compiled" if fresh else "ready"
    print(f"matching core {what} in {time.monotonic() - started:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
