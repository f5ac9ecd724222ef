"""``pnpsr demo --web``: a page in the browser of this machine, on which pictures are dropped.

Only this machine can reach it, and only its own page can order anything: other sites that the browser has open are refused by the
``Host`` they name and by the kind of content that they may send without being asked.
"""

import json
from collections.abc import Callable
from functools import partial
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from mimetypes import guess_type
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pnpsr.cli.desk import Desk
from pnpsr.cli.report import Truth
from pnpsr.needs import needs_of
from pnpsr.released import open_solver
from pnpsr.weights import presets

HERE = "127.0.0.1"
LARGEST = 2**29  # bytes of a file
SCALES = (1, 2, 3, 4)
Sample = Callable[[int, Path], Truth]  # writes a degraded sample picture for a scale


def serve(desk: Desk, sample: Sample, port: int, *, scale: int = 2, preset: str | None = None) -> ThreadingHTTPServer:
    """The server, listening on ``port`` of this machine (0: any that is free) but not yet answering: call ``serve_forever``.

    Raises:
        OSError: the port is taken.
    """
    page = _page(scale, preset)
    try:
        server = ThreadingHTTPServer((HERE, port), partial(_Handler, desk, sample, page))
    except (OSError, OverflowError) as error:
        raise OSError(f"port {port} cannot be used ({error}); name another with --port") from error
    server.daemon_threads = True
    return server


def _page(scale: int, preset: str | None) -> bytes:
    blind = {name: p.scales or SCALES for name, p in presets().items() if not needs_of(open_solver(name)).kernel}
    if preset is not None:
        blind.setdefault(preset, SCALES)
    choices = [("", "the best of several", SCALES), *((n, n, s) for n, s in blind.items()), ("blind_hqs", "blind_hqs", SCALES)]
    template = Template(files("pnpsr.cli").joinpath("web.html").read_text(encoding="utf-8"))
    return template.substitute(
        scales="".join(f"<option{' selected' if s == scale else ''}>{s}</option>" for s in sorted({*SCALES, scale})),
        presets="".join(
            f'<option value="{escape(value)}" data-scales="{" ".join(map(str, s))}"{" selected" if value == preset else ""}>'
            f"{escape(word)}</option>"
            for value, word, s in {c[0]: c for c in choices}.values()
        ),
    ).encode()


class _Handler(BaseHTTPRequestHandler):
    """GET / is the page, /order/N what is known of an order, /order/N/KIND a file; POST /order takes a picture, /sample ours."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def __init__(self, desk: Desk, sample: Sample, page: bytes, *args: Any) -> None:
        self.desk, self.sample, self.page = desk, sample, page
        super().__init__(*args)

    def do_GET(self) -> None:
        parts, query = self._asked()
        if parts is None:
            return
        order = self.desk.orders.get(int(parts[1])) if len(parts) > 1 and parts[0] == "order" and parts[1].isdecimal() else None
        if not parts:
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", self.page)
        elif order is not None and len(parts) == 2:
            since = query.get("since", "0")
            self._say(HTTPStatus.OK, order.told(int(since) if since.isdecimal() else 0))
        elif order is not None and len(parts) == 3 and parts[2] in order.files:
            path = order.files[parts[2]]
            shown = "inline" if parts[2] == "report" else f"attachment; filename*=UTF-8''{quote(path.name)}"
            kind = guess_type(path.name)[0] or "application/octet-stream"
            self._answer(HTTPStatus.OK, kind, path.read_bytes(), {"Content-Disposition": shown})
        else:
            self._say(HTTPStatus.NOT_FOUND, {"error": "there is nothing here"})

    def do_POST(self) -> None:
        parts, query = self._asked()
        if parts is None:
            return
        length = self.headers.get("Content-Length", "")
        if parts not in (["order"], ["sample"]) or self.headers.get("Content-Type") != "application/octet-stream":
            self._refuse(HTTPStatus.BAD_REQUEST, "pictures are sent to /order, as application/octet-stream")
        elif not length.isdecimal() or int(length) > LARGEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a file may have {LARGEST >> 20} MiB")
        else:
            data = self.rfile.read(int(length))
            try:
                self._say(HTTPStatus.OK, {"order": self._take(parts[0], data, query)})
            except (ValueError, OSError) as error:
                self._say(HTTPStatus.BAD_REQUEST, {"error": " ".join(str(error).split())})

    def _take(self, where: str, data: bytes, query: dict[str, str]) -> int:
        if not query.get("scale", "").isdecimal():
            raise ValueError(f"scale must be a whole number, got {query.get('scale')!r}")
        scale, preset = int(query["scale"]), query.get("preset") or None

        def write(path: Path) -> Truth:
            if where == "sample":
                return self.sample(scale, path)
            path.write_bytes(data)
            return Truth()

        return self.desk.take("sample.png" if where == "sample" else query.get("name", ""), write, scale, preset)

    def _asked(self) -> tuple[list[str] | None, dict[str, str]]:
        """The parts of the path and the query; None where another site sent the browser here, which is answered."""
        if self.headers.get("Host", "").split(":")[0] not in (HERE, "localhost"):
            self._refuse(HTTPStatus.FORBIDDEN, f"this page is at http://{HERE}")
            return None, {}
        url = urlsplit(self.path)
        return [unquote(part) for part in url.path.split("/") if part], {n: v[0] for n, v in parse_qs(url.query).items()}

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self.close_connection = True  # what was sent has not been read
        self._say(status, {"error": why})

    def _say(self, status: HTTPStatus, content: dict[str, Any]) -> None:
        self._answer(status, "application/json", json.dumps(content).encode())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        own = "default-src 'self' data: 'unsafe-inline'"  # nothing from elsewhere, whatever a file is called
        for name, value in {
            "Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store",
            "Content-Security-Policy": own, "X-Content-Type-Options": "nosniff", **(more or {}),
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for every look at the progress would hide what is to be read."""
