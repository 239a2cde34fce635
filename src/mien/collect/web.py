"""The web, asked politely: a pause for each host, robots.txt obeyed, a name that says who asks, few redirects."""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.robotparser import RobotFileParser

from mien.collect.addresses import WebAddress, reachable, web_address
from mien.collect.request import RefusedError, Reply, ask
from mien.installed import own_version

REDIRECTS = 5
"""The most redirects from one address."""
LONGEST_PAUSE = 60.0
"""The most seconds that a host is waited for, whatever it asks for."""
ROBOTS_BYTES = 500_000
"""The most bytes of a robots.txt."""
NAME = "mien"
"""The name that a robots.txt may address."""
MOVED = (301, 302, 303, 307, 308)
BUSY = (408, 425, 429)
"""Statuses of a host that may answer another day, beside those from 500."""


def user_agent(contact: str = "") -> str:
    """The name that every request bears. `contact`: how whoever asks can be reached."""
    return f"{NAME}/{own_version()} (mien collect; research on faces; {contact or 'no contact given'})"


@dataclass(frozen=True)
class Rules:
    """What a host's robots.txt says."""

    parser: RobotFileParser | None
    """The file; None where the host does not say, and nothing is fetched from it."""

    def allows(self, address: WebAddress) -> bool:
        """Whether an address may be fetched."""
        return self.parser is not None and self.parser.can_fetch(NAME, str(address))

    @property
    def pause(self) -> float:
        """The seconds between two requests that it asks for."""
        asked = self.parser.crawl_delay(NAME) if self.parser else None
        return float(min(int(asked or 0), LONGEST_PAUSE))


class Web:
    """Fetches addresses, one after the other. It remembers when each host was asked, and what its robots.txt says."""

    def __init__(
        self,
        rate: float = 2.0,
        timeout: float = 20.0,
        contact: str = "",
        local: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        secure: ssl.SSLContext | None = None,
    ) -> None:
        self.rate = rate
        self.timeout = timeout
        self.local = local
        self.agent = user_agent(contact)
        self._secure = secure or ssl.create_default_context()
        self._sleep = sleep
        self._free = dict[str, float]()
        self._rules = dict[str, Rules]()
        self._numbers = dict[str, tuple[tuple[str, int], ...]]()

    def get(self, text: str, most: int, accept: str = "*/*", robots: bool = True) -> bytes:
        """The content at an address. `most`: of how many bytes at most. `accept`: what kinds of content are wanted.

        `robots`: whether the robots.txt of its host decides; an interface that is made for programs needs none.
        Raises RefusedError with the reason where there is none that may be fetched.
        """
        address = _checked(text)
        for _ in range(REDIRECTS + 1):
            self._where(address)  # a private one is refused before anything is asked
            pause = 0.0
            if robots:
                rules = self._rules_of(address)
                pause = rules.pause
                if not rules.allows(address):
                    silent = rules.parser is None
                    told = "that does not say what may be fetched" if silent else "whose robots.txt forbids it"
                    raise RefusedError(f"a host ({address.host}) {told}", passing=silent)
            reply = self._ask(address, most, accept, pause)
            if reply.status == 200:
                return reply.content
            if reply.status not in MOVED:
                busy = reply.status >= 500 or reply.status in BUSY
                raise RefusedError(f"status {reply.status}", passing=busy)
            address = _checked(reply.headers.get("location", ""), address)
        raise RefusedError(f"more than {REDIRECTS} redirects")

    def _ask(self, address: WebAddress, most: int, accept: str, pause: float) -> Reply:
        """The reply of a host, when its pause is over."""
        where = self._where(address)
        now = time.monotonic()
        if (wait := self._free.get(address.place, now) - now) > 0:
            self._sleep(wait)
        headers = {"User-Agent": self.agent, "Accept": accept}
        after = 0.0
        try:
            reply = ask(address, where, headers, most, self.timeout, self._secure)
            told = reply.headers.get("retry-after", "")
            after = float(told[:9]) if told.isdecimal() and reply.status != 200 else 0.0
        finally:
            rest = min(max(self.rate, pause, after), max(self.rate, LONGEST_PAUSE))
            self._free[address.place] = time.monotonic() + rest
        return reply

    def _where(self, address: WebAddress) -> tuple[tuple[str, int], ...]:
        """The numbers of a host and their families, looked up once."""
        if address.place not in self._numbers:
            try:
                self._numbers[address.place] = reachable(address, self.local)
            except ValueError as error:
                raise RefusedError(str(error)) from error
            except OSError as error:
                raise RefusedError("a host that is not known", passing=True) from error
        return self._numbers[address.place]

    def _rules_of(self, address: WebAddress) -> Rules:
        """What the robots.txt of an address's host says, read once. A host that has none allows everything."""
        if address.origin not in self._rules:
            self._rules[address.origin] = self._read_rules(address)
        return self._rules[address.origin]

    def _read_rules(self, address: WebAddress) -> Rules:
        place, parser = web_address("/robots.txt", address), RobotFileParser()
        for _ in range(REDIRECTS + 1):
            try:
                reply = self._ask(place, ROBOTS_BYTES, "text/plain", 0)
            except RefusedError:
                return Rules(None)
            if reply.status not in MOVED:
                break
            place = _checked(reply.headers.get("location", ""), place)
        # 401 and 403 keep others out; with another status of the 400s there is no such file.
        if reply.status != 200 and (reply.status in (401, 403, *BUSY) or not 400 <= reply.status < 500):
            return Rules(None)
        try:
            parser.parse(reply.content.decode("utf-8-sig", "replace").splitlines())
        except ValueError:  # of numbers and addresses that are none
            return Rules(None)
        return Rules(parser)


def _checked(text: str, base: WebAddress | None = None) -> WebAddress:
    try:
        return web_address(text, base)
    except ValueError as error:
        raise RefusedError(str(error)) from error
