"""The detail path of Light-Ham: what a map at stride 4 adds."""

import torch
from pytest import mark, raises

from subquad import create_model
from subquad.models import LightHamDecoder

SMALL = {"ham_channels": 32, "channels": 32, "rank": 4, "num_classes": 3, "detail": 32}


def test_a_thin_thing_reaches_the_logits_by_the_detail_path_alone():
    """With the coarse maps held still, the finest changes nothing without the path and something with it."""
    for detail in (0, 32):
        seen = [8, 16, 24, 32] if detail else [16, 24, 32]
        decoder = LightHamDecoder(seen, 3, ham_channels=32, channels=32, rank=4, detail=detail).eval()
        maps = [torch.rand(1, c, 32 // 2**i, 32 // 2**i) for i, c in enumerate((8, 16, 24, 32))]
        other = [maps[0].flip(-1), *maps[1:]]
        with torch.no_grad():
            changes = (decoder(maps) - decoder(other)).abs().max()
        assert bool(changes > 0) == bool(detail)


@mark.parametrize("context", ["hamburger", "attention", "none"])
def test_logits_are_at_stride_4_before_they_are_resized(context):
    network = create_model("light_ham_van_tiny_d256", context=context, **SMALL)
    x = torch.rand(2, 3, 65, 97)
    assert network.head(network.backbone(x)).shape == (2, 3, 17, 25)
    network(x).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.head.detail.parameters())


def test_a_second_path_reaches_stride_2():
    options = SMALL | {"backbone": "timm/tf_efficientnet_lite0", "channels": 64, "detail_stride": 2}
    network = create_model("light_ham_van_tiny_d256", **options)
    maps = network.backbone(torch.rand(2, 3, 64, 96))
    assert network.head(maps).shape == (2, 3, 32, 48)
    network(torch.rand(2, 3, 64, 96)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.head.finer.parameters())
    network.eval()
    with torch.no_grad():
        for index in (0, 1):  # stride 2, stride 4
            other = [m.flip(-1) if i == index else m for i, m in enumerate(maps)]
            assert not torch.equal(network.head(maps), network.head(other))


def test_a_decoder_of_ones_own_maps_has_both_paths():
    decoder = LightHamDecoder(
        [4, 8, 16, 24], 3, ham_channels=32, channels=32, rank=4, detail=8, detail_stride=2, norm="batch"
    )
    maps = [torch.rand(1, c, 64 // 2**i, 64 // 2**i) for i, c in enumerate((4, 8, 16, 24))]
    assert decoder(maps).shape == (1, 3, 64, 64)


def test_strides_that_are_not_there_are_refused():
    with raises(ValueError, match="van_tiny has no map at stride 2; take a detail_stride of 4"):
        create_model("light_ham_van_tiny_d256", **SMALL, detail_stride=2)
    with raises(ValueError, match="detail_stride must be 4 or 2, got 3"):
        create_model("light_ham_van_tiny_d256", **SMALL, detail_stride=3)
    with raises(ValueError, match="detail_stride 2 needs a detail path; give detail, such as 32"):
        create_model("light_ham_van_tiny_d256", detail_stride=2)


def test_a_backbone_of_three_maps_has_no_finer_one():
    with raises(ValueError, match="conv_tiny has no map finer than the three"):
        create_model("light_ham_van_tiny_d256", backbone="conv_tiny", **SMALL)
    with raises(ValueError, match=r"detail needs 2 maps or more .* got in_channels \(8,\)"):
        LightHamDecoder([8], 3, detail=32)
    with raises(ValueError, match="detail needs 3 maps or more at a detail_stride of 2"):
        LightHamDecoder([8, 16], 3, detail=32, detail_stride=2)


def test_old_networks_have_no_new_tensors():
    names = create_model("light_ham_van_tiny_d256").state_dict()
    assert not any("detail" in name for name in names)
