"""What tokens cost, by the tables that genai-prices brings along; nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

__all__ = ["Tokens", "price"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one request took.

    Attributes
    ----------
    read : int
        Tokens of the prompt, those from the provider's cache among them.
    written : int
        Tokens of the answer, those of hidden reasoning among them.
    cached : int
        Tokens of the prompt that the provider had in its cache.
    """

    read: int
    written: int
    cached: int = 0


def price(
    tokens: Tokens, model: str, *, provider: str | None = None, url: str | None = None, at: datetime
) -> Decimal | None:
    """Return what tokens cost at a provider's list price.

    Parameters
    ----------
    tokens : Tokens
        What a request took.
    model : str
        The model's name at its provider.
    provider : str, optional
        The provider's name, as in ``PROVIDER:NAME``.
    url : str, optional
        The address that was asked, where no provider is named.
    at : datetime
        When, since prices change.

    Returns
    -------
    Decimal or None
        US dollars; None where the tables have no price for both prompt and answer.
    """
    # a quarter of a second and some memory, which only a paid run should take
    from genai_prices import Usage, calc_price

    usage = Usage(
        input_tokens=tokens.read, output_tokens=tokens.written, cache_read_tokens=tokens.cached or None
    )
    try:
        if provider is not None:
            found = calc_price(usage, model, provider_id=provider, genai_request_timestamp=at)
        else:
            found = calc_price(usage, model, provider_api_url=url, genai_request_timestamp=at)
    except LookupError:
        return None
    # the tables hold models without a price, and such a model would come out as free
    known = found.model_price.input_mtok is not None and found.model_price.output_mtok is not None
    return found.total_price if known else None
