"""Scripts that do not put spaces between words: there, each character stands for one."""

from __future__ import annotations

UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Thai and Lao, Burmese, Khmer, Chinese and Japanese, as within the brackets of a regular expression."""
