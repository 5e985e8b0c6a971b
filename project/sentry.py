"""Sends errors to Sentry, without the data of customers."""

import sentry_sdk
from sentry_sdk.integrations.httpx2 import Httpx2Integration


def report_errors(dsn: str, environment: str) -> None:
    """Start reporting, without local variables and request bodies, since both hold payloads.

    Calls to partners leave no trail: their addresses hold secrets and customers' e-mail addresses.
    Nor do partners learn which release of ours called them. Data about persons is off by default.
    """
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        include_local_variables=False,
        max_request_body_size="never",
        disabled_integrations=[Httpx2Integration()],
        trace_propagation_targets=[],
    )
