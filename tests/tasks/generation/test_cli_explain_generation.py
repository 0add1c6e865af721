"""`subquad explain` of a network that takes no input says so."""

from subquad import create_model, save_model


def test_a_generator_is_not_explained(tmp_path, complains):
    save_model(create_model("hamgan_baby", width=8, latent=8, num_classes=2), tmp_path / "m.safetensors")
    said = "is a network for generation, which is not explained; give one for segmentation, "
    complains("explain", "x.png", "--model", tmp_path / "m.safetensors", quoting=said)
