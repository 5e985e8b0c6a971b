"""Starts bare chains."""

from uuid import uuid4

from bench.chain.app import canvas
from bench.starter import serve


def start_one(failing: bool) -> None:
    """Publish the first task of a chain."""
    canvas(str(uuid4()), failing=failing).apply_async()


if __name__ == "__main__":
    serve(start_one)
