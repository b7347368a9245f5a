"""Running programs: process trees with an end, and the environment that repository code sees."""

from forge_worker.execution.environment import Environments, ExecutionFacts
from forge_worker.execution.process import ProcessEnd, Sink, run_process

__all__ = ["Environments", "ExecutionFacts", "ProcessEnd", "Sink", "run_process"]
