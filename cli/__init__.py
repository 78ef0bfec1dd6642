"""The `danq` command line, installed as `danq_cli`."""
