"""Runs programs that nobody trusts: a language they cannot leave, in a process that can do nothing else.

`read_program` takes a program from a file, `check_source` reads it, `run_program` runs it, `layers` says what
holds it on this machine.
"""

from llmdas_agent.sandbox.layers import Layer, grade, layers
from llmdas_agent.sandbox.program_file import read_program
from llmdas_agent.sandbox.runner import SandboxResult, check_source, run_program

__all__ = ["Layer", "SandboxResult", "check_source", "grade", "layers", "read_program", "run_program"]
