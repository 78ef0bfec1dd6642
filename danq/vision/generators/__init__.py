"""Generators of the images, videos and sounds that several tasks use."""
