"""DRL, decomposed representation learning for tabular anomaly detection, for llmdas-agent."""
