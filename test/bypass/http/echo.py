"""Python's http.server as an upstream: every request as it was understood, one JSON text a line on standard output.

Like most servers made of it, this one reads a body by its Content-Length and knows nothing of chunks.
"""

import email
import email.policy
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlparse

lock = threading.Lock()


def say(record):
    with lock:
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()


def read_body(content_type, raw):
    essence = content_type.split(";")[0].strip().lower()
    if essence in ("application/json", "text/json") or essence.endswith("+json"):
        return {"body": json.loads(raw)}
    if essence == "application/x-www-form-urlencoded":
        return {"body": parse_qs(raw.decode("ascii"), keep_blank_values=True, errors="strict")}
    if essence == "multipart/form-data":
        head = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n"
        message = email.message_from_bytes(head + raw, policy=email.policy.HTTP)
        return {
            "parts": [
                {
                    "name": part.get_param("name", header="content-disposition"),
                    "bytes": len(part.get_payload(decode=True)),
                }
                for part in message.iter_parts()
            ]
        }
    return {}


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send_error(self, code, *rest, **more):
        say({"refused": int(code), "what": self.requestline})
        super().send_error(code, *rest, **more)

    def serve(self):
        url = urlparse(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if len(raw) < length:
            self.close_connection = True
            say({"refused": 0, "what": "the body ended early"})
            return
        record = {
            "method": self.command,
            "path": unquote(url.path, errors="strict"),
            "query": parse_qs(url.query, keep_blank_values=True, errors="strict"),
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
        }
        if "Transfer-Encoding" not in self.headers:
            record["bodyBytes"] = length
            if length > 0:
                record.update(read_body(self.headers.get("Content-Type", ""), raw))
        say(record)
        answer = b"" if self.command == "HEAD" else b"{}"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        say({"refused": 500, "what": repr(sys.exc_info()[1])})


server = Server(("127.0.0.1", 0), Echo)
print(server.server_address[1], flush=True)
server.serve_forever()
