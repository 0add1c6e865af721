"""Time one training step (both updates) with each context, side by side, and count what it needs.

python experiments/hamgan/step_time.py --repeats 30        on a machine that does nothing else
"""

import argparse
import json
from dataclasses import asdict

import torch

from subquad import create_model
from subquad.bench import environment, side_by_side
from subquad.tasks.generation.loss import discriminator_loss, generator_loss

CONTEXTS = ("none", "attention", "hamburger")


def step_of(context: str, batch: int, size: int, width: int, device: torch.device):
    """Return one update of the discriminator and one of the generator, as in training."""
    torch.manual_seed(0)
    network = create_model(
        "hamgan_baby", width=width, size=size, in_channels=1, num_classes=10, context=context
    ).to(device, memory_format=torch.channels_last)
    generator, discriminator = network.generator, network.discriminator
    optimizers = [
        torch.optim.Adam(part.parameters(), 1e-4, (0.0, 0.9)) for part in (generator, discriminator)
    ]
    real = (torch.rand(batch, 1, size, size, device=device) * 2 - 1).to(memory_format=torch.channels_last)
    labels = torch.arange(batch, device=device) % 10

    def fake():
        return generator(torch.randn(batch, network.config.latent, device=device), labels)

    def step():
        with torch.no_grad():
            made = fake()
        on_real, on_fake = discriminator(torch.cat([real, made]), torch.cat([labels, labels])).split(batch)
        optimizers[1].zero_grad()
        discriminator_loss(on_real, on_fake).backward()
        optimizers[1].step()
        discriminator.requires_grad_(False)
        optimizers[0].zero_grad()
        generator_loss(discriminator(fake(), labels)).backward()
        discriminator.requires_grad_(True)
        optimizers[0].step()

    return step


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=30)
    arguments.add_argument("--batch", type=int, default=32)
    arguments.add_argument("--size", type=int, default=32)
    arguments.add_argument("--width", type=int, default=16)
    arguments.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = arguments.parse_args()
    device = torch.device(given.device)
    before = environment(device)
    steps = {name: step_of(name, given.batch, given.size, given.width, device) for name in CONTEXTS}
    times = side_by_side(steps, repeats=given.repeats, device=device)
    print(json.dumps(vars(given) | asdict(before) | {name: asdict(time) for name, time in times.items()}))
    for name, time in times.items():
        print(f"{name:10} {time} ms, {time.p50 / times['none'].p50:.2f} of no context")


if __name__ == "__main__":
    main()
