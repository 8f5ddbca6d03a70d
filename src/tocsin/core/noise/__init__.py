"""Noise control, as pure functions: what a control's text means, what it holds back, what a digest says of it."""

from tocsin.core.noise.control import TAG, control_of, from_tags, text_of
from tocsin.core.noise.digest import digest_of
from tocsin.core.noise.sieve import Sieve, Taken

__all__ = ["TAG", "Sieve", "Taken", "control_of", "digest_of", "from_tags", "text_of"]
