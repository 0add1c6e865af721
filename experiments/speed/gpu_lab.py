"""Stages with a time limit, checks against float64, and times with and without the launches."""

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from subquad.bench import environment, side_by_side

HALF = torch.bfloat16


class Lab:
    """Where it runs, how long it may, and what was found."""

    def __init__(self, device: str, quick: bool, seconds: float, output: Path) -> None:
        self.device, self.quick, self.seconds, self.output = torch.device(device), quick, seconds, output
        names = ("torch", "triton", "transformers")
        versions = {
            name: importlib.metadata.version(name) for name in names if importlib.util.find_spec(name)
        }
        self.found = {"environment": asdict(environment(self.device)) | versions, "quick": quick}
        self.found |= {"cuda": torch.version.cuda, "passed": True, "stages": {}, "measured": []}
        self.rows: list[dict] = []
        self.wrong: set[str] = set()  # operations that failed a check
        self.right: set[str] = set()  # that passed all: only of these a measurement is kept

    def run(self, name: str, stage: Callable[["Lab"], None], share: float) -> None:
        """Run one stage within its share of the time, and write down how it went."""
        limit, started = self.seconds * share, time.perf_counter()
        print(f"{name}: at most {limit:.0f} s", flush=True)
        self.rows = []
        record = {"rows": self.rows}
        self.found["stages"][name] = record
        try:
            with alarm(limit):
                stage(self)
        except Exception as error:  # the other stages are worth having
            self.fail(f"{name}: {type(error).__name__}: {error}")
            record["error"] = f"{type(error).__name__}: {error}"
        record |= {"seconds": round(time.perf_counter() - started, 1), "load": os.getloadavg()[0]}
        self.output.write_text(json.dumps(self.found, indent=1) + "\n")

    def fail(self, what: str) -> None:
        self.found["passed"] = False
        print(f"  FAILED {what}", flush=True)

    def check(self, what: str, actual: Tensor, exact: Tensor, bound: float, operation: str = "") -> None:
        """Compare with float64; not a number is an error too."""
        error = float((actual.detach().double() - exact.detach()).norm() / exact.detach().norm())
        self.rows.append({"what": what, "error": error, "bound": bound})
        print(f"  {what}: {error:.1e} of at most {bound:.0e}", flush=True)
        if not error <= bound:
            self.fail(what)
            self.wrong.add(operation)

    def vouch(self, operation: str) -> None:
        """End the checks of an operation."""
        if operation not in self.wrong:
            self.right.add(operation)

    def time(
        self, what: str, ways: dict[str, Callable[[], object]], alone: bool = True, **labels: object
    ) -> dict[str, float]:
        """Time ways in turn, and if `alone` without their launches, too; returns medians in ms."""
        row = {"what": what, **labels, "ways": {}, "peak_mib": {}, "on_device_ms": {}}
        self.rows.append(row)
        running, once = {}, 0.0
        for name, way in ways.items():
            try:
                way()
                self.wait()
                started = time.perf_counter()
                row["peak_mib"][name] = self.peak(way)
                once += time.perf_counter() - started
                running[name] = way
            except TimeoutError:
                raise
            except Exception as error:  # the other ways are worth having
                self.fail(f"{what} {labels}, {name}: {type(error).__name__}: {error}")
                row["ways"][name] = {"error": f"{type(error).__name__}: {error}"}
        repeats = 2 if self.quick else max(5, min(50, int(3 / max(1e-6, once))))
        times = side_by_side(running, repeats=repeats, device=self.device) if running else {}
        for name, timing in times.items():
            row["ways"][name] = asdict(timing) | {"repeats": repeats}
            without = on_device(running[name], self.device) if alone else None
            row["on_device_ms"][name] = without
            shown = "" if without is None else f", without launches {without:.4f}"
            print(f"  {what} {labels}, {name}: {timing} ms{shown}", flush=True)
        return {name: timing.p50 for name, timing in times.items()}

    def keep(self, operation: str, x: Tensor, sizes: tuple[int, ...], pair: tuple[float, float]) -> None:
        """Note one entry of measured.json, if the kernel was checked and right."""
        if operation not in self.right:
            return
        seen = self.found["environment"]
        entry = {
            "operation": operation,
            "device": seen["device"],
            "dtype": str(x.dtype).removeprefix("torch."),
        }
        entry |= {"sizes": sizes, "reference_ms": pair[0], "triton_ms": pair[1], "commit": seen["commit"]}
        self.found["measured"].append(entry)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def peak(self, way: Callable[[], object]) -> float | None:
        """Run once; return the memory that was needed on top of what was there, in MiB."""
        if self.device.type != "cuda":
            way()
            return None
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        way()
        self.wait()
        return (torch.cuda.max_memory_allocated() - before) / 2**20


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer, as soon as Python gets to it."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"it took longer than {seconds:.0f} s")

    former = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def on_device(way: Callable[[], object], device: torch.device, times: int = 10) -> float | None:
    """Return the milliseconds of one run without its launches; None where they cannot be recorded."""
    if device.type != "cuda":
        return None
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            for _ in range(times):
                way()
    except TimeoutError:
        raise
    except Exception:  # such as what waits for the device
        torch.cuda.synchronize()
        return None
    graph.replay()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(5):
        graph.replay()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 5 / times
