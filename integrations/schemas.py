"""What answers of partners are made of, whichever partner it is."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Identifier = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
"""A partner's id for a thing: printable ASCII, so that it can be stored and logged anywhere."""

Reference = Annotated[str, StringConstraints(min_length=1, max_length=255)]
"""Our own name for what a call is about, such as the order."""


class Answer(BaseModel):
    """Something a partner said, reduced to the fields that we declare."""

    model_config = ConfigDict(frozen=True)
