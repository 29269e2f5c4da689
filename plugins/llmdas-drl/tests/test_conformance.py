"""The contract of detectors, cards and synthesizers, for everything that this package brings."""

from __future__ import annotations

import pytest

from llmdas_agent.plugins import DetectorEntry
from llmdas_agent.testing import DetectorConformance
from llmdas_drl.plugin import llmdas_detectors

pytest.importorskip("torch", reason="DRL is trained with PyTorch, which is not installed here")


class TestConformance(DetectorConformance):
    @pytest.fixture(params=llmdas_detectors(), ids=lambda entry: entry.name)
    def entry(self, request: pytest.FixtureRequest) -> DetectorEntry:
        return request.param
