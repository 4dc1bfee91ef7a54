"""kill -9 at random moments: nothing half written, nothing left running, the same bytes after the rerun.

Of `make figures` see companion/test_notebooks, of training and sweeps trainer/.
"""

import functools
import hashlib
import http.server
import os
import signal
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

import processes

MOMENTS = np.random.default_rng(1)
pytestmark = pytest.mark.slow


def wait_and_kill(process, mark, seconds):
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert processes.left_after(mark) == []


@pytest.mark.parametrize("after", MOMENTS.uniform(0.1, 4.0, 12))
def test_refine(tmp_path, after):
    norms = np.linspace(5, 1, 200_000) + np.random.default_rng(0).uniform(0, 1, 200_000)
    pd.DataFrame({"step": np.arange(1, norms.size + 1), "grad_norm": norms}).to_csv(tmp_path / "log.csv", index=False)
    command = [sys.executable, "-m", "lastiterate", "refine", "log.csv", "--out", "refined.csv", "--horizon", "500000"]
    process, mark = processes.start(command, cwd=tmp_path, stdout=-3, stderr=-3)
    wait_and_kill(process, mark, after)
    for file in ("refined.csv", "refined.png"):
        if (tmp_path / file).exists():
            found = (tmp_path / file).read_bytes()
            assert found.count(b"\n") == 500_001 if file.endswith("csv") else found.endswith(b"IEND\xaeB`\x82")
    written = []
    for _ in range(2):
        again, _ = processes.start(command, cwd=tmp_path, stdout=-3)
        assert again.wait() == 0
        written.append([(tmp_path / file).read_bytes() for file in ("refined.csv", "refined.png")])
    assert written[0] == written[1]


class Slow(http.server.SimpleHTTPRequestHandler):
    """Sends a file in pieces, over two seconds."""

    def copyfile(self, source, outputfile):
        while piece := source.read(100_000):
            outputfile.write(piece)
            time.sleep(0.2)

    def log_message(self, *_):
        pass


CODE = """
from lastiterate.logs import published
published.SOURCES = {"test": {"url": URL}}
published._rows = lambda _: [{"file": "big.bin", "bytes": "1", "sha256": DIGEST}]
print(published.fetch("test", "big.bin").stat().st_size)
"""


@pytest.mark.parametrize("after", MOMENTS.uniform(0.5, 5.0, 12))
def test_download(tmp_path, after):
    content = np.random.default_rng(0).bytes(1_000_000)
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "big.bin").write_bytes(content)
    handler = functools.partial(Slow, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url, digest = f"http://127.0.0.1:{server.server_address[1]}/", hashlib.sha256(content).hexdigest()
        code = CODE.replace("URL", repr(url)).replace("DIGEST", repr(digest))
        environment = os.environ | {"LASTITERATE_CACHE": str(tmp_path / "cache")}
        environment.pop("LASTITERATE_MIRROR", None)
        process, mark = processes.start([sys.executable, "-c", code], env=environment, stdout=-3, stderr=-3)
        wait_and_kill(process, mark, after)
        whole = tmp_path / "cache" / "test" / "big.bin"
        assert not whole.exists() or whole.read_bytes() == content
        again, _ = processes.start([sys.executable, "-c", code], env=environment, stdout=-3)
        assert again.wait() == 0 and whole.read_bytes() == content
        assert list(whole.parent.iterdir()) == [whole], "what the killed one left is gone"
    finally:
        server.shutdown()
        server.server_close()
