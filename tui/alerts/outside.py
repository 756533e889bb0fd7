"""The end of a run told outside of the terminal: to a command, and to the address of a webhook."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable

from engine.words import shortened
from tui.alerts.alert import Alert

COMMAND_SECONDS, WEBHOOK_SECONDS = 60.0, 10.0
"""How long a command may take, and a server to answer."""
Tell = Callable[[str], object]


def run_command(command: str, alert: Alert) -> str:
    """Run `command` by the shell, with the event on standard input; returns why it failed, in one line, or nothing.

    The variables MNIST_TUI_OUTCOME, MNIST_TUI_RUN, MNIST_TUI_TITLE and MNIST_TUI_TEXT hold the words, so that no text
    of a run is ever read as a part of the command. What the command prints is dropped, but for the last line of
    standard error where it fails.
    """
    import tempfile

    told = {"OUTCOME": alert.outcome, "RUN": alert.run, "TITLE": alert.title, "TEXT": alert.words}
    environment = os.environ | {f"MNIST_TUI_{name}": value.replace("\0", "") for name, value in told.items()}
    # Files instead of pipes: a command that leaves a process behind would keep a pipe open.
    with tempfile.TemporaryFile() as event, tempfile.TemporaryFile() as errors:
        event.write(alert.json + b"\n")
        event.seek(0)
        try:
            process = subprocess.Popen(
                command,
                shell=True,
                stdin=event,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
            code = process.wait(COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"the notify command was ended: it took longer than {COMMAND_SECONDS:.0f} s"
        except (OSError, ValueError) as error:
            return f"the notify command could not be run: {getattr(error, 'strerror', None) or error}"
        if not code:
            return ""
        size = errors.seek(0, os.SEEK_END)
        errors.seek(max(0, size - 4096))
        said = errors.read().decode(errors="replace").strip().splitlines()
    ended = f"with code {code}" if code > 0 else f"by signal {-code}"
    return f"the notify command ended {ended}" + (f": {shortened(said[-1], 160)}" if said else "")


def send(address: str, alert: Alert) -> str:
    """Post the event as JSON to an http or https address; returns why that failed, in one line, or nothing.

    The address may be a secret: only its host is named. A redirection is a failure, since it would turn the event into
    a question, or take it to another host.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.parse import urlsplit
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Stays(HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not host:
            return "the webhook needs an address that begins with http:// or https://"
        request = Request(address, alert.json, {"Content-Type": "application/json", "User-Agent": "mnist-tui"})
        with build_opener(Stays).open(request, timeout=WEBHOOK_SECONDS):
            return ""
    except HTTPError as error:
        with error:
            return f"the webhook at {shortened(host)} answered {error.code} {shortened(str(error.reason))}"
    except URLError as error:
        return f"the webhook at {shortened(host)} cannot be reached: {shortened(str(error.reason))}"
    except (OSError, ValueError, HTTPException) as error:
        return f"the webhook cannot be reached: {shortened(str(error) or type(error).__name__)}"
