"""Sends errors to Sentry, without the data of customers."""

import sentry_sdk


def report_errors(dsn: str, environment: str) -> None:
    """Start reporting, without local variables and request bodies, since both hold payloads.

    Data about persons is off by default.
    """
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        include_local_variables=False,
        max_request_body_size="never",
    )
