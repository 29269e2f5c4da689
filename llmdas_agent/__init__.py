"""llmdas-agent: hard anomalies, written as programs, make tabular anomaly detectors better."""
