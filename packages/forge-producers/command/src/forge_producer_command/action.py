"""The step action: exit code 0 is success."""

from pydantic import Field

from forge_sdk.errors import ConfigurationError
from forge_sdk.models.base import ClosedModel
from forge_sdk.plugins import StepContext, StepRequest, StepResult
from forge_sdk.plugins.files import confined


class CommandConfiguration(ClosedModel):
    """Fields of a step with `action: "command"`.

    `command` is the argument list (no shell), `directory` the folder relative to the project, `environment` what is added to the
    environment of steps.
    """

    command: tuple[str, ...] = Field(min_length=1)
    directory: str = "."
    environment: dict[str, str] = Field(default_factory=dict)


class CommandAction:
    """Runs a command as a step."""

    name = "command"
    configuration = CommandConfiguration
    settings = None
    schema = """{
	// Argument list; no shell is involved.
	command!: [string, ...string]
	// Folder to run in, relative to the project.
	directory?: string
	// Added to the environment of steps.
	environment?: [#EnvironmentName]: string
}"""

    async def run(self, request: StepRequest, context: StepContext) -> StepResult:
        """Run the command to its end; its output is the step's log."""
        configuration = request.configuration
        if not isinstance(configuration, CommandConfiguration):
            raise ConfigurationError("a step with action 'command' needs `command`, a list of arguments")
        directory = confined(request.project_directory, configuration.directory)
        execution = await context.execute(configuration.command, cwd=directory, environment=configuration.environment)
        summary = (
            f"{configuration.command[0]} ended with exit code {execution.exit_code}" if execution.exit_code else ""
        )
        return StepResult(execution.exit_code, summary)
