"""Run every bench and write benchmarks/RESULTS.md: `python -m benchmarks.run [--quick] [BENCH ...]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks import (
    bench_auction,
    bench_block,
    bench_challenge,
    bench_feed,
    bench_journal,
    bench_kernel,
    bench_limit,
    bench_recovery,
    bench_scale,
    bench_versions,
    bench_wire,
    real_flow,
    report,
)
from benchmarks.limit.floor import NO_COMPILER
from benchmarks.measure import ROOT, progress, save

FLOW_FOLDER: Final = ROOT.parent / "shared" / "data"
LEFT_OUT: Final = {"limit": NO_COMPILER, "real_flow": f"no order flow in {FLOW_FOLDER}"}  # why, where that may be


def flow(*, quick: bool, folder: Path = FLOW_FOLDER) -> dict[str, Any] | None:
    """Real order flow through both matchers; None if there is none beside the checkout."""
    rows = []
    for source in real_flow.sources(folder) if folder.is_dir() else ():
        progress(f"real flow: {source.name}")
        rows.append(real_flow.result(source, reference=True, rounds=3 if quick else real_flow.ROUNDS))
    return {"quick": quick, "rows": rows} if rows else None


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 if the two matchers differ on real flow (every bench asserts its own result)."""
    benches: dict[str, Callable[[bool, Path | None], dict[str, Any] | None]] = {
        "kernel": lambda quick, _: bench_kernel.run(quick=quick),
        "limit": lambda quick, _: bench_limit.run(quick=quick),
        "challenge": lambda quick, _: bench_challenge.run(quick=quick),
        "scale": lambda quick, _: bench_scale.run(quick=quick),
        "versions": lambda quick, _: bench_versions.run(quick=quick),
        "auction": lambda quick, _: bench_auction.run(quick=quick),
        "journal": lambda quick, folder: bench_journal.run(quick=quick, folder=folder),
        "block": lambda quick, folder: bench_block.run(quick=quick, folder=folder),
        "recovery": lambda quick, folder: bench_recovery.run(quick=quick, folder=folder),
        "wire": lambda quick, folder: bench_wire.run(quick=quick, folder=folder),
        "feed": lambda quick, folder: bench_feed.run(quick=quick, folder=folder),
        "real_flow": lambda quick, _: flow(quick=quick),
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--quick", action="store_true", help="smaller books and fewer rounds, in about two minutes")
    parser.add_argument("--folder", type=Path, help="where logs are written: the disk that is measured (TMPDIR)")
    parser.add_argument("bench", nargs="*", metavar="BENCH", help=f"some of: {', '.join(benches)} (all)")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.bench if name not in benches]:
        parser.error(f"no such bench: {', '.join(unknown)}; there are {', '.join(benches)}")
    chosen = options.bench or list(benches)
    same = True
    for place, name in enumerate(chosen, 1):
        print(f"[{place}/{len(chosen)}] {name}", file=sys.stderr, flush=True)
        start = time.monotonic()
        found = benches[name](options.quick, options.folder)
        if found is None:
            print(f"  left out: {LEFT_OUT[name]}", file=sys.stderr)
            continue
        same &= all(row.get("same", True) for row in found.get("rows", ()))
        print(f"  {save(name, found).relative_to(ROOT)} in {time.monotonic() - start:.0f} s", file=sys.stderr)
    report.main()
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
