"""A picture at an address that a stranger named: within a deadline and a size, and from no host of the own network."""

import ipaddress
import os
import socket
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from urllib.parse import urlsplit

import httpx

from jsd import __version__
from jsd.errors import InvalidInputError
from jsd.serving.settings import ALLOW_PRIVATE

DEADLINE_SECONDS = 15
CONNECT_SECONDS = 4  # to each of several addresses
MAX_BYTES = 50 * 2**20
MAX_REDIRECTS = 5
WAKE_SECONDS = 0.05


def fetch_picture(url: str, field: str) -> bytes:
    """What stands at `url`.

    A thread of its own reads. The one that asks wakes all the time, so that Cog's exception reaches it by which a
    prediction is cancelled, and so that the deadline holds for what dribbles in.
    """
    client = httpx.Client(
        transport=CheckedHosts(),
        timeout=DEADLINE_SECONDS,
        # As it is: a few bytes may unpack to more than there is memory.
        headers={"User-Agent": f"jsd/{__version__}", "Accept-Encoding": "identity"},
    )
    answers: SimpleQueue[bytes | Exception] = SimpleQueue()
    Thread(target=_read, args=(client, url, answers), daemon=True).start()
    deadline = monotonic() + DEADLINE_SECONDS
    answer: bytes | Exception = httpx.ReadTimeout("")
    try:
        while monotonic() < deadline:
            with suppress(Empty):
                answer = answers.get(timeout=WAKE_SECONDS)
                break
    finally:
        client.close()  # and so ends the thread
    if isinstance(answer, bytes):
        return answer
    raise InvalidInputError(
        "image.fetch",
        "{field} cannot be fetched from {value}: {reason}; try another address, or send the picture as a data: URI",
        field=field,
        value=url,
        reason=_reason(answer),
    ) from answer


def _read(client: httpx.Client, url: str, answers: "SimpleQueue[bytes | Exception]") -> None:
    try:
        answers.put(_fetched(client, url))
    except Exception as error:  # of httpx, of the name's look-up, of a connection that was closed above
        answers.put(error)


def _fetched(client: httpx.Client, url: str) -> bytes:
    request = client.build_request("GET", url)
    for _ in range(MAX_REDIRECTS + 1):
        response = client.send(request, stream=True)
        try:
            if response.next_request is not None:  # its own body, of any length, is not read
                request = response.next_request
                continue
            response.raise_for_status()
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise OSError("it is compressed, and was not to be")
            content = bytearray()
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise OSError(f"it has more than {MAX_BYTES // 2**20} MiB")
            return bytes(content)
        finally:
            response.close()
    raise OSError(f"it leads on more than {MAX_REDIRECTS} times")


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} {error.response.reason_phrase}"
    if isinstance(error, httpx.TimeoutException):
        return f"it took more than {DEADLINE_SECONDS} seconds"
    return " ".join(str(error).split()) or type(error).__name__


class CheckedHosts(httpx.BaseTransport):
    """Connects to the addresses that were checked, one after the other: a name that is looked up twice may lead
    elsewhere the second time."""

    def __init__(self) -> None:
        self.inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.raw_host.decode("ascii").strip("[]")
        addresses = _checked_addresses(host)
        extensions = {**request.extensions, "sni_hostname": host}
        if len(addresses) > 1:
            extensions["timeout"] = {**request.extensions.get("timeout", {}), "connect": CONNECT_SECONDS}
        for address in addresses:
            url = request.url.copy_with(host=address)
            sent = httpx.Request(
                request.method, url, headers=request.headers, stream=request.stream, extensions=extensions
            )
            try:
                return self.inner.handle_request(sent)
            except (httpx.ConnectError, httpx.ConnectTimeout):  # an IPv6 address, say, of a machine that reaches none
                if address == addresses[-1]:
                    raise
        raise OSError("it has no address")

    def close(self) -> None:
        self.inner.close()


def _checked_addresses(host: str) -> list[str]:
    found = list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)))
    if os.environ.get(ALLOW_PRIVATE) != "1":
        for address in found:
            if not _is_public(address):
                raise OSError(f"{address} is in a network of its own, and this server asks none (jsd serve --help)")
    return found


def check_host(url: str) -> None:
    """OSError where the host of `url` may not be asked, or is not surely known: others read a backslash as a slash."""
    host = urlsplit(url).hostname
    if not host or "\\" in url or not url.isprintable():
        raise OSError("it is no address with a host")
    _checked_addresses(host)


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    plain = parsed if mapped is None else mapped
    return plain.is_global and not plain.is_multicast
