"""The version of flairlite."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("flairlite")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"
