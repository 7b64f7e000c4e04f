"""`jsd web` in a process of its own, which says whom it speaks to outside this machine, and each step that it draws."""

LISTENING = """
import sys
def hear(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        address = args[1] if event == "socket.connect" else args
        host = address[0] if isinstance(address, tuple) else address
        if host not in ("127.0.0.1", "localhost", "0.0.0.0", "::1", None, b"127.0.0.1"):
            print("outside:", event, address, flush=True)
sys.addaudithook(hear)
from torch.nn.modules.module import register_module_forward_hook
def count(module, inputs, output):
    if type(module).__name__ == "UNet2DConditionModel":
        print("step", flush=True)
register_module_forward_hook(count)
from jsd.cli import main
sys.exit(main(sys.argv[1:]))
"""
