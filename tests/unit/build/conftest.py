from support.kas import project

__all__ = ["project"]
