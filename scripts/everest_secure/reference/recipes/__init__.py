"""This layer's recipes without OE-Core: BitBake's engine parses them and runs their own tasks."""
