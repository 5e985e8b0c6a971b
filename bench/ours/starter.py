"""Starts runs of the measured saga, each in a transaction of its caller's."""

from uuid import uuid4

import django

from bench.starter import serve


def main() -> None:
    """Start runs until standard input ends."""
    django.setup()
    from django.db import transaction

    from bench.ours.sagas import Work, four_steps
    from sagas.api import start

    def start_one(failing: bool) -> None:
        with transaction.atomic():  # as in a view; the message goes when it has committed
            start(four_steps, Work(failing=failing), key=str(uuid4()))

    serve(start_one)


if __name__ == "__main__":
    main()
