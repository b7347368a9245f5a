"""Running programs: process trees with an end, and the environment that repository code sees."""

from forge_worker.execution.environment import ExecutionFacts, execution_environment
from forge_worker.execution.process import ProcessEnd, Sink, run_process

__all__ = ["ExecutionFacts", "ProcessEnd", "Sink", "execution_environment", "run_process"]
