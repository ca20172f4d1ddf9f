"""The samples of docs/EMBEDDING.md for Django, which this project runs to the letter."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/EMBEDDING.md"


def samples(language):
    section = re.search(r"^## Django\n(.*?)^## ", DOCUMENT.read_text(), re.M | re.S)[1]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.M | re.S)


def templates():
    """Returns the templates by the names in their first lines."""
    return {re.match(r"\{# (\S+) #\}", text)[1]: text for text in samples("html")}
