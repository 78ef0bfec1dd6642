"""Outputs of variant scores: tables, HDF5, annotated VCF, DeepSEA's files."""
