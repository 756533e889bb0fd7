"""The app in a browser: the page in headless Chromium, who is let in, and an app that may only look."""

from __future__ import annotations

import http.client
import importlib.util
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pyte
import pytest

from engine.figures.events import FigureDrawn
from engine.figures.requests import DrawFigure
from engine.lab import LOOKING, Lab
from engine.request import RequestError, parameters
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from engine.runs.requests import DeleteRun, ListRuns, NoteRun, Resume
from engine.training.requests import FindLearningRate, Train
from tests.pty_app import NOT_TEXT
from tests.tui.driving import Call, drawn, until
from tui.app import MnistTui
from tui.cli.app_speed import HINT
from tui.cli.program import command
from tui.cli.serve import page_address
from tui.cli.web.guard import Guard
from tui.keys import SCREENS, commands
from tui.screens.dialogs import HelpScreen
from tui.screens.frame import LabScreen
from tui.workspace import Notice

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, WebSocket

TOKEN = "a-token-of-ours"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("sandbox", "first-run")
OFF = ("gpu", "quic", "background-networking", "component-update", "sync")
PNG = b"\x89PNG\r\n\x1a\n"

has_extra = pytest.mark.skipif(
    importlib.util.find_spec("textual_serve") is None, reason="textual-serve is not installed: pip install '.[serve]'"
)


class Served:
    """`mnist-tui serve` in a process of its own, for two visitors at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        arguments = ("serve", "--port", "0", "--max-sessions", "2", "--token", TOKEN, "pretrained:cnn")
        self.process = subprocess.Popen(command(*arguments), cwd=folder, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.address = self.process.stdout.readline().removeprefix("mnist-tui: ").strip()
        self.port = int(self.address.split(":")[2].split("/")[0])

    def ask(self, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
        """Status, text and headers of the answer to a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("served"))
    yield made
    with made.process:
        made.process.kill()


@pytest.fixture
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    arguments = [*(f"--no-{word}" for word in QUIET), *(f"--disable-{word}" for word in OFF)]
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


