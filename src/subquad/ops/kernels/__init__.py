"""Triton kernels, as custom operations that PyTorch can compile, export and differentiate."""
