"""From an image to its class map: our networks beside those that people use for the same work."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from subquad.base.suggest import did_you_mean
from subquad.bench.checks import check_numbers
from subquad.bench.contenders import CONTENDERS, REFERENCE, Contender, is_installed
from subquad.bench.environment import Environment, Watch
from subquad.bench.memory import mib, peak_memory
from subquad.bench.result import Chart, Dots, Table
from subquad.bench.timing import Tell, Timing, side_by_side
from subquad.models import SegmentationNetwork, optimize_for_inference

STRIDE = 32  # sides must be multiples: U-Net and DeepLabV3+ take no others
AIMED = "light_ham_van_tiny_d256"
FORMS = ("plain", "optimised")


@dataclass(frozen=True)
class NetworkRow:
    """A network in one form.

    Attributes:
        name: Of the network.
        package: That it comes from.
        form: "plain" as its documentation has it, or "optimised".
        parameters: In its plain form.
        multiply_adds: Of one image, in its plain form: convolutions and matrix products.
        time: From images to class maps.
        memory: The most bytes that were held at a time, beside weights and images.
    """

    name: str
    package: str
    form: str
    parameters: int
    multiply_adds: int
    time: Timing
    memory: int


@dataclass(frozen=True)
class ModelsBench:
    """What `bench_models` measured.

    Attributes:
        left_out: Sentences about networks that could not be measured.
    """

    environment: Environment
    size: int
    batch: int
    classes: int
    repeats: int
    rows: tuple[NetworkRow, ...]
    left_out: tuple[str, ...]

    def reference(self) -> NetworkRow | None:
        """Return SegFormer-B0 in its faster form, if it was measured."""
        rows = [row for row in self.rows if row.name == REFERENCE]
        return min(rows, key=lambda row: row.time.p50, default=None)

    def share(self, row: NetworkRow) -> float | None:
        """Return the time of a network as a share of SegFormer-B0's, in its faster form."""
        reference = self.reference()
        return None if reference is None else row.time.p50 / reference.time.p50

    def images_a_second(self, row: NetworkRow) -> float:
        """Return how many images a network takes in a second."""
        return 1e3 * self.batch / row.time.p50

    def tables(self) -> list[Table]:
        """Return the times of each form, what each network costs, how the aim stands, what is left out."""
        title = (
            f"batch {self.batch}, {self.size} x {self.size} pixels to class maps of {self.classes} classes, "
            f"float32, {self.repeats} rounds"
        )
        columns = ("network", "form", "ms", "images/s", f"of {REFERENCE}")
        told = [Table(sentence) for sentence in (self._aim(), *self.left_out) if sentence]
        return [Table(title, columns, [self._times(row) for row in self.rows]), self._costs(), *told]

    def charts(self) -> list[Chart]:
        """Return the times of all networks, fastest first."""
        best = {row.name: row.time.p50 for row in sorted(self.rows, key=lambda row: -row.time.p50)}
        names = sorted(best, key=lambda name: best[name])
        times = {(row.name, row.form): row.time for row in self.rows}
        series = {form: [times.get((name, form)) for name in names] for form in FORMS}
        return [Dots(f"{self.size} x {self.size} pixels to a class map", "ms", names, series)]

    def _times(self, row: NetworkRow) -> tuple[str, ...]:
        share = self.share(row)
        told = "n/a" if share is None else f"{share:.2f}"
        return row.name, row.form, str(row.time), f"{self.images_a_second(row):.1f}", told

    def _costs(self) -> Table:
        memory = {(row.name, row.form): mib(row.memory) for row in self.rows}
        rows = [
            (
                row.name,
                f"{row.parameters / 1e6:.1f} M",
                f"{row.multiply_adds / 1e9:.2f} G",
                *(memory.get((row.name, form), "n/a") for form in FORMS),
            )
            for row in self.rows
            if row.form == FORMS[0]
        ]
        columns = ("network", "parameters", "multiply-adds", *(f"{form}, MiB" for form in FORMS))
        return Table("What they cost; memory beside weights and images, at its highest", columns, rows)

    def _aim(self) -> str:
        """Say where the network that is aimed at stands beside the reference, form by form."""
        times = {(row.name, row.form): row.time.p50 for row in self.rows}
        found = [
            f"{times[AIMED, form] / times[REFERENCE, form]:.2f} {form}"
            for form in FORMS
            if (AIMED, form) in times and (REFERENCE, form) in times
        ]
        return f"{AIMED} takes of the time of {REFERENCE}: {', '.join(found)}." if found else ""


