"""Fused layers for models of DNA on CUDA devices.

`accelerate` and `accelerate_training` are the only switch between these layers and torch's: they
return the module unchanged on other devices, and where the fused layers do not apply.
"""

from danq.gpu.acceleration import accelerate, accelerate_training

__all__ = ["accelerate", "accelerate_training"]
