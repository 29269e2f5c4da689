"""The cards of the detectors that come with llmdas-agent, one YAML file each."""
