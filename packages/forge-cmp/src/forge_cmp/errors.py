"""The one exception of this package."""


class CmpError(Exception):
    """Why nothing is printed.

    `code` is stable and says which link of the chain broke: one of those in the README, or the value of a
    `forge_oci.core.errors.Reason`. `file` is what the user can correct, the message says the cause and what to do, each
    of `details` is one more line.
    """

    def __init__(self, code: str, message: str, *, file: str = "release.yaml", details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code, self.message, self.file, self.details = code, message, file, details

    def lines(self) -> str:
        """The error as it is written to standard error: one line with file and cause, then the details."""
        head = f"forge-cmp: {_one_line(self.file)}: {self.code}: {_one_line(self.message)}"
        return "\n".join([head, *(f"  {_one_line(detail)}" for detail in self.details)]) + "\n"


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:1000]
