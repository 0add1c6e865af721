"""Networks that give each pixel a class: HamNet, Light-Ham and SegNeXt."""