@torch.inference_mode()
def bench_models(
    *,
    size: int = 512,
    batch: int = 1,
    classes: int = 150,
    repeats: int = 10,
    only: Sequence[str] = (),
    device: str = "cpu",
    tell: Tell | None = None,
) -> ModelsBench:
    """Time images to class maps, with random weights, in float32.

    Every network runs in two forms. Plain is what its documentation says: logits of the image's size, and
    their argmax. Optimised is the same treatment for all, `optimize_for_inference` and images in
    channels_last; ours then make the class map without all logits of all pixels, as `predict` does.

    Args:
        size: Sides of the images, a multiple of 32.
        batch: Images at a time.
        classes: Of the class maps, at least 2.
        repeats: Rounds; each runs every network once in each form.
        only: Patterns such as "light_ham*" of the names that are measured; none for all.
        device: Such as "cpu" or "cuda".
        tell: Is told how far it is.

    Raises:
        ValueError: If a number is out of range, a pattern fits no name, or nothing is installed.
    """
    _check(size, batch, classes, repeats)
    wanted = _chosen(only)
    left_out = _missing(wanted)
    contenders = [contender for contender in wanted if is_installed(contender.package)]
    if not contenders:
        raise ValueError(" ".join(left_out))
    place = torch.device(device)
    watch = Watch(place)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = torch.randn(batch, 3, size, size).to(place)
        forms: dict[tuple[Contender, str], nn.Module] = {}
        for contender in contenders:
            if tell is not None:
                tell(f"building {contender.name}")
            network = contender.build(classes).eval().to(place)
            forms[contender, "plain"] = network
            forms[contender, "optimised"] = optimised(network)
    rows_last = images.to(memory_format=torch.channels_last)
    ways = {
        f"{contender.name}, {form}": lambda network=network, form=form: class_maps(
            network, images if form == "plain" else rows_last, form
        )
        for (contender, form), network in forms.items()
    }
    timings = side_by_side(ways, repeats=repeats, device=place, tell=tell)
    costs = {contender: _cost(forms[contender, "plain"], images) for contender in contenders}
    rows = tuple(
        NetworkRow(
            contender.name,
            contender.package,
            form,
            *costs[contender],
            timings[key],
            peak_memory(ways[key], place),
        )
        for contender, form in forms
        for key in [f"{contender.name}, {form}"]
    )
    environment = watch.environment(timings)
    return ModelsBench(environment, size, batch, classes, repeats, rows, tuple(left_out))


def class_maps(network: nn.Module, images: Tensor, form: str) -> Tensor:
    """Return the classes of images, (batch, H, W), in the way of a form."""
    if form == "plain":
        return network(images).argmax(1)
    if isinstance(network, SegmentationNetwork):
        return network.class_map(images)
    return network(images).max(dim=1).indices  # on a CPU, several times as fast as argmax


def optimised(network: nn.Module) -> nn.Module:
    """Return a copy that does the same in less time; the network stays as it is."""
    like = next(network.parameters())
    return optimize_for_inference(network, torch.randn(1, 3, 2 * STRIDE, 2 * STRIDE, device=like.device))


def _check(size: int, batch: int, classes: int, repeats: int) -> None:
    if size < STRIDE or size % STRIDE:
        near = max(STRIDE, round(size / STRIDE) * STRIDE)
        raise ValueError(f"size must be a multiple of {STRIDE}, got {size}; {near} is one.")
    check_numbers({"batch": batch, "repeats": repeats})
    check_numbers({"classes": classes}, least=2)


def _chosen(only: Sequence[str]) -> list[Contender]:
    """Return the networks that the patterns name, in the order of the table."""
    names = [contender.name for contender in CONTENDERS]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            hint = did_you_mean(pattern, names)
            raise ValueError(f"no network is called {pattern!r}.{hint} There are {'; '.join(names)}.")
    return [one for one in CONTENDERS if not only or any(fnmatchcase(one.name, p) for p in only)]


def _missing(wanted: Sequence[Contender]) -> list[str]:
    """Return a sentence for each package that is not installed."""
    packages = dict.fromkeys(one.package for one in wanted if not is_installed(one.package))
    return [
        f"{' and '.join(one.name for one in wanted if one.package == package)} left out: {package} is not "
        "installed; pip install 'subquad[bench]'."
        for package in packages
    ]


def _cost(network: nn.Module, images: Tensor) -> tuple[int, int]:
    """Return parameters, and multiply-adds of one image.

    Counted on the meta device: neither the CPU's fused attention nor products written in place are seen.
    """
    from torch.utils.flop_counter import FlopCounterMode

    twin = copy.deepcopy(network).to("meta")
    with FlopCounterMode(display=False) as counter:
        twin(images[:1].to("meta"))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2
