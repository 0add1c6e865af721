"""The solvers and the kernels: against float64, and against what they would replace."""

import torch
from gpu_lab import HALF, Lab
from torch import Tensor

from subquad.ops import CD, NMF, VQ, chord_offsets, decompose, link_mix
from subquad.ops.decompose import data_unit
from subquad.ops.link_product import mix

STEPS = 6


def nmf_data(lab: Lab, sizes: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return non-negative data of about low rank, and a start dictionary."""
    batch, dim, n, rank = sizes
    generator = torch.Generator().manual_seed(0)
    low, codes = (torch.rand(*size, generator=generator) for size in ((batch, dim, rank), (batch, rank, n)))
    start = NMF().random_dictionary((batch, dim, rank), generator=generator)
    return (low @ codes**3).to(lab.device, dtype), start.to(lab.device)


@torch.no_grad()
def nmf_kernel(x: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    from subquad.ops.kernels.nmf import nmf_codes, nmf_iterations

    unit = data_unit(x.float())
    dictionary, codes = nmf_iterations(x, start, None, unit, 1e-6, STEPS)
    return dictionary, nmf_codes(x, dictionary, codes, unit, 1e-6) * unit


@torch.no_grad()
def nmf_plain(x: Tensor, dictionary: Tensor) -> tuple[Tensor, Tensor]:
    """The iterations as papers write them, one product after the other, in the type of `x`."""
    dictionary = dictionary.to(x.dtype)
    codes = (x.mT @ dictionary).softmax(dim=-1)
    for step in range(STEPS + 1):
        codes = codes * (x.mT @ dictionary) / (codes @ (dictionary.mT @ dictionary) + 1e-6)
        if step < STEPS:
            dictionary = dictionary * (x @ codes) / (dictionary @ (codes.mT @ codes) + 1e-6)
    return dictionary, codes


def nmf_step_plain(x: Tensor, dictionary: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    codes = codes * (x.mT @ dictionary) / (codes @ (dictionary.mT @ dictionary) + 1e-6)
    return dictionary * (x @ codes) / (dictionary @ (codes.mT @ codes) + 1e-6), codes


def check_solvers(lab: Lab) -> None:
    for solver, bound in ((NMF(), 1e-4), (VQ(), 1e-2), (CD(), 1e-2)):
        x, start = nmf_data(lab, (2, 64, 100 if lab.quick else 1000, 16), torch.float32)
        exact = decompose(x.double(), start.double(), solver, steps=STEPS).reconstruct()
        lab.check(f"decompose {solver}", decompose(x, start, solver, steps=STEPS).reconstruct(), exact, bound)


def check_nmf(lab: Lab) -> None:
    sizes = ((2, 20, 40, 3),) if lab.quick else ((2, 70, 1500, 5), (1, 512, 16384, 64), (3, 130, 1, 100))
    for size in sizes:
        for dtype, bound in ((torch.float32, 1e-4), (HALF, 2e-2), (torch.float16, 1e-4)):
            x, start = nmf_data(lab, size, dtype)
            exact = decompose(x.double(), start.double(), NMF(), steps=STEPS).reconstruct()
            for name, laid_out in (("", x), (" channels_last", x.mT.contiguous().mT)):
                dictionary, codes = nmf_kernel(laid_out, start)
                lab.check(f"NMF kernel {size} {dtype}{name}", dictionary @ codes.mT, exact, bound, "nmf")
    from subquad.ops.kernels.nmf import nmf_step

    x, dictionary = nmf_data(lab, sizes[0], torch.float32)
    inputs = [t.requires_grad_() for t in (x, dictionary, torch.rand_like(x[:, : dictionary.shape[2]]).mT)]
    exact_inputs = [t.detach().double().requires_grad_() for t in inputs]
    unit = torch.ones(x.shape[0], 1, 1, device=lab.device)
    found = torch.autograd.grad([t.square().sum() for t in nmf_step(*inputs, unit, 1e-6)], inputs)
    exact = [t.square().sum() for t in nmf_step_plain(*exact_inputs)]
    for name, grad, right in zip("XDC", found, torch.autograd.grad(exact, exact_inputs), strict=True):
        lab.check(f"NMF kernel, gradient of {name}", grad, right, 1e-4, "nmf")
    lab.vouch("nmf")


def links_data(lab: Lab, sizes: tuple[int, ...], dtype: torch.dtype) -> list[Tensor]:
    batch, n, dim, links = sizes
    generator = torch.Generator().manual_seed(0)
    shapes = ((batch, n, dim), (batch, n, links), (batch, n, dim))
    return [
        torch.randn(*shape, generator=generator).to(lab.device, dtype).requires_grad_() for shape in shapes
    ]


def check_links(lab: Lab) -> None:
    for size in ((2, 9, 5, 3),) if lab.quick else ((4, 16384, 32, 15), (2, 1000, 70, 9), (3, 1, 3, 2)):
        for dtype, bound in ((torch.float32, 1e-5), (HALF, 1e-2)):
            values, links, grad = links_data(lab, size, dtype)
            offsets = (*chord_offsets(size[3] - 2), -3)
            exact = [t.detach().double().requires_grad_() for t in (values, links)]
            both = []
            for inputs, impl in (((values, links), "triton"), (exact, "reference")):
                y = link_mix(*inputs, offsets, impl=impl)
                both.append((y, *torch.autograd.grad(y, inputs, grad.to(y.dtype))))
            for name, actual, right in zip(
                ("", ", gradient of values", ", gradient of links"), *both, strict=True
            ):
                lab.check(f"link_mix kernel {size} {dtype}{name}", actual, right, bound, "link_mix")
    lab.vouch("link_mix")


def time_nmf(lab: Lab) -> None:
    sizes = (
        (1, 512, 16384, 64),
        (1, 512, 4096, 64),
        (8, 512, 4096, 64),
        (8, 256, 1024, 16),
        (1, 1024, 65536, 64),
    )
    for size in ((1, 20, 40, 3),) if lab.quick else sizes:
        for dtype in (torch.float32, HALF):
            x, start = nmf_data(lab, size, dtype)
            ways = {
                "plain": lambda x=x, start=start: nmf_plain(x, start),
                "reference": lambda x=x, start=start: reference(x, start),
                "Triton": lambda x=x, start=start: nmf_kernel(x, start),
            }
            times = lab.time("NMF, 6 steps", ways, sizes=size, dtype=str(dtype))
            if times.keys() >= {"reference", "Triton"}:
                lab.keep("nmf", x, size, (times["reference"], times["Triton"]))


@torch.no_grad()
def reference(x: Tensor, start: Tensor) -> object:
    # On a CPU, for a trial of this script, whatever the machine has.
    precision = "bfloat16" if x.is_cuda and x.dtype == HALF else "float32"
    return decompose(x, start, NMF(), steps=STEPS, precision=precision, impl="reference")


def time_links(lab: Lab) -> None:
    sizes = ((4, 16384, 32, 15), (16, 1024, 64, 11), (1, 131072, 64, 18))
    for size in ((2, 9, 5, 3),) if lab.quick else sizes:
        offsets = chord_offsets(size[3] - 1)
        for dtype in (torch.float32, HALF):
            values, links, grad = links_data(lab, size, dtype)

            def views(
                values: Tensor = values, links: Tensor = links, offsets: tuple[int, ...] = offsets
            ) -> Tensor:
                return mix(values, links, None, offsets, False, False)

            def kernel(
                values: Tensor = values, links: Tensor = links, offsets: tuple[int, ...] = offsets
            ) -> Tensor:
                return link_mix(values, links, offsets, impl="triton")

            pairs = []
            with torch.no_grad():
                pairs.append(
                    lab.time("link_mix", {"views": views, "Triton": kernel}, sizes=size, dtype=str(dtype))
                )
            both = {
                name: lambda way=way, inputs=(values, links), grad=grad: torch.autograd.grad(
                    way(), inputs, grad
                )
                for name, way in (("views", views), ("Triton", kernel))
            }
            pairs.append(lab.time("link_mix and its gradients", both, sizes=size, dtype=str(dtype)))
            if all(times.keys() == {"views", "Triton"} for times in pairs):
                # The pair in which the kernel gains less decides for both.
                worse = min(pairs, key=lambda times: times["views"] / times["Triton"])
                lab.keep("link_mix", values, size, (worse["views"], worse["Triton"]))
