"""`python -m danq_cli`, such as for torchrun: the same as `danq`."""

from __future__ import annotations

from .start import main

if __name__ == "__main__":
    main()
