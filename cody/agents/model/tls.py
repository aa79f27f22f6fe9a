"""One TLS context for all clients of providers in this process: making one reads every root certificate (20 ms)."""

import ssl
from functools import cache


@cache
def tls_context() -> ssl.SSLContext:
    """What the SDKs' HTTP client would make for itself, made once. Blocks when asked first: ask in a thread."""
    import httpx2  # the SDKs' own; with them it is imported late

    return httpx2.create_ssl_context()
