"""The live page: images come in as the raw bodies of requests, and stay in memory.

Only this machine is answered, and only who comes by the address that is printed (`gate`).
"""

import asyncio
import contextlib
import secrets
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gan_forensics.files import in_words, parse_json, say, shown, tell
from gan_forensics.forensics.failures import failure_of
from gan_forensics.inspector.findings import Tools
from gan_forensics.inspector.gate import Gate
from gan_forensics.inspector.jobs import Held, Jobs, Limits
from gan_forensics.inspector.opening import encoded_anew
from gan_forensics.inspector.paths import Named, given
from gan_forensics.inspector.rendering import article, look, policy, rendered, section, summary
from gan_forensics.inspector.report import report_html, report_json
from gan_forensics.inspector.stages import SHOWN
from gan_forensics.inspector.stages_verdict import score_region

# Bytes of a request that is no image, and characters of a name.
MOST_WORDS, MOST_NAME = 2**14, 1000
# Seconds until it is looked again whether an image can be taken in.
_PAUSE = 0.05


def application(
    tools: Tools,
    *,
    token: str,
    port: int,
    limits: Limits = Limits(),  # noqa: B008
    named: Sequence[Named] = (),
    follow_links: bool = False,
) -> Gate:
    """The page as an application of ASGI.

    Args:
        tools: what images are looked at with.
        token: that the first request has to have.
        port: at which it is served.
        limits: of what the session holds.
        named: images that are opened from the start.
        follow_links: whether links that leave a folder are followed.
    """
    page = _Page(Jobs(tools, limits), named, follow_links)
    routes = [
        Route("/", page.start),
        Route("/state", page.state),
        Route("/images", page.receive, methods=["POST"]),
        Route("/images", page.remove, methods=["DELETE"]),
        Route("/paths", page.open, methods=["POST"]),
        Route("/images/{number:int}", page.remove, methods=["DELETE"]),
        Route("/images/{number:int}/region", page.region, methods=["POST"]),
        Route("/images/{number:int}/{stage}/{name}.webp", page.picture),
        Route("/images/{number:int}/report.{kind}", page.report),
        Route("/report.{kind}", page.report),
    ]
    app = Starlette(
        routes=routes, lifespan=page.living, exception_handlers={Exception: page.failed}
    )
    rules = f"{policy(served=True)}; frame-ancestors 'none'"
    return Gate(app, token=token, port=port, policy=rules)


def serve(
    tools: Tools, *, port: int = 0, paths: Sequence[Path] = (), follow_links: bool = False
) -> None:
    """Serve the page until it is interrupted, and open it in the user's browser.

    Args:
        tools: what images are looked at with.
        port: of this machine; 0 takes a free one.
        paths: of images, folders and CSVs that are opened from the start.
        follow_links: whether links that leave a folder are followed.

    Raises:
        OSError, ValueError: when a path names no images, or the port is taken.
    """
    named = [one for path in paths for one in given(path, say, follow_links=follow_links)]
    try:
        listening = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise ValueError(
            f"--port {port}: {in_words(error)}; leave it out for a free one"
        ) from error
    with listening:
        port = listening.getsockname()[1]
        token = secrets.token_urlsafe(24)
        address = f"http://127.0.0.1:{port}/?token={token}"
        tell(f"The inspector is at {address} (once; Ctrl+C ends it)")
        # Browsers of terminals come back when they are left.
        threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
        app = application(tools, token=token, port=port, named=named, follow_links=follow_links)
        with contextlib.suppress(KeyboardInterrupt):  # Nothing else ends it.
            running(app).run(sockets=[listening])


def running(app: Gate) -> uvicorn.Server:
    """What serves the page: nothing is logged, no header tells who answers.

    Args:
        app: the application.
    """
    config = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]
        access_log=False,
        log_config=None,
        log_level="critical",
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


