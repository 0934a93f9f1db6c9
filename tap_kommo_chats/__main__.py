"""The command `tap-kommo-chats`, which a signal ends from its first moment on."""

from __future__ import annotations

import importlib

from tap_kommo_chats.first_moments import end_on_signals


def main() -> None:
    """Run the tap.

    Raises:
        SystemExit: Always; the code is 1 when the run failed.
    """
    end_on_signals()
    # To import the rest takes a second or two.
    importlib.import_module("tap_kommo_chats.process").main()


if __name__ == "__main__":
    main()
