"""scripts/fetch-data against a server on this machine: run by tests/fetch_data.rs."""

import contextlib
import hashlib
import http.server
import importlib.machinery
import importlib.util
import io
import pathlib
import sys
import tarfile
import tempfile
import threading

SCRIPT = sys.argv[1]

loader = importlib.machinery.SourceFileLoader("fetch_data", SCRIPT)
fetch_data = importlib.util.module_from_spec(importlib.util.spec_from_loader("fetch_data", loader))
sys.dont_write_bytecode = True
loader.exec_module(fetch_data)
fetch_data.PAUSE = 0.0

BYTES = bytes(range(256)) * 4000
SERVED = {}
ASKED = []
# How many bytes of an answer are sent before the line breaks, once for each number; and whether ranges are known.
BREAKS = []
RANGES = True


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        data = SERVED.get(self.path)
        span = self.headers.get("Range")
        ASKED.append((self.path, span))
        if data is None:
            self.send_error(404)
            return
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span and RANGES else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = start + BREAKS.pop(0) if BREAKS else len(data)
        self.wfile.write(data[start:end])

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
mirror = f"http://127.0.0.1:{server.server_port}/m"


def serve(sets):
    """Describes sets as files with bytes, and serves them."""
    SERVED.clear()
    fetch_data.SETS = {}
    for name, files in sets.items():
        described = {file: "sha256:" + hashlib.sha256(data).hexdigest() for file, data in files.items()}
        fetch_data.SETS[name] = {"home": "http://127.0.0.1:9/", "files": described}
        SERVED.update({f"/m/{name}/{file}": data for file, data in files.items()})


def run(folder, *arguments):
    """The exit code, what was said, and what was asked of the server."""
    ASKED.clear()
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = fetch_data.main(["--to", str(folder), "--mirror", mirror, *arguments])
    return code, said.getvalue(), list(ASKED)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_whole_and_there(folder):
    serve({"a": {"x": BYTES, "y": b"short"}, "b": {"z": b"other"}})
    code, said, asked = run(folder, "a", "b")
    assert code == 0 and files(folder) == ["a/x", "a/y", "b/z"], (code, said)
    assert (folder / "a/x").read_bytes() == BYTES and len(asked) == 3
    code, said, asked = run(folder, "all")
    assert code == 0 and asked == [] and said.count("is there") == 3, said


def test_resumed(folder):
    serve({"a": {"x": BYTES}})
    (folder / "a").mkdir()
    (folder / "a/x.partial").write_bytes(BYTES[:1000])
    code, said, asked = run(folder, "a")
    assert code == 0 and asked == [("/m/a/x", "bytes=1000-")], (said, asked)
    assert (folder / "a/x").read_bytes() == BYTES and files(folder) == ["a/x"]


def test_broken_off(folder):
    serve({"a": {"x": BYTES}})
    BREAKS.extend([300_000, 200_000])
    code, said, asked = run(folder, "a")
    assert code == 0 and (folder / "a/x").read_bytes() == BYTES, said
    assert len(asked) == 3 and asked[0][1] is None and all(span for _, span in asked[1:]), asked
    # All tries fail: nothing has its name, and what came stays for the next run.
    BREAKS.extend([10_000] * fetch_data.TRIES)
    (folder / "a/x").unlink()
    code, said, _ = run(folder, "a")
    assert code == 1 and files(folder) == ["a/x.partial"] and "run this again" in said, (code, said)
    kept = (folder / "a/x.partial").stat().st_size
    code, said, asked = run(folder, "a")
    assert code == 0 and kept == 50_000 and asked == [("/m/a/x", "bytes=50000-")], (kept, asked)


def test_without_ranges(folder):
    global RANGES
    serve({"a": {"x": BYTES}})
    (folder / "a").mkdir()
    (folder / "a/x.partial").write_bytes(b"something else")
    RANGES = False
    code, said, _ = run(folder, "a")
    RANGES = True
    assert code == 0 and (folder / "a/x").read_bytes() == BYTES, said


def test_strange_partial(folder):
    serve({"a": {"x": BYTES}})
    (folder / "a").mkdir()
    for partial in (b"?" * 1000, b"?" * (len(BYTES) + 5)):
        (folder / "a/x.partial").write_bytes(partial)
        code, said, asked = run(folder, "a")
        assert code == 0 and (folder / "a/x").read_bytes() == BYTES and len(asked) == 2, (said, asked)
        (folder / "a/x").unlink()


def test_wrong(folder):
    serve({"a": {"x": BYTES}, "b": {"z": b"other"}})
    SERVED["/m/a/x"] = BYTES[:-1] + b"?"
    code, said, _ = run(folder, "a", "b")
    # The other set is fetched all the same.
    assert code == 2 and files(folder) == ["b/z"], (code, files(folder))
    assert "/m/a/x is not the file of the set: it has sha256:" in said, said
    (folder / "a/x").write_bytes(b"mine")
    code, said, asked = run(folder, "a")
    assert code == 2 and asked == [] and (folder / "a/x").read_bytes() == b"mine", said
    assert "x is not the file of the set" in said and "remove it and run this again" in said, said


def test_missing(folder):
    serve({"a": {"x": BYTES}})
    SERVED.clear()
    code, said, asked = run(folder, "a")
    assert code == 1 and len(asked) == 1 and files(folder) == [] and "404" in said and "--mirror" in said, said


def test_archive(folder):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in {"top/one.bin": b"1" * 1000, "../two.txt": b"two", "top/other": b"x"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    serve({"c": {"c.tar.gz": packed.getvalue()}})
    fetch_data.SETS["c"]["unpacked"] = {"one.bin": 1000, "two.txt": None}
    code, said, _ = run(folder, "c")
    assert code == 0 and files(folder) == ["c/one.bin", "c/two.txt"], (said, files(folder))
    code, said, asked = run(folder, "c")
    assert code == 0 and asked == [], said
    (folder / "c/one.bin").write_bytes(b"1")
    code, said, _ = run(folder, "c")
    assert code == 2 and "has 1 bytes, and that of the set 1000" in said, said


tests = {name: test for name, test in globals().items() if name.startswith("test_")}
for name, test in list(tests.items()):
    with tempfile.TemporaryDirectory() as folder:
        test(pathlib.Path(folder))
    print(name)
