"""The queues that steps may name, by the group of workers that consumes them."""

DEFAULT_QUEUE = "sagas"

#: One worker, or a set of them, per group: a slow partner's queue cannot hold up the others.
WORKER_GROUPS: dict[str, list[str]] = {
    "steps": [DEFAULT_QUEUE],
    "payments": ["payments"],
    "anonymous": ["anonymous"],  # what strangers start: however much, it delays only itself
}