class Visitor:
    """A page of the browser, with an emulator of the terminal in it."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.page: Page = context.new_page()
        self.asked: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        with self.page.expect_websocket() as opened:
            self.page.goto(address)
        self.socket: WebSocket = opened.value
        size = re.search(r"width=(\d+)&height=(\d+)", self.socket.url)
        assert size
        self.screen = pyte.Screen(int(size[1]), int(size[2]))
        self._stream = pyte.ByteStream(self.screen)
        self.socket.on("framereceived", self._feed)

    def _feed(self, frame: bytes | str) -> None:
        if isinstance(frame, bytes):
            for code in NOT_TEXT:
                frame = frame.replace(code, b"")
            self._stream.feed(frame)

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def wait_for(self, what: str | Callable[[str], bool]) -> None:
        """Wait until the terminal shows `what`."""
        seen = (lambda text: what in text) if isinstance(what, str) else what
        while not seen(self.text):
            try:
                self.socket.wait_for_event("framereceived", timeout=20_000)
            except Exception as error:
                raise TimeoutError(f"not on the screen: {what}\n{self.text}") from error

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


@has_extra
def test_without_the_token_nobody_is_let_in(served: Served) -> None:
    host = f"127.0.0.1:{served.port}"
    for path in ("/", "/?token=another", "/ws", "/download/x", "/page/mono.woff", "/static/js/textual.js"):
        status, text, _ = served.ask(path)
        assert (status, "needs its token" in text) == (403, True), path
    status, _, headers = served.ask(f"/?token={TOKEN}&fontsize=12")
    assert (status, headers["Location"]) == (303, "/?fontsize=12")
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    cookie = cookie.split(";")[0]
    status, _, headers = served.ask("/", Cookie=cookie)
    assert status == 200
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert served.ask("/page/mono.woff", Cookie=cookie + "x")[0] == 403
    for place in ("/page/", "/static/", "/page/%2e%2e/mnist"):  # no lists of files, nothing beside them
        assert served.ask(place, Cookie=cookie)[0] in (403, 404)
    status, text, _ = served.ask("/ws", **_handshake(served.port, "http://elsewhere.example"))
    assert (status, text.count("Another page may not use this one.")) == (403, 1)
    assert served.ask("/ws", **(_handshake(served.port, f"http://{host}") | {"Cookie": ""}))[0] == 403


@has_extra
def test_a_visitor_trains_and_downloads_what_is_shown(served: Served, browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    visitor = Visitor(context, served.address)
    visitor.wait_for("pretrained:cnn")
    visitor.wait_for(lambda text: "loading" not in text.splitlines()[0])
    page = visitor.page
    assert page.evaluate("document.activeElement.className") == "xterm-helper-textarea"
    assert TOKEN not in page.url  # it is in a cookie now, which scripts cannot read
    assert TOKEN not in page.evaluate("document.cookie")
    assert page.evaluate("""document.fonts.check('15px "Roboto Mono"', '▀⣿─')""")
    assert {url.split("/")[2] for url in visitor.asked} == {f"127.0.0.1:{served.port}"}

    visitor.press("s")
    visitor.wait_for(lambda text: _field(text) != "")
    for name, value in (("epochs", "1"), ("train_size", "640")):
        while (before := _field(visitor.text)) != name:
            visitor.press("j")
            visitor.wait_for(lambda text, before=before: _field(text) not in ("", before))  # type: ignore[misc]
        visitor.press(*value)
        visitor.wait_for("takes it")
        visitor.press("Enter")
        visitor.wait_for(lambda text: "takes it" not in text)
    visitor.press("r")
    visitor.wait_for("epoch 1/1 · test")
    (run,) = (served.folder / "runs").glob("20*")
    assert (run / "events.jsonl").read_text().count('"EpochFinished"') == 1

    with page.expect_download() as export:
        visitor.press("e")
    export.value.save_as(tmp_path / "curves.png")
    (kept,) = (run / "figures").glob("*.png")  # the same picture
    assert kept.read_bytes() == (tmp_path / "curves.png").read_bytes()
    assert kept.read_bytes().startswith(PNG)
    assert export.value.suggested_filename == kept.name

    visitor.press("3")
    visitor.wait_for("actual → predicted")
    with page.expect_download() as picture:
        visitor.press("S")
    picture.value.save_as(tmp_path / "screen.png")
    assert (tmp_path / "screen.png").read_bytes().startswith(PNG)
    assert picture.value.suggested_filename == "screen-digits.png"

    phone = Visitor(browser.new_context(viewport={"width": 390, "height": 844}), served.address)
    phone.wait_for("more")
    assert 60 <= phone.screen.columns <= 70
    assert phone.screen.display[1].split() == ["1", "Train", "2", "3", "4", "5", "6", "7", "8", "9"]
    third = browser.new_context().new_page()
    answer = third.goto(served.address)
    assert answer
    assert answer.status == 503
    assert third.inner_text("body") == "All places are taken. Try again later."
    status, _, _ = served.ask("/ws", **_handshake(served.port, f"http://127.0.0.1:{served.port}"))
    assert status == 503

    phone.press("q")  # the place is free again, and the page says that the session has ended
    phone.page.get_by_role("button", name="start again").click()
    phone.page.wait_for_selector("body.-first-byte")

    # The process that forks, and one for each visitor; one who has ended may take a moment to go.
    for _ in range(100):
        everyone = psutil.Process(served.process.pid).children(recursive=True)
        if len(everyone) == 3:
            break
        page.wait_for_timeout(100)
    assert len(everyone) == 3
    served.process.send_signal(signal.SIGINT)
    page.get_by_text("The session has ended").wait_for()
    assert served.process.wait(30) == 0
    assert not psutil.wait_procs(everyone, 10)[1]


def _field(text: str) -> str:
    """The field whose help is shown, which is the focused one; empty while the focus moves."""
    return next((each.name for each in parameters(Train) if each.help[:HINT] in text), "")


def _handshake(port: int, origin: str) -> dict[str, str]:
    return {
        "Cookie": f"mnist-tui-{port}={TOKEN}",
        "Origin": origin,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }


def test_a_guard_without_a_token_knows_this_machine_by_its_names() -> None:
    guard = Guard("", "127.0.0.1")
    for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LocalHost"):
        assert guard.refusal({"Host": host}, "", websocket=False) == ""
        assert guard.refusal({"Host": host, "Origin": f"http://{host}"}, "", websocket=True) == ""
        for origin in ("null", "http://["):
            assert "Another page" in guard.refusal({"Host": host, "Origin": origin}, "", websocket=True)
    for host in ("elsewhere.example:8000", "127.0.0.1.elsewhere.example", "", "[", "localhost@elsewhere.example"):
        assert "this machine only" in guard.refusal({"Host": host}, "", websocket=False)
    assert Guard(TOKEN, "0.0.0.0").refusal({"Host": "lab:8000"}, TOKEN, websocket=False) == ""
    assert not Guard(TOKEN, "0.0.0.0").knows("")
    assert not Guard(TOKEN, "0.0.0.0").knows("ä")


def test_the_address_to_open() -> None:
    assert page_address("127.0.0.1", 8000, "") == "http://127.0.0.1:8000/"
    assert page_address("::1", 80, TOKEN) == f"http://[::1]:80/?token={TOKEN}"
    assert "0.0.0.0" not in page_address("0.0.0.0", 8000, TOKEN)


@has_extra
def test_what_cannot_be_served_is_said_in_one_line(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        said = f"mnist-tui: port {port} of 127.0.0.1 is in use: choose another one with --port\n"
        assert call("serve", "--port", port) == (2, "", said)
    no_address = "mnist-tui: 192.0.2.1 is no address of this machine: use --host 127.0.0.1 or 0.0.0.0\n"
    assert call("serve", "--host", "192.0.2.1", "--port", 0) == (2, "", no_address)
    for arguments, words in (
        (("--port", "65536"), "port must be a whole number from 0 to 65535"),
        (("--max-sessions", "0"), "max sessions must be a whole number from 1 to 1000"),
        (("--token", "short"), "token must be 8 to 200 letters, digits or ._~-"),
        (("--runs", "nowhere", "no-such-run"), "no-such-run is not a run folder"),
    ):
        code, out, said = call("serve", *arguments)
        assert (code, out, said.count("\n")) == (2, "", 1)
        assert words in said


def test_without_the_extra_one_line_says_how_to_install_it(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("textual_serve", "textual_serve.server"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "tui.cli.web.server", raising=False)
    words = "mnist-tui: serving the app needs textual-serve: pip install textual-serve\n"
    assert call("serve") == (2, "", words)


# Only looking


def test_a_lab_that_looks_refuses_to_train_and_to_write(tmp_path: Path) -> None:
    lab = Lab(tmp_path, looks=True)
    refused = (
        Train(),
        FindLearningRate(),
        Resume(what="x"),
        DeleteRun(run="x"),
        NoteRun(run="x", text=""),
        DrawFigure(),
    )
    for request in (*refused, DrawFigure(folder="", path="x.png")):
        with pytest.raises(RequestError, match=LOOKING):
            lab.submit(request)
    assert lab.submit(ListRuns()).wait(30)
    job = lab.submit(DrawFigure(subject=pretrained("cnn").history(), folder=""))
    assert job.wait(60)
    (event,) = [event for _, event in lab.drain() if not hasattr(event, "runs")]
    assert isinstance(event, FigureDrawn)
    assert (event.name, event.png[:8]) == ("training-cnn.png", PNG)
    assert list(tmp_path.iterdir()) == []
    lab.close()


def _shows(app: MnistTui, mode: str) -> bool:
    return getattr(app.screen, "mode", "") == mode and app.screen.is_mounted


@pytest.mark.usefixtures("quick_keys")
async def test_who_looks_has_no_keys_that_train_or_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    shutil.copytree(pretrained("cnn").path, runs / "20260101-000000-cnn")
    app = MnistTui(runs, RunFolder(runs / "20260101-000000-cnn"), looking=True)
    said: list[Notice] = []
    given: list[tuple[str, bytes]] = []
    async with app.run_test(size=(120, 40)) as pilot:
        app.workspace.tell = said.append
        app.workspace.hand_over = lambda name, content: given.append((name, content))
        for key, _, mode in SCREENS:
            await pilot.press(key)
            await until(pilot, partial(_shows, app, mode))
            screen = app.screen
            assert isinstance(screen, LabScreen)
            await drawn(pilot)
            refused = set(commands(mode)) - set(commands(mode, looking=True))
            assert not refused & set(screen.live_commands())
            for each in refused:
                said.clear()
                await screen.action_act(each.name)
                assert [notice.words for notice in said] == [LOOKING], each
        assert len(app.screen_stack) == 1
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        said.clear()
        await pilot.press("1", "e")
        await until(pilot, lambda: len(given) == 1)
        await pilot.press("S")
        await until(pilot, lambda: len(given) == 2)
        assert [(name, content[:8]) for name, content in given] == [
            ("training-cnn.png", PNG),
            ("screen-train.png", PNG),
        ]
        assert [(notice.title, notice.words) for notice in said] == [
            ("figure downloaded", "training-cnn.png"),
            ("screen downloaded", "screen-train.png"),
        ]
        run = RunFolder(runs / "20260101-000000-cnn")
        attempts: tuple[Callable[[], object], ...] = (
            partial(app.workspace.train, Train()),
            partial(app.workspace.enqueue, [Train()]),
            partial(app.workspace.resume, run),
            partial(app.workspace.stop, run),
            app.workspace.start_queue,
        )
        for attempt in attempts:
            said.clear()
            attempt()
            assert [notice.words for notice in said] == [LOOKING]
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert not [each for each in (*app.screen.here, *app.screen.elsewhere) if not each.only_looks]  # type: ignore[attr-defined]


REHEARSED = """
from engine.network import gpu
asked = []
gpu.count = lambda: asked.append("") or (0, "")
from tui.cli.web.nursery import _import_everything, _rehearse
_import_everything()
_rehearse()
print(len(asked), gpu.count() and len(asked))
"""


@has_extra
def test_what_is_forked_has_not_looked_for_a_gpu(tmp_path: Path) -> None:
    """CUDA cannot be used in a fork of a process that has used it."""
    done = subprocess.run([sys.executable, "-c", REHEARSED], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1"]