class _Page:
    """The answers of the page's server."""

    def __init__(self, jobs: Jobs, named: Sequence[Named], follow_links: bool):
        self.jobs, self.named, self.follow_links = jobs, named, follow_links
        self.stopping = threading.Event()
        self.listed = 0
        self.receiving = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def living(self, _: Starlette) -> AsyncIterator[None]:
        """Look at images from the start to the end of the server."""
        self.jobs.start()
        if self.named:
            self.take(self.named)
        try:
            yield
        finally:
            self.stopping.set()
            self.jobs.stop()

    def failed(self, request: Request, error: Exception) -> Response:
        """What is wrong with this program, in a line."""
        return _problem(500, failure_of(request.url.path, error).text)

    def start(self, _: Request) -> Response:
        """The page itself; what it shows comes by `state`."""
        most = self.jobs.limits
        return HTMLResponse(rendered("page.html", served=True, title="Inspector", most=most))

    def state(self, request: Request) -> Response:
        """What a page that knows the state up to a version has to show anew."""
        jobs, since = self.jobs, _number(request.query_params.get("since"))
        now = jobs.now()
        found = {
            "version": now.version,
            "images": [self.change(held, since, held is now.images[0]) for held in now.images],
            "newest": now.newest,
            "first": now.first,
            "done": now.done,
            "coming": jobs.coming,
            "notices": [line for at, line in [*jobs.notices] if at > since],
        }
        return JSONResponse(found)

    def change(self, held: Held, since: int, opened: bool) -> dict[str, Any]:
        """The parts of an image that changed since a version; all of one that is new."""
        image, changed = held.inspection, {**held.changed}
        found: dict[str, Any] = {"number": image.number}
        how: Any = {"served": True, "private": True}
        if changed["all"] > since:
            found["all"] = article(image, **how, opened=opened, regions=self.regions())
            return found
        parts = {name for name, at in changed.items() if at > since}
        slots = {name: section(image, name, **how) for name in SHOWN if name in parts}
        if "summary" in parts:
            slots["summary"] = summary(image, served=True)
        if "file" in parts or image.refusal:
            slots["look"] = look(image, served=True, regions=self.regions())
        return found | ({"slots": slots} if parts else {})

    def regions(self) -> bool:
        """Whether there is something by which regions are scored."""
        return bool(self.jobs.tools.detectors)

    async def receive(self, request: Request) -> Response:
        """Take in the body of a request as an image."""
        async with self.receiving:  # One after the other: bytes of many would be held twice.
            while self.jobs.full():
                await asyncio.sleep(_PAUSE)
            content = await _body(request, self.jobs.limits.file)
        if content is None:
            most = self.jobs.limits.file
            return _problem(413, f"larger than the {most:,} bytes that a file may have here")
        name = unquote(request.headers.get("x-name", ""), errors="replace")[:MOST_NAME]
        pasted = request.headers.get("x-pasted") == "1" and encoded_anew(content, name)
        number = await run_in_threadpool(
            self.jobs.receive, content, name or "unnamed", pasted=pasted
        )
        return JSONResponse({"number": number}, 201)

    async def open(self, request: Request) -> Response:
        """Open what a path of this machine names."""
        body = await _body(request, MOST_WORDS)
        path = _path(body or b"")
        if not path:
            return _problem(400, "name a folder, a file or a CSV of this machine")
        try:
            named = await run_in_threadpool(
                lambda: given(
                    Path(path).expanduser(), self.jobs.notice, follow_links=self.follow_links
                )
            )
        except OSError as error:
            return _problem(400, in_words(error))
        except (ValueError, RuntimeError) as error:
            return _problem(400, shown(error))
        self.take(named)
        return JSONResponse({"images": len(named)}, 202)

    def take(self, named: Sequence[Named]) -> None:
        """Read the images of a listing, in a thread, as fast as they are looked at."""
        most = self.jobs.limits.images
        if len(named) > most:
            self.jobs.notice(
                f"the first {most} of {len(named):,} images are opened: the page holds no more; "
                "for all of them there is gan-forensics inspect --no-browser"
            )
        named = named[:most]
        self.jobs.expect(len(named))
        threading.Thread(
            target=self.read, args=(named, self.listed), name="inspector-reader", daemon=True
        ).start()

    def read(self, named: Sequence[Named], listed: int) -> None:
        """Read files, until all is removed."""
        for name, read in named:
            while self.jobs.full() and not self.stopping.wait(_PAUSE):
                pass
            if self.stopping.is_set():
                return
            self.jobs.expect(-1)
            if self.listed != listed:
                continue
            try:
                content = read()
                if len(content) > self.jobs.limits.file:
                    raise ValueError(f"{len(content):,} bytes, more than a file may have here")
                self.jobs.receive(content, name)
            except Exception as error:
                self.jobs.notice(failure_of(name, error).text)

    def remove(self, request: Request) -> Response:
        """Remove one image, or all and those that were still to be read."""
        number = request.path_params.get("number")
        if number is None:
            self.listed += 1
        self.jobs.remove(number)
        return Response(status_code=204)

    async def region(self, request: Request) -> Response:
        """Score a region of an image."""
        number = request.path_params["number"]
        places = ("left", "top", "width", "height")
        try:
            box = parse_json(await _body(request, MOST_WORDS) or b"", "region")
            box = {place: int(box[place]) for place in places}
        except (ArithmeticError, ValueError, TypeError, KeyError):
            return _problem(400, "a region is left, top, width and height, in pixels")
        tools = self.jobs.tools
        try:
            facts = await asyncio.wrap_future(
                self.jobs.region(number, lambda file: score_region(file, tools, **box))
            )
        except KeyError:
            return _problem(404, "this image was removed")
        except Exception as error:
            return JSONResponse({"html": _region(error=failure_of("region", error).text)})
        return JSONResponse({"html": await run_in_threadpool(_region, facts=facts)})

    def picture(self, request: Request) -> Response:
        """A picture of a finding."""
        held = self.jobs.get(request.path_params["number"])
        made = held.inspection.pictures.get(request.path_params["stage"], {}) if held else {}
        content = made.get(request.path_params["name"])
        return (
            Response(content, media_type="image/webp")
            if content
            else _problem(404, "no such picture")
        )

    def report(self, request: Request) -> Response:
        """The report of an image, or of all, to be saved."""
        kinds = {"html": (report_html, "text/html"), "json": (report_json, "application/json")}
        number, kind = request.path_params.get("number"), request.path_params["kind"]
        inspections = self.jobs.inspections(number)
        if kind not in kinds or not inspections:
            return _problem(404, "no such report: there are report.html and report.json of images")
        write, media = kinds[kind]
        private = request.query_params.get("private") == "1"
        text = write(inspections, self.jobs.tools, private=private)
        file = f"inspection{'' if number is None else f'-{number}'}.{kind}"
        saved = {"Content-Disposition": f'attachment; filename="{file}"'}
        return Response(text, media_type=media, headers=saved)


def _path(body: bytes) -> str:
    """A path as it was typed, or as desktops copy it: in quotes, or as an address of a file."""
    path = body.decode("utf-8", "replace").strip()
    if path[:1] in ('"', "'") and path[-1:] == path[:1]:
        path = path[1:-1]
    return unquote(path[7:]) if path.startswith("file:///") else path


def _region(error: str = "", facts: Any = None) -> str:
    return rendered("region.html", error=error, facts=facts)


async def _body(request: Request, most: int) -> bytes | None:
    """The body of a request, in memory; None where it is larger than it may be."""
    if _number(request.headers.get("content-length")) > most:
        return None
    parts, size = [], 0
    with contextlib.suppress(ClientDisconnect):
        async for part in request.stream():
            size += len(part)
            if size > most:
                return None
            parts.append(part)
        return b"".join(parts)
    return None


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _problem(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)
