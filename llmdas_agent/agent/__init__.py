"""The half that writes programs: from a card to a verified synthesizer. It never sees a user's row."""

from __future__ import annotations

import os

# langgraph reads this once, at its import: a foreign checkpoint must not name types to build
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
