"""Contradictions that stop a build: each function looks at a recipe's datastore and returns one sentence, or nothing when all is well.

A sentence begins with the ID of the requirement and says what contradicts it and what to do. everest-secure-policy.bbclass asks the functions and
refuses the recipe. BitBake runs this on the build host's Python (3.8 or newer) with the standard library alone.
"""

BBIMPORTS = ["facts", "switches", "image", "production", "material", "token", "checkout", "release"]
