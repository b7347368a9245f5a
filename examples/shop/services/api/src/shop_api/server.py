"""HTTP: `/healthz`, and `/prices/<item>` as JSON."""

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from shop_api.prices import UnknownItemError, price


class Handler(BaseHTTPRequestHandler):
    """Answers GET requests."""

    def do_GET(self) -> None:
        """The health check, a price, or 404."""
        if self.path == "/healthz":
            self._answer(HTTPStatus.OK, {"status": "ok"})
            return
        _, _, item = self.path.rpartition("/prices/")
        try:
            self._answer(HTTPStatus.OK, {"item": item, "cents": price(item)})
        except UnknownItemError:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "unknown item"})

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the platform in front keeps the access log."""

    def _answer(self, status: HTTPStatus, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
