"""Who may ask the page's server: the browser that opened it, for the page itself, and nobody else.

Any web page that a user visits can have the browser send requests to this machine, and a name whose
address changes (DNS rebinding) makes them look like the same site. So a request needs a cookie that
only the printed address gives, the server's own name as its host, and where it changes something
also as its origin.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response

App = Callable[[Any, Any, Any], Awaitable[None]]
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CLOSED = (
    "this page opens at the address that gan-forensics inspect printed, in one browser: start it "
    "anew for another one"
)


class Gate:
    """Lets requests through to an application, and gives every answer its headers."""

    def __init__(self, app: App, *, token: str, port: int, policy: str):
        """Stand before an application.

        Args:
            app: the application.
            token: that a first request for / has as its `token`, in exchange for a cookie: once.
            port: at which the application is served.
            policy: the content-security policy of its pages.
        """
        self.app, self.port = app, port
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.headers = _HEADERS | {"Content-Security-Policy": policy}
        self._token: str | None = token
        # Cookies do not tell ports apart.
        self.cookie, self._secret = f"inspector-{port}", secrets.token_urlsafe(32)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                pairs = [(k.lower().encode(), v.encode()) for k, v in self.headers.items()]
                message = {**message, "headers": [*message["headers"], *pairs]}
            await send(message)

        if scope["type"] != "http":  # There are no web sockets here.
            return await send({"type": "websocket.close", "code": 1008})
        answer = self._own_answer(scope) or self.app
        await answer(scope, receive, send_with_headers)

    def _own_answer(self, scope: Any) -> Response | None:
        """What is answered in place of the application: a refusal, or a cookie."""
        headers = Headers(scope=scope)
        if headers.getlist("host") not in ([host] for host in self.hosts):
            return _refused("it is asked for by another name than its own")
        changes, first = scope["method"] not in ("GET", "HEAD"), scope["path"] == "/"
        # Browsers say where a request comes from; "none" is their own address bar.
        sites = {"same-origin"} if changes else {"same-origin", "none"}
        if changes and headers.getlist("origin") != [f"http://{headers['host']}"]:
            return _refused("another page asks for it")
        if not first and not {*headers.getlist("sec-fetch-site")} <= sites:
            return _refused("another page asks for it")
        if self._knows(headers):
            wanted = parse_qs(scope["query_string"].decode("latin-1"))
            return RedirectResponse("/", 303) if first and "token" in wanted else None
        if first and scope["method"] == "GET" and self._redeem(scope):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self.cookie, self._secret, httponly=True, samesite="strict", path="/")
            return answer
        return _refused(_CLOSED)

    def _knows(self, headers: Headers) -> bool:
        """Whether a request has the cookie."""
        given = (cookie_parser(line).get(self.cookie, "") for line in headers.getlist("cookie"))
        return any(secrets.compare_digest(v.encode(), self._secret.encode()) for v in given)

    def _redeem(self, scope: Any) -> bool:
        """Whether a request has the token, which is good for one cookie."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if self._token and secrets.compare_digest(given.encode(), self._token.encode()):
            self._token = None
            return True
        return False


def _refused(why: str) -> Response:
    return PlainTextResponse(f"403: {why}\n", 403)
