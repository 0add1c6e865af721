"""A page of HTML as a browser would take it: tags, what they would load, and the text."""

from html.parser import HTMLParser

LOADS = {"script", "link", "iframe", "object", "embed", "base", "video", "audio", "source"}


class Page(HTMLParser):
    """Collects tags, what they would load, and the text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.loads, self.descriptions, self.words = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "poster")]
        self.descriptions += [value for name, value in attrs if name == "alt"]

    def handle_data(self, data):
        self.words.append(data)
