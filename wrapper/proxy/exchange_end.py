"""Whether an exchange has been given up, and why.

Each check raises a new exception. If it were kept, it would refer to the frames that it was raised
in, these to the exchange, and the exchange to it: such a cycle keeps the data of all of them in
memory until the garbage collector runs.
"""

from __future__ import annotations

from wrapper.proxy.client_connection import ClientGone
from wrapper.proxy.refusals import Refused


class ExchangeEnd:
    """The end of an exchange that is given up.

    ``client_has_gone`` is whether the client has closed its connection.
    """

    __slots__ = ("_refusal", "client_has_gone")

    def __init__(self) -> None:
        self.client_has_gone = False
        self._refusal: tuple[int, str, str] | None = None

    @property
    def reason(self) -> str:
        """Return why the client is refused; "" if it is not."""
        return self._refusal[2] if self._refusal else ""

    def refuse(self, refused: Refused) -> None:
        """Give up with this refusal, unless there is an earlier one."""
        self._refusal = self._refusal or (refused.code, refused.kind, str(refused))

    def check(self) -> None:
        """Raise ClientGone or Refused if the exchange has been given up."""
        if self.client_has_gone:
            raise ClientGone
        if self._refusal:
            raise Refused(*self._refusal)
