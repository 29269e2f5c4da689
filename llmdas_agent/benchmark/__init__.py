"""Measuring detectors under the published protocol, on the reader's own copy of the data."""
