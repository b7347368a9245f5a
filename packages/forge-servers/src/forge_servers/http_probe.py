"""Readiness by HTTP."""

import http.client

TIMEOUT = 1.0


def answers(address: str, port: int, path: str, accepted: frozenset[int] = frozenset({200})) -> bool:
    """Whether a GET is answered with one of the accepted statuses."""
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        return connection.getresponse().status in accepted
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
