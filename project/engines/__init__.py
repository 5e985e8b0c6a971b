"""PostgreSQL and Redis from wheels, run by this project itself where no outside ones are named."""

from project.engines.lease import EnginesBusy, running
from project.engines.starter import Engines

__all__ = ["Engines", "EnginesBusy", "running"]
