"""A cluster of this machine alone is nobody else's: its folder, and where its processes listen."""

import re
import subprocess
import sys

import pytest

pytest.importorskip("ray")

PROGRAM = """
import glob, os
from jsd.batch.ray_engine import _cluster, _import_ray

def processes(pid):
    yield pid
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        for child in open(path).read().split():
            yield from processes(child)

others = set(glob.glob("/tmp/jsd-ray-*"))
ray = _import_ray(is_alone=True)
with _cluster(ray, None, 1, "cpu"):
    ray.get(ray.remote(lambda: None).remote())
    files = [file for pid in processes(os.getpid()) for file in glob.glob(f"/proc/{pid}/fd/*")]
    own = {os.readlink(file) for file in files if os.path.islink(file)}
    for table in ("tcp", "tcp6"):
        for words in map(str.split, open(f"/proc/net/{table}").read().splitlines()[1:]):
            if words[3] == "0A" and f"socket:[{words[9]}]" in own:  # listens
                print("listens", words[1])
    for folder in set(glob.glob("/tmp/jsd-ray-*")) - others:
        print("mode", oct(os.stat(folder).st_mode & 0o777))
"""
# 127.0.0.1, and the same as IPv6 writes it, in the kernel's byte order.
LOOPBACK = re.compile(r"listens (0000000000000000FFFF0000)?0100007F:\w+")


def test_it_listens_on_the_loopback_network_alone_and_its_folder_is_closed() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300)
    lines = said.stdout.splitlines()
    listening = [line for line in lines if line.startswith("listens")]
    assert len(listening) >= 3, said.stderr
    assert not [line for line in listening if LOOPBACK.fullmatch(line) is None]
    assert {line for line in lines if line.startswith("mode")} == {"mode 0o700"}
