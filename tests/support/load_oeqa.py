"""Runs with OE-Core's library: loads runtime cases as testimage does, and prints their names as JSON. Arguments: two library paths, then directories."""

import importlib
import json
import logging
import sys

sys.path[:0] = sys.argv[1:3]
context = importlib.import_module("oeqa.runtime.context").OERuntimeTestContext({"DISTRO_FEATURES": ""}, logging.getLogger(), None, {}, None)
context.loadTests(sys.argv[3:], modules=["ping", "ssh", "everest_hardening"])
print(json.dumps([case.id() for case in context.suites]))
