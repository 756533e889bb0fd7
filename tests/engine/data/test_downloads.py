from __future__ import annotations

import gzip
import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import EMNIST, QMNIST, FashionMNIST

from engine.data.downloads import download
from engine.data.events import DownloadAdvanced
from engine.data.idx import Raw
from engine.data.requests import DatasetName
from engine.request import RequestError

NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


@dataclass
class Mirror:
    address: str
    arrays: list[np.ndarray]
    files: dict[str, bytes]
    asked: list[str] = field(default_factory=list)
    cut_at: int | None = None


def idx(array: np.ndarray) -> bytes:
    shape = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8 if array.itemsize == 1 else 12, array.ndim]) + shape + array.tobytes()


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    chance = np.random.default_rng(0)
    arrays = [
        chance.integers(0, 256, (120, 28, 28), np.uint8),  # more than one chunk
        chance.integers(0, 10, 120, np.uint8),
        chance.integers(0, 256, (10, 28, 28), np.uint8),
        chance.integers(0, 10, 10, np.uint8),
    ]
    files = {f"{name}.gz": gzip.compress(idx(array)) for name, array in zip(NAMES, arrays, strict=True)}
    mirror = Mirror("", arrays, files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mirror.asked.append(self.path)
            data = mirror.files.get(self.path.lstrip("/"))
            self.send_response(200 if data else 404)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write((data or b"")[: mirror.cut_at])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    mirror.address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(FashionMNIST, "mirrors", [mirror.address])
    monkeypatch.setattr(
        FashionMNIST, "resources", [(name, hashlib.md5(data).hexdigest()) for name, data in files.items()]
    )
    yield mirror
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(root: Path, name: DatasetName = "fashion-mnist") -> tuple[list[DownloadAdvanced], Raw]:
    generator, events = download(name, root), []
    while True:
        try:
            events.append(next(generator))
        except StopIteration as stop:
            return events, stop.value


def closed_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def refused(root: Path) -> str:
    with pytest.raises(RequestError) as caught:
        fetch(root)
    message = str(caught.value)
    assert "\n" not in message
    assert "fashion-mnist" in message
    return message


def test_arrays_come_back_and_progress_is_told(mirror: Mirror, tmp_path: Path) -> None:
    events, raw = fetch(tmp_path)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(raw, mirror.arrays, strict=True))
    assert sorted({event.file for event in events}) == sorted(mirror.files)
    for name, data in mirror.files.items():
        received = [event.received for event in events if event.file == name]
        assert received == sorted(set(received))
        assert received[-1] == len(data)
        assert {(event.total, event.dataset) for event in events if event.file == name} == {
            (len(data), "fashion-mnist")
        }
    assert sum(event.file == "train-images-idx3-ubyte.gz" for event in events) > 1


def test_second_time_downloads_nothing(mirror: Mirror, tmp_path: Path) -> None:
    fetch(tmp_path)
    mirror.asked.clear()
    events, raw = fetch(tmp_path)
    assert (events, mirror.asked) == ([], [])
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(raw, mirror.arrays, strict=True))


def test_only_the_damaged_file_is_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    fetch(tmp_path)
    mirror.asked.clear()
    (tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"cut off")
    fetch(tmp_path)
    assert mirror.asked == ["/t10k-labels-idx1-ubyte.gz"]


def test_files_that_others_unpacked_are_not_believed(mirror: Mirror, tmp_path: Path) -> None:
    fetch(tmp_path)
    for name in NAMES:
        (tmp_path / "FashionMNIST" / "raw" / name).write_bytes(bytes(1000))
    _, raw = fetch(tmp_path)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(raw, mirror.arrays, strict=True))


def test_a_file_of_the_right_length_with_other_bytes_is_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    fetch(tmp_path)
    mirror.asked.clear()
    file = tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    data = file.read_bytes()
    file.write_bytes(bytes(len(data)))
    fetch(tmp_path)
    assert mirror.asked == ["/t10k-labels-idx1-ubyte.gz"]
    assert file.read_bytes() == data


def test_an_archive_and_labels_in_rows(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels, test_images, test_labels = mirror.arrays
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for half, pair in (("train", (images, labels)), ("test", (test_images, test_labels))):
            for kind, array in zip(("images-idx3", "labels-idx1"), pair, strict=True):
                archive.writestr(f"gzip/emnist-digits-{half}-{kind}-ubyte.gz", gzip.compress(idx(array)))
    mirror.files["gzip.zip"] = packed.getvalue()
    monkeypatch.setattr(EMNIST, "url", f"{mirror.address}gzip.zip")
    monkeypatch.setattr(EMNIST, "md5", hashlib.md5(packed.getvalue()).hexdigest())
    _, raw = fetch(tmp_path, "emnist-digits")
    assert np.array_equal(raw[0], images.transpose(0, 2, 1))
    assert np.array_equal(raw[3], test_labels)

    rows = np.stack([labels, *[np.zeros_like(labels)] * 7], axis=1).astype(">i4")
    test_rows = np.stack([test_labels, *[np.zeros_like(test_labels)] * 7], axis=1).astype(">i4")
    resources = []
    for name, array in (("a", images), ("b", rows), ("c", test_images), ("d", test_rows)):
        mirror.files[f"{name}.gz"] = data = gzip.compress(idx(array))
        resources.append((f"{mirror.address}{name}.gz", hashlib.md5(data).hexdigest()))
    monkeypatch.setattr(QMNIST, "resources", {"train": resources[:2], "test": resources[2:]})
    _, raw = fetch(tmp_path, "qmnist")
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(raw, mirror.arrays, strict=True))


def test_wrong_md5_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.files["train-images-idx3-ubyte.gz"] = b"a page of a hotel's network"
    message = refused(tmp_path)
    assert "train-images-idx3-ubyte.gz" in message
    assert "MD5" in message
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_refused_connection_says_what_to_do(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{closed_port()}/"])
    message = refused(tmp_path)
    assert "Connection refused" in message
    assert "check the connection, or use mnist" in message


def test_missing_file_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    del mirror.files["t10k-images-idx3-ubyte.gz"]
    assert "t10k-images-idx3-ubyte.gz" in refused(tmp_path)


def test_second_mirror_is_tried(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{closed_port()}/", mirror.address])
    _, raw = fetch(tmp_path)
    assert np.array_equal(raw[3], mirror.arrays[3])


def test_folder_that_cannot_be_made_is_named(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refused(tmp_path / "file")
    assert str(tmp_path / "file") in message
    assert "XDG_CACHE_HOME" in message


def test_a_connection_cut_short_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.cut_at = 1000
    assert "cannot download train-images-idx3-ubyte.gz" in refused(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
