"""Nearest neighbours and local outlier factor for llmdas-agent."""
