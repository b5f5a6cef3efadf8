"""A web server on this machine whose answers are scripted: it cuts transfers, fails and ignores ranges as told."""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Loopback:
    """Serves ``files``; each request takes the next word of ``script`` ("whole" when it is used up).

    Words: "whole", "cut N" (closes after N bytes), a status such as "500", "no range", "wrong range", "no length".
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.script: list[str] = []
        self.ranges: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self._open = True

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def close(self) -> None:
        if self._open:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._open = False

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range")
                outer.ranges.append(asked)
                word = outer.script.pop(0) if outer.script else "whole"
                if word.isdigit():
                    self.send_error(int(word))
                elif self.path not in outer.files:
                    self.send_error(404)
                else:
                    self._send(outer.files[self.path], asked, word)

            def _send(self, content: bytes, asked: str | None, word: str) -> None:
                found = re.fullmatch(r"bytes=(\d+)-", asked or "")
                start = int(found[1]) if found and word != "no range" else 0
                if start and start >= len(content):
                    self.send_error(416)
                    return
                body = content[start:]
                self.send_response(206 if start else 200)
                if start:
                    shown = start + 1 if word == "wrong range" else start
                    self.send_header("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")
                if word != "no length":
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: int(word.split()[1])] if word.startswith("cut") else body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as http.server has it)
                pass

        return Handler
