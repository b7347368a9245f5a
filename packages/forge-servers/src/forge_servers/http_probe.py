"""Readiness and health by HTTP."""

import http.client

TIMEOUT = 1.0
MAX_TOLD = 1000


def http_problem(address: str, port: int, path: str, accepted: frozenset[int] = frozenset({200})) -> str | None:
    """What is wrong where a GET is not answered with one of the accepted statuses: the answer's text, or that there is none."""
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status in accepted:
            return None
        told = response.read(MAX_TOLD).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"it does not answer: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    return f"it answers {response.status}: {told}"
